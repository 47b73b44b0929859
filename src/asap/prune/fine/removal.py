"""Stage 2 (paper §3.3, Algorithm 2): remove the lowest-scored step until the joined text fits the budget.

The removal order follows from the scores alone, so each step stores its `rank` in it and the exact tokens left once it and
all before it are gone: any budget is a look-up. `rescore` in `asap.py` is the one thing that changes the order on the way.
"""

from collections.abc import Sequence

from asap.errors import UsageError


def removal_order(scores: Sequence[float]) -> list[int]:
    """Indices by ascending score; of equal scores the earlier step goes first."""
    return sorted(range(len(scores)), key=lambda index: (scores[index], index))


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
