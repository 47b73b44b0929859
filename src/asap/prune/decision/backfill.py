"""`--backfill`: puts removed steps that still fit back after the cut, the highest score first."""

from collections.abc import Callable, Sequence
from functools import partial

from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.decision.step_cut import StepCut
from asap.prune.fine.joined_tokens import JoinedTokens
from asap.prune.fine.retokenized import WHOLE, RetokenizedTrace
from asap.spans import Span
from asap.steps import join_steps

_Kept = JoinedTokens | RetokenizedTrace
_WAYS: tuple[Callable[[str, Sequence[Span], TokenCounter], _Kept], ...] = (
    JoinedTokens,
    RetokenizedTrace,
    partial(RetokenizedTrace, around=WHOLE),
)
"""Of counting, each more exact than the one before."""


def backfilled(decision: StepCut, text: str, tokens: TokenCounter) -> StepCut:
    """The decision with those steps put back, of stage 2's removals, that still fit the budget, highest score first."""
    removed = [step for step in decision.steps if step.removed_by == "fine"]
    if decision.budget is None or not removed:
        return decision
    spans = [Span(step.start, step.end) for step in decision.steps]
    for count in _WAYS:
        joined = count(text, spans, tokens)
        _refill(joined, decision, decision.budget)
        if joined.exact and by_words(tokens).count(join_steps(text, (spans[kept] for kept in joined.kept))) == joined.total:
            break
    gone = {step.index for step in removed} - set(joined.kept)
    return decision.without(gone, tokens_after=joined.total, budget=decision.budget)


def _refill(joined: _Kept, decision: StepCut, budget: int) -> None:
    for step in decision.steps:
        if not step.kept:
            joined.remove(step.index)
    for step in sorted(decision.steps, key=lambda step: -step.rank):
        if step.removed_by == "fine":
            joined.insert(step.index)
            if joined.total > budget or joined.kept.are_all:  # every step kept: the original, which is too long
                joined.remove(step.index)
