"""Programs side by side: one call for all, errors for one alone, answers in the order of the requests."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asap.errors import RowError
from asap.lm.scorer import NoModel, Scored, ScoreRequest, Scoring, TokenScores
from asap.prune.together import together
from asap.spans import Span


class Lengths(NoModel):
    """Scores a text by its length; a text with `bad` in it cannot be scored."""

    def __init__(self) -> None:
        self.calls = list[int]()

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        self.calls.append(len(requests))
        if any("bad" in request.text for request in requests):
            raise RowError("out_of_memory", "too long")
        return [Scored([TokenScores(np.zeros(1), np.ones(1), np.array([-len(request.text)]), np.zeros(1))], 1) for request in requests]


def lengths(*texts: str) -> Scoring[list[float]]:
    found = []
    for text in texts:
        [scored] = yield [ScoreRequest("", text, [Span(0, len(text))])]
        assert isinstance(scored, Scored)
        found.append(float(scored.spans[0].logprobs[0]))
    return found


@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=4), max_size=5))
def test_each_program_gets_its_own_answers_in_one_call_a_round(texts: list[list[str]]) -> None:
    scorer = Lengths()
    assert together([lengths(*one) for one in texts], scorer) == [[-float(len(text)) for text in one] for one in texts]
    assert len(scorer.calls) == max(map(len, texts), default=0)
    assert sum(scorer.calls) == sum(map(len, texts))


def test_a_row_that_cannot_be_scored_ends_alone() -> None:
    scorer = Lengths()
    found = together([lengths("a", "bb"), lengths("a", "bad", "a"), lengths(), lengths("ccc")], scorer)
    assert found[0] == [-1.0, -2.0]
    assert isinstance(found[1], RowError)
    assert found[2:] == [[], [-3.0]]


def test_a_program_may_handle_its_own_error() -> None:
    def careful() -> Scoring[list[float]]:
        try:
            return (yield from lengths("bad"))
        except RowError:
            return (yield from lengths("a"))

    assert together([careful(), lengths("bb")], Lengths()) == [[-1.0], [-2.0]]
