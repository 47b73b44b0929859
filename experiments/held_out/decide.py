"""The rule of the test, applied to what `asap compare` has judged.

A *cell* is a kind of rows at a ratio. In a cell a bet passes if it is better than `random` and than `random-block` by at least LEAST nats
a token in the mean, both shown (Wilcoxon's p below ALPHA, adjusted by Holm over all bets, cells and these two references, and a bootstrap
interval above zero), and its mean is not below that of `keep-tail`. A bet stays if it passes in one cell and is shown worse than `random`
(by the same p, its interval below zero) in none. Each problem is one row, so rows are the clusters.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from asap.stats import holm, interval, wilcoxon

REFERENCES = ("random", "random-block")
NOT_BELOW = "keep-tail"
LEAST, ALPHA = 0.03, 0.05
MEASURE = "support without copies"

Values = Mapping[tuple[str, float], Mapping[str, Mapping[str, float]]]
"""By cell (kind of rows, ratio) and method: the support of each row, by its problem."""


class Difference(NamedTuple):
    """A bet minus a reference over the rows of a cell; `p` is adjusted."""

    rows: int
    mean: float
    low: float
    high: float
    p: float

    @property
    def is_shown(self) -> bool:
        """Whether the rank test and the interval agree that it is not zero."""
        return self.p < ALPHA and not self.low <= 0 <= self.high


class Verdict(NamedTuple):
    """What became of a bet in a cell."""

    bet: str
    rows: str
    ratio: float
    against: Mapping[str, Difference]
    over_keep_tail: float

    @property
    def passes(self) -> bool:
        """Whether it is better than both references by enough, and not below keep-tail."""
        better = all(one.is_shown and one.mean >= LEAST for one in self.against.values())
        return better and self.over_keep_tail >= 0

    @property
    def is_worse(self) -> bool:
        """Whether it is shown to be worse than random."""
        return self.against["random"].is_shown and self.against["random"].mean < 0


def values_of(rows: str, judged: Iterable[Mapping[str, Any]]) -> Values:
    """The supports of one kind of rows. Raises ValueError for two rows of one problem: rows would not be independent."""
    found: dict[tuple[str, float], dict[str, dict[str, float]]] = {}
    for one in judged:
        if one["measure"] == MEASURE:
            of_method = found.setdefault((rows, one["ratio"]), {}).setdefault(one["method"], {})
            problem = one.get("cluster") or one["id"]
            if problem in of_method:
                raise ValueError(f"two rows of {rows} are of one problem, {problem}: the rule takes rows as independent")
            of_method[problem] = one["value"]
    return found


def verdicts(values: Values, bets: Sequence[str]) -> list[Verdict]:
    """The verdict on each bet in each cell. Raises ValueError where a method has no value for some row."""
    pairs = {(bet, cell, name): _paired(values, cell, bet, name) for bet in bets for cell in values for name in REFERENCES}
    adjusted = dict(zip(pairs, holm([wilcoxon(pair) for pair in pairs.values()]), strict=True))
    differences = {key: Difference(len(pair), float(np.mean(pair)), *interval(pair), adjusted[key]) for key, pair in pairs.items()}
    return [
        Verdict(
            bet, *cell, {name: differences[bet, cell, name] for name in REFERENCES}, float(np.mean(_paired(values, cell, bet, NOT_BELOW)))
        )
        for bet in bets
        for cell in values
    ]


def _paired(values: Values, cell: tuple[str, float], one: str, other: str) -> list[float]:
    ours, theirs = (values[cell].get(name, {}) for name in (one, other))
    if not ours or ours.keys() != theirs.keys():
        raise ValueError(f"{one} and {other} were not judged on the same rows of {cell[0]} at {cell[1]:g}: the test is not complete")
    return [round(ours[row] - theirs[row], 9) for row in sorted(ours)]


def staying(found: Iterable[Verdict]) -> list[str]:
    """The bets that stay, in their order."""
    of_bet = dict[str, list[Verdict]]()
    for one in found:
        of_bet.setdefault(one.bet, []).append(one)
    return [bet for bet, ones in of_bet.items() if any(one.passes for one in ones) and not any(one.is_worse for one in ones)]


def markdown(found: Sequence[Verdict]) -> str:
    """The verdicts as a table, then the decision in one sentence."""
    head = ["bet", "rows", "ratio", *(f"minus {name}" for name in REFERENCES), f"minus {NOT_BELOW}", "passes"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in found:
        shown = [f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}], p {d.p:.3f}" for d in one.against.values()]
        cells = [one.bet.split(":")[0].split(".")[-1], one.rows, f"{one.ratio:g}", *shown, f"{one.over_keep_tail:+.3f}"]
        lines.append(f"| {' | '.join(cells)} | {'yes' if one.passes else 'worse than random' if one.is_worse else 'no'} |")
    left = staying(found)
    return "\n".join([*lines, "", f"These bets stay: {', '.join(left)}." if left else "No bet stays.", ""])
