"""What the arms came to: accuracy on new programs, differences from random and from necessary-only, and the gate.

Intervals are bootstrapped over programs and seeds: a draw takes programs with replacement, the same for both arms, and for each arm
seeds with replacement. `random` stands for both of its draws.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.tables import Table

BLIND = "The instrument is blind at this size, and no ranking is published."
GATE = ("necessary-only", "random", "random-2")
DRAWS = 10_000


class Result(NamedTuple):
    """One training, tested: the share of right outputs, and by program; mean tokens of a row and of what is learnt, and written ones."""

    arm: str
    seed: int
    right: float
    by_program: Sequence[bool]
    written_tokens: float
    unfinished: float
    train_tokens: float
    learnt_tokens: float


class Difference(NamedTuple):
    """A difference of accuracies with its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def runs_of(results: Sequence[Result], arm: str) -> NDArray[np.float64]:
    """Right or not, by seed and program; both draws of `random` together."""
    chosen = [one.by_program for one in results if one.arm == arm or (arm == "random" and one.arm == "random-2")]
    return np.asarray(chosen, dtype=float)


def difference(one: NDArray[np.float64], other: NDArray[np.float64], draws: int = DRAWS) -> Difference:
    """The difference of the means of two arms, each [seeds, programs], on the same programs."""
    chance = np.random.default_rng(0)
    programs = chance.integers(one.shape[1], size=(draws, one.shape[1]))
    drawn = []
    for arm in (one, other):
        by_seed = np.stack([right[programs].mean(axis=1) for right in arm])
        seeds = chance.integers(len(arm), size=(len(arm), draws))
        drawn.append(by_seed[seeds, np.arange(draws)].mean(axis=0))
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    return Difference(float(one.mean() - other.mean()), float(low), float(high))


def gate_passed(gap: Difference, gate: float) -> bool:
    """Whether necessary-only is far enough above random to tell arms apart."""
    return gap.mean >= gate and gap.low > 0


def results_table(results: Sequence[Result], seeds: Mapping[str, Sequence[int]], gate: float) -> str:
    """The gate's verdict, and the table if it is passed; before all `seeds` of the gate's arms are there, only what is done."""
    done = {(one.arm, one.seed) for one in results}
    missing = [f"{arm} {seed}" for arm in GATE for seed in seeds.get(arm, ()) if (arm, seed) not in done]
    if missing:
        return f"{len(done)} of {sum(map(len, seeds.values()))} trainings are done; the gate needs {', '.join(missing)}."
    gap = difference(runs_of(results, "necessary-only"), runs_of(results, "random"))
    said = f"Gate: necessary-only minus random is {gap} points; at least {100 * gate:g} with the interval above 0 are asked for."
    if not gate_passed(gap, gate):
        return f"{said} {BLIND}"
    return f"{said} Passed.\n\n{arms_table(results).markdown()}"


def arms_table(results: Sequence[Result]) -> Table:
    """A row for each arm, in the order of the plan."""
    header = ["arm", "seeds", "right %", "minus random", "minus necessary-only", "tokens a row", "learnt", "written", "unfinished %"]
    rows = list[list[str]]()
    for arm in dict.fromkeys(one.arm for one in results if one.arm != "random-2"):
        mine, chosen = runs_of(results, arm), [one for one in results if one.arm == arm]
        against = ["" if arm == base else str(difference(mine, runs_of(results, base))) for base in ("random", "necessary-only")]
        means = [np.mean([getattr(one, name) for one in chosen]) for name in ("train_tokens", "learnt_tokens", "written_tokens")]
        unfinished = 100 * np.mean([one.unfinished for one in chosen])
        rows.append([arm, str(len(mine)), f"{100 * mine.mean():.1f}", *against, *(f"{mean:.0f}" for mean in means), f"{unfinished:.1f}"])
    return Table(header, rows, "lr")
