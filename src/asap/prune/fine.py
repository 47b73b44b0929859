"""Stage 2 (paper §3.3, Algorithm 2): remove the lowest-scored step until the joined text fits the budget.

The removal order follows from the scores alone, so each step stores its `rank` in it and the exact tokens left once it and
all before it are gone: any budget is a look-up. `rescore` in `asap.py` is the one thing that changes the order on the way.
"""

from collections.abc import Sequence
from typing import NamedTuple

from asap.errors import UsageError
from asap.lm.tokens import TokenCounter
from asap.prune.counts import JoinedTokens
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


def removals(tokens_left: Sequence[int], budget: int, *, at_most: int) -> int:
    """How many steps Algorithm 2 removes, the lowest score first, until the trace fits; `tokens_left` after 0, 1, 2, … removals."""
    removed = 0
    while tokens_left[removed] > budget and removed < at_most:
        removed += 1
    return removed


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
