"""`--backfill`: puts removed steps that still fit back after the cut, the highest score first."""

from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.decision.step_cut import StepCut
from asap.prune.fine.joined_tokens import JoinedTokens
from asap.spans import Span
from asap.steps import join_steps


def backfilled(decision: StepCut, text: str, tokens: TokenCounter) -> StepCut:
    """The decision with those steps put back, of stage 2's removals, that still fit the budget, highest score first."""
    removed = [step for step in decision.steps if step.removed_by == "fine"]
    if decision.budget is None or not removed:
        return decision
    spans = [Span(step.start, step.end) for step in decision.steps]
    joined = JoinedTokens(text, spans, tokens)
    _refill(joined, decision, decision.budget)
    if not joined.exact or by_words(tokens).count(join_steps(text, (spans[kept] for kept in joined.kept))) != joined.total:
        joined = JoinedTokens(text, spans, tokens, anew=True)
        _refill(joined, decision, decision.budget)
    gone = {step.index for step in removed} - set(joined.kept)
    return decision.without(gone, tokens_after=joined.total, budget=decision.budget)


def _refill(joined: JoinedTokens, decision: StepCut, budget: int) -> None:
    for step in decision.steps:
        if not step.kept:
            joined.remove(step.index)
    for step in sorted(decision.steps, key=lambda step: -step.rank):
        if step.removed_by == "fine":
            joined.insert(step.index)
            if joined.total > budget or joined.is_whole:  # every step kept: the original, which is too long
                joined.remove(step.index)
