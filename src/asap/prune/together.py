"""Scores many samples in one batch: advances their scorings side by side and sends all requests in one call.

A scoring (`asap.lm.scorer.Scoring`) decides about one sample in sequential code, and a GPU still gets full batches.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TypeVar

from asap.errors import RowError, UsageError
from asap.lm.scorer import (
    LeaveOutRequest,
    ModelRequest,
    PrefixRequest,
    Scored,
    Scorer,
    ScorerAnswer,
    ScoreRequest,
    ScorerRequest,
    Scoring,
    Worked,
)

T = TypeVar("T")


def together(scorings: Sequence[Scoring[T]], scorer: Scorer) -> list[T | RowError]:
    """The result of each scoring, in order. A RowError ends only its own scoring, whose result is the error."""
    results: dict[int, T | RowError] = {}
    asked: dict[int, Sequence[ScorerRequest]] = {}
    answers: Mapping[int, Sequence[ScorerAnswer] | RowError | None] = dict.fromkeys(range(len(scorings)))
    while answers:
        asked = {}
        for number, answer in answers.items():
            try:
                asked[number] = scorings[number].throw(answer) if isinstance(answer, RowError) else _advanced(scorings[number], answer)
            except StopIteration as end:
                results[number] = end.value
            except RowError as error:
                results[number] = error
        answers = _answered(asked, scorer) if asked else {}
    return [results[number] for number in range(len(scorings))]


def _advanced(scoring: Scoring[T], answer: Sequence[ScorerAnswer] | None) -> Sequence[ScorerRequest]:
    return next(scoring) if answer is None else scoring.send(answer)


def _answered(asked: Mapping[int, Sequence[ScorerRequest]], scorer: Scorer) -> dict[int, Sequence[ScorerAnswer] | RowError]:
    """The answers to each scoring's requests. If the shared call fails, each half of the scorings gets a call of its own."""
    try:
        scored = iter(_scored([one for requests in asked.values() for one in requests if isinstance(one, ScoreRequest)], scorer))
        return {
            number: [next(scored) if isinstance(one, ScoreRequest) else _probed(one, scorer) for one in requests]
            for number, requests in asked.items()
        }
    except RowError as error:
        if len(asked) == 1:
            return dict.fromkeys(asked, error)
        middle = len(asked) // 2
        halves = dict(islice(asked.items(), middle)), dict(islice(asked.items(), middle, None))
        return {number: answer for half in halves for number, answer in _answered(half, scorer).items()}


def _scored(requests: Sequence[ScoreRequest], scorer: Scorer) -> Sequence[Scored]:
    """What the scorer, which may be a user's own, answers. Raises UsageError unless that is an answer to each request."""
    found = scorer.score(requests)
    what = f"the scorer, a {type(scorer).__name__},"
    if not isinstance(found, Sequence) or len(found) != len(requests):
        said = f"{len(found)} answers" if isinstance(found, Sequence) else f"a {type(found).__name__}"
        raise UsageError(f"{what} returned {said} to {len(requests)} requests; a list with an asap.Scored for each is expected")
    for one, request in zip(found, requests, strict=True):
        if not isinstance(one, Scored) or len(one.spans) != len(request.spans):
            said = f"{len(one.spans)} spans" if isinstance(one, Scored) else f"a {type(one).__name__}"
            raise UsageError(
                f"{what} answered a request about {len(request.spans)} spans with {said}; an asap.Scored with each is expected"
            )
    return found


def _probed(request: LeaveOutRequest | PrefixRequest | ModelRequest, scorer: Scorer) -> ScorerAnswer:
    if isinstance(request, LeaveOutRequest):
        return scorer.leave_out(request)
    if isinstance(request, PrefixRequest):
        return scorer.prefixes(request)
    if scorer.causal_lm is None:
        raise UsageError(f"this method works with the model itself, which {scorer.identity['spec']} does not give; use bundled or hf:…")
    return Worked(request.work(scorer.causal_lm))
