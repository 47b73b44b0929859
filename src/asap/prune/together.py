"""Scores many samples in one batch: advances their programs side by side and sends all requests in one call.

A program (`asap.lm.scorer.Scoring`) decides about one sample in sequential code, and a GPU still gets full batches.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from asap.errors import RowError
from asap.lm.scorer import Scorer, ScorerAnswer, ScoreRequest, ScorerRequest, Scoring

T = TypeVar("T")


def together(programs: Sequence[Scoring[T]], scorer: Scorer) -> list[T | RowError]:
    """The result of each program, in order. A RowError ends only its own program, whose result is the error."""
    results: dict[int, T | RowError] = {}
    asked: dict[int, Sequence[ScorerRequest]] = {}
    answers: Mapping[int, Sequence[ScorerAnswer] | RowError | None] = dict.fromkeys(range(len(programs)))
    while answers:
        asked = {}
        for number, answer in answers.items():
            try:
                asked[number] = programs[number].throw(answer) if isinstance(answer, RowError) else _advanced(programs[number], answer)
            except StopIteration as end:
                results[number] = end.value
            except RowError as error:
                results[number] = error
        answers = _answered(asked, scorer) if asked else {}
    return [results[number] for number in range(len(programs))]


def _advanced(program: Scoring[T], answer: Sequence[ScorerAnswer] | None) -> Sequence[ScorerRequest]:
    return next(program) if answer is None else program.send(answer)


def _answered(asked: Mapping[int, Sequence[ScorerRequest]], scorer: Scorer) -> dict[int, Sequence[ScorerAnswer] | RowError]:
    """The answers to each program's requests. If the shared call fails, each program gets a call of its own."""
    try:
        scored = iter(scorer.score([one for requests in asked.values() for one in requests if isinstance(one, ScoreRequest)]))
        return {
            number: [next(scored) if isinstance(one, ScoreRequest) else scorer.leave_out(one) for one in requests]
            for number, requests in asked.items()
        }
    except RowError as error:
        if len(asked) == 1:
            return dict.fromkeys(asked, error)
        return {number: answer for one in asked.items() for number, answer in _answered(dict([one]), scorer).items()}
