"""cut-after-answer: where the answer is found, as reading each prefix apart tells it, and what goes first."""

from collections.abc import Sequence

import pytest

from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.methods.after_answer import AS_LIKELY
from asap.prune.settings import AsapSettings
from asap.prune.support import support_of, support_request
from asap.sample import Sample
from asap.steps import split_steps

QUESTION = "How many pens are in 7 boxes of 12?"

FOUND_EARLY = [
    "First, let me read the question.",
    "There are 7 boxes with 12 pens each, so there are 7 times 12 pens.",
    "7 times 12 is 84. So the final answer is \\boxed{84}.",
    "Wait, let me check that: 7 times 10 is 70, 7 times 2 is 14, and 70 plus 14 is 84.",
    "Yes, so it is \\boxed{84}.",
]
FOUND_LATE = [*FOUND_EARLY[:2], "So it is 7 * 12.", "print(7 * 12)"]
BOXED = "There are \\boxed{84} pens."


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer("bundled", dtype="float32", device="cpu")


def found_by_reading_apart(scorer: Scorer, sample: Sample) -> int:
    """The first step after which the answer is as likely as at the end; each prefix is read anew, as for support."""
    prefixes = [sample.cot[: span.end] for span in split_steps(sample.cot)]
    supports = [support_of(one, sample) for one in scorer.score([support_request(scorer.tokens, sample, prefix) for prefix in prefixes])]
    return next(index for index, support in enumerate(supports) if support >= supports[-1] - AS_LIKELY)


def scores(scorer: Scorer, sample: Sample) -> Sequence[float | None]:
    decision = Asap(scorer, AsapSettings(method="cut-after-answer", ratio=0.5)).prune(sample).decision
    return [step.score for step in decision.steps]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("steps", "answer", "place"),
    [
        (FOUND_EARLY[::-1], BOXED, 0),
        (FOUND_LATE, "```python\nprint(7 * 12)\n```", 3),
        pytest.param(FOUND_LATE, BOXED, 0, marks=pytest.mark.slow),
        pytest.param(FOUND_EARLY, "```python\nprint(7 * 12)\n```", 1, marks=pytest.mark.slow),
        pytest.param(FOUND_EARLY, "It is 84.", 4, marks=pytest.mark.slow),
        pytest.param(FOUND_EARLY[:1], BOXED, 0, marks=pytest.mark.slow),
    ],
)
def test_the_place_is_that_of_reading_each_prefix_apart(steps: list[str], answer: str, place: int, scorer: Scorer) -> None:
    sample = Sample("a", QUESTION, "\n\n".join(steps), answer)
    assert found_by_reading_apart(scorer, sample) == place
    assert scores(scorer, sample) == [float(index if index <= place else -index) for index in range(len(steps))]


def test_a_real_model_finds_the_answer_where_it_is_said_and_what_stays_ends_there(scorer: Scorer) -> None:
    sample = Sample("a", QUESTION, "\n\n".join(FOUND_EARLY), BOXED)
    assert found_by_reading_apart(scorer, sample) == 2
    assert scores(scorer, sample) == [0.0, 1.0, 2.0, -3.0, -4.0]
    decision = Asap(scorer, AsapSettings(method="cut-after-answer", ratio=0.5)).prune(sample).decision
    kept = [[step.index for step in decision.cut(budget=budget).steps if step.kept] for budget in range(decision.tokens_before, 0, -1)]  # type: ignore[union-attr]
    assert [left for place, left in enumerate(kept) if left not in kept[:place]] == [[0, 1, 2, 3, 4], [0, 1, 2, 3], [0, 1, 2], [1, 2], [2]]
