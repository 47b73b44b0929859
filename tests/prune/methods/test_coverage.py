"""coverage: which tokens of the answer count, and in which order the steps are taken, by hand and for any gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.errors import RowError
from asap.lm.scorer import Scored, Scorer, TokenScores
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.methods.answer_tokens import Tail, sketch
from asap.prune.methods.coverage import greedy, needs
from asap.prune.settings import AsapSettings
from asap.prune.trace import Trace
from asap.sample import Sample
from asap.spans import Span
from run_fixtures import parcel_sample

CODE = "def total(numbers):\n    answer = sum(numbers)\n    return answer"
TRACE = "So the sum of numbers.\n\ndef total(numbers):\n\nWait, answer = sum(numbers), and then check again.\n\n    return answer\n\nOkay."


def test_the_step_that_gives_the_answer_away_is_kept_longest() -> None:
    scorer = load_scorer("bundled", dtype="float32", device="cpu")
    decision = Asap(scorer, AsapSettings(method="coverage", budget=1)).prune(parcel_sample()).decision
    assert [step.index for step in decision.steps if step.kept] == [2]
    assert sorted(step.score or 0 for step in decision.steps) == [-4, -3, -2, -1, 0]


def test_lines_that_the_trace_contains_do_not_count() -> None:
    tail = Tail.of(Sample("1", "Sum numbers.", TRACE, f"```python\n{CODE}\n```"))
    assert [tail.text[start:end].strip() for start, end in tail.copied] == ["def total(numbers):", "return answer"]
    starts = np.array([tail.text.index(word) for word in ("def", "answer =", "return")])
    read = TokenScores(starts, starts + 3, np.zeros(3), np.zeros(3))
    assert tail.counts(read).tolist() == [False, True, False]
    assert tail._replace(copied=[Span(0, len(tail.text))]).counts(read).all(), "where nothing is left, all count"


def test_a_result_does_not_count_and_prose_does() -> None:
    tail = Tail.of(Sample("1", "Sum?", "3+4 = 7, so 7.", "Adding 3 and 4 gives $7$. The answer is \\boxed{7}, not 17."))
    assert [tail.text[start:end] for start, end in tail.copied] == ["$7$", "\\boxed{7}"]


@pytest.mark.parametrize(
    ("logprob", "start", "reason"), [(float("nan"), 0, "bad_scores"), (-float("inf"), 0, "bad_scores"), (-1.0, 1, "bad_tail")]
)
def test_numbers_that_cannot_be_compared_reject_the_row(logprob: float, start: int, reason: str, tiny: Scorer) -> None:
    steps = Trace.of(Sample("a", "q", "one\n\ntwo", "ab"), "fenced", "raw", tiny, tiny.tokens, 0).steps(range(2))
    asking = sketch(steps)
    next(asking)
    good, bad = (TokenScores(np.array([at]), np.array([2]), np.array([value]), np.zeros(1)) for at, value in ((0, -1.0), (start, logprob)))
    with pytest.raises(RowError) as caught:
        asking.send([Scored([good, bad, good], 1)])
    assert caught.value.reason == reason


def test_the_tokens_that_the_whole_trace_raises_most_count_in_the_order_of_the_text(tiny: Scorer) -> None:
    asking = sketch(Trace.of(Sample("a", "q", "one\n\ntwo", "abcd"), "fenced", "raw", tiny, tiny.tokens, 0).steps(range(2)), tokens=2)
    next(asking)
    behind = [[-4.0, -0.5, -4.0, -4.0], [-1.0, -0.5, -1.0, -4.0], [-2.0, -0.9, -4.0, -1.0]]
    with pytest.raises(StopIteration) as ended:
        asking.send([Scored([TokenScores(np.arange(4), np.arange(1, 5), np.array(values), np.zeros(4)) for values in behind], 1)])
    assert ended.value.value.places.tolist() == [0, 3]
    assert ended.value.value.gains.tolist() == [[3.0, 0.0], [-1.0, 3.0]]


def test_of_steps_that_add_nothing_the_later_one_goes_first() -> None:
    assert greedy(np.array([[2.0], [1.0], [0.0], [1.0], [0.0]]), np.ones(5, np.int64), [[]] * 5) == [0, 3, 1, 4, 2]


def test_a_token_is_paid_for_once_and_then_the_next_one() -> None:
    gains = np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [2.9, 0.0]])
    lengths = np.array([1, 1, 1, 1])
    assert greedy(gains, lengths, [[]] * 4) == [1, 2, 3, 0]
    assert greedy(gains, lengths, [[], [0], [], []]) == [0, 1, 2, 3]


def test_a_gain_is_for_each_token_of_the_step() -> None:
    assert greedy(np.array([[3.0], [2.0]]), np.array([2, 1]), [[], []]) == [1, 0]


def test_a_step_needs_the_last_definition_before_it() -> None:
    texts = ["count = 0", "So what?", "count = 1", "Then count grows.", "count = count + 1"]
    assert needs(texts) == [[], [], [], [2], []]


@given(
    st.integers(1, 7).flatmap(
        lambda steps: st.tuples(
            st.lists(st.lists(st.floats(0, 3), min_size=3, max_size=3), min_size=steps, max_size=steps),
            st.lists(st.integers(1, 9), min_size=steps, max_size=steps),
            st.lists(st.lists(st.integers(0, 6), max_size=2), min_size=steps, max_size=steps),
        )
    )
)
def test_every_step_is_taken_once_and_never_before_what_it_needs(drawn: tuple[list[list[float]], list[int], list[list[int]]]) -> None:
    gains, lengths, wanted = drawn
    needed = [[other for other in others if other < step] for step, others in enumerate(wanted)]
    order = greedy(np.array(gains), np.array(lengths), needed)
    assert sorted(order) == [*range(len(gains))]
    assert all(order.index(other) < order.index(step) for step, others in enumerate(needed) for other in others)
