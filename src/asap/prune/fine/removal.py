"""Stage 2 (paper §3.3, Algorithm 2): remove the lowest-scored step until the joined text fits the budget.

The removal order depends on the scores alone, so each step stores its `rank` in it and the exact tokens left after removing it and
all steps before it: any budget is a look-up. Only `rescore` in `asap.py` changes the order between removals.
"""

from collections.abc import Sequence

from asap.errors import UsageError


def removal_order(scores: Sequence[float]) -> list[int]:
    """Indices by ascending score; of equal scores, the earlier step first."""
    return sorted(range(len(scores)), key=lambda index: (scores[index], index))


def removals(tokens_left: Sequence[int], budget: int, *, at_most: int) -> int:
    """The number of steps that Algorithm 2 removes until the trace fits; `tokens_left` is after 0, 1, 2, … removals."""
    removed = 0
    while tokens_left[removed] > budget and removed < at_most:
        removed += 1
    return removed


def token_budget(tokens_before: int, *, budget: int | None, ratio: float | None) -> int | None:
    """The budget in tokens; a ratio is relative to the original trace and gives at least one token."""
    check_budget(budget=budget, ratio=ratio)
    return max(1, int(tokens_before * ratio + 1e-9)) if ratio is not None else budget  # 0.29 of 100 is 29


def check_budget(*, budget: int | None, ratio: float | None) -> None:
    """Raise UsageError unless at most one of the two is given, with a valid value."""
    if budget is not None and ratio is not None:
        raise UsageError(f"budget {budget} and ratio {ratio} were both given; choose one")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise UsageError(f"budget is {budget!r}; a whole number of tokens, 1 or more, is expected")
    if ratio is not None and (isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio <= 1):
        raise UsageError(f"ratio is {ratio!r}; a number above 0 and at most 1 is expected (0.5 keeps half of the tokens)")
