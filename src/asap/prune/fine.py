"""Stage 2 (paper §3.3, Algorithm 2): remove the lowest-scored step until the joined text fits the budget.

The removal order follows from the scores alone, so each step stores its `rank` in it and the exact tokens left once it and
all before it are gone: any budget is a look-up. `rescore` in `asap.py` is the one thing that changes the order on the way.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from asap.errors import UsageError
from asap.lm.tokens import TokenCounter
from asap.prune.counts import JoinedTokens
from asap.prune.decision import Decision
from asap.spans import Span
from asap.steps import join_steps, keep_steps


class RemovalTokens(NamedTuple):
    """What removing steps one by one does to the length of the joined text."""

    step_tokens: list[int]
    tokens_joined: int
    tokens_left: list[int]


def removal_order(scores: Sequence[float]) -> list[int]:
    """Indices by ascending score; of equal scores the earlier step goes first."""
    return sorted(range(len(scores)), key=lambda index: (scores[index], index))


def removal_tokens(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter) -> RemovalTokens:
    """Tokens of the joined text after each removal of `order`, checked half-way against a real tokenisation.

    Where that fails (a tokenizer whose tokens depend on far-away text) every count is made by tokenising anew.
    """
    joined = JoinedTokens(text, spans, tokens)
    step_tokens, tokens_joined, half = joined.step_tokens, joined.total, len(order) // 2
    tokens_left: list[int] = []
    half_text = ""
    for number, step in enumerate(order, start=1):
        joined.remove(step)
        tokens_left.append(joined.total)
        if number == half:
            half_text = join_steps(text, (spans[kept] for kept in joined.kept))
    if not joined.exact or (half and tokens.count(half_text) != tokens_left[half - 1]):
        tokens_left = recounted(text, spans, order, tokens)
    return RemovalTokens(step_tokens, tokens_joined, tokens_left)


def recounted(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter, gap: str = "") -> list[int]:
    """The same counts made the slow way: the joined text, gaps marked, is tokenised again after each removal."""
    kept = [True] * len(spans)
    counts = []
    for step in order:
        kept[step] = False
        counts.append(tokens.count(keep_steps(text, spans, kept, gap)))
    return counts


def cut(decision: Decision, *, budget: int | None = None, ratio: float | None = None) -> Decision:
    """The decision at another budget (in tokens, or as a share of the original trace): a look-up, no model and no tokenizer.

    Without budget and ratio only stage 1's removals stay. At least `min_steps` steps are kept, whatever they cost.
    """
    limit = token_budget(decision.tokens_before, budget=budget, ratio=ratio)
    by_rank = sorted(decision.steps, key=lambda step: step.rank)
    survivors = [step for step in by_rank if step.removed_by != "coarse"]
    removed, tokens_after = 0, decision.tokens_coarse
    while limit is not None and tokens_after > limit and len(survivors) - removed > decision.min_steps:
        tokens_after = survivors[removed].tokens_left
        removed += 1
    gone = {step.index for step in survivors[:removed]}
    return with_removed(decision, gone, tokens_after=tokens_after, budget=limit)


def with_removed(decision: Decision, gone: set[int], *, tokens_after: int, budget: int | None) -> Decision:
    """The decision in which stage 2 removes exactly the steps `gone`."""
    steps = [
        step
        if step.removed_by == "coarse"
        else replace(step, kept=step.index not in gone, removed_by="fine" if step.index in gone else None)
        for step in decision.steps
    ]
    return replace(decision, steps=steps, tokens_after=tokens_after, budget=budget)


def backfilled(decision: Decision, text: str, tokens: TokenCounter) -> Decision:
    """Re-add the steps that stage 2 removed, highest score first, where they still fit the budget."""
    removed = [step for step in decision.steps if step.removed_by == "fine"]
    if decision.budget is None or not removed:
        return decision
    spans = [Span(step.start, step.end) for step in decision.steps]
    joined = JoinedTokens(text, spans, tokens)
    _refill(joined, decision, decision.budget)
    if not joined.exact or tokens.count(join_steps(text, (spans[kept] for kept in joined.kept))) != joined.total:
        joined = JoinedTokens(text, spans, tokens, anew=True)
        _refill(joined, decision, decision.budget)
    gone = {step.index for step in removed} - set(joined.kept)
    return with_removed(decision, gone, tokens_after=joined.total, budget=decision.budget)


def _refill(joined: JoinedTokens, decision: Decision, budget: int) -> None:
    for step in decision.steps:
        if not step.kept:
            joined.remove(step.index)
    for step in sorted(decision.steps, key=lambda step: -step.rank):
        if step.removed_by == "fine":
            joined.insert(step.index)
            if joined.total > budget or len(joined.kept) == len(decision.steps):  # all of them: the original, which is too long
                joined.remove(step.index)


def token_budget(tokens_before: int, *, budget: int | None, ratio: float | None) -> int | None:
    """The budget in tokens; a ratio is relative to the original trace and gives at least one token."""
    check_budget(budget=budget, ratio=ratio)
    return max(1, int(tokens_before * ratio + 1e-9)) if ratio is not None else budget  # 0.29 of 100 is 29


def check_budget(*, budget: int | None, ratio: float | None) -> None:
    """Raise UsageError unless at most one of the two is given and it makes sense."""
    if budget is not None and ratio is not None:
        raise UsageError(f"budget {budget} and ratio {ratio:g} were both given; choose one")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise UsageError(f"budget is {budget!r}; a whole number of tokens, 1 or more, is expected")
    if ratio is not None and (isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio <= 1):
        raise UsageError(f"ratio is {ratio!r}; a number above 0 and at most 1 is expected (0.5 keeps half of the tokens)")
