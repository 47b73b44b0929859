"""Whether a model trained on pruned data is shown to be no worse than one trained on all of it: one-sided non-inferiority.

The difference at each problem is averaged over the seeds of each arm. Its variance is the sum of two: that of the mean over problems, and,
with two or more trainings an arm, that of the mean over trainings, pooled over the arms. The noise of single answers counts in both, which
errs on the safe side; Student's t has Satterthwaite's degrees of freedom. docs/statistics.md has the rates of false certificates.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np

from asap.errors import UsageError
from asap.evaluate.paired import clusters_of, paired_problems
from asap.evaluate.paired_run import PairedRun
from asap.intervals import Mean, mean_difference, student_quantile

ONE_SIDED = 0.05
_POWER = 0.8
MOST_TRAININGS = 20
_TRAININGS = range(2, MOST_TRAININGS + 1)
_TIMES = [1 << exponent for exponent in range(11)]
_SPREADS = (0.005, 0.01, 0.02)
"""By how much trainings with other seeds may differ, where an arm has one: docs/statistics.md measures with these."""


@dataclass(frozen=True)
class Requirement:
    """An experiment with a power of 0.8: so many trainings of each arm, evaluated on so many problems, spread as those at hand."""

    trainings: int
    problems: int
    spread: float
    """The standard deviation of the shares of one arm's trainings."""


@dataclass(frozen=True)
class Certificate:
    """What one benchmark shows about pruned minus full: `bound` and `upper` are the ends of the 90 % interval."""

    benchmark: str
    problems: int
    clusters: int | None
    trainings: tuple[int, int]
    full: float
    pruned: float
    difference: float
    bound: float
    upper: float
    of_problems: float
    """The standard error that the problems bring."""
    of_trainings: float | None
    """That which the trainings bring; None where an arm has one."""
    freedom: float
    margin: float
    power: float
    """The chance to certify with as many problems and trainings if both ways to train are equally good."""
    needed: int | None
    """So many times the problems would have a power of 0.8; None if no number of them would with these trainings."""
    required: tuple[Requirement, ...]
    """What would do with other trainings: on the same problems, or on twice, four, … times as many if 20 trainings on these would not.

    One for the spread of the trainings; where an arm has one, for each spread that is usual.
    """
    left_out: int

    @property
    def shown(self) -> bool:
        """Whether the difference is shown to be above minus the margin, for what the variance covers."""
        return self.bound > -self.margin


def certified(full: Sequence[PairedRun], pruned: Sequence[PairedRun], margin: float, *, common: bool = False) -> list[Certificate]:
    """A certificate for each benchmark, which all runs must have unless `common`. `margin` is a share. Raises UsageError."""
    runs = (*full, *pruned)
    names = [name for name in full[0].benchmarks if all(name in run.benchmarks for run in runs)]
    if not names:
        raise UsageError(f"no benchmark is in all of {', '.join(str(run.folder) for run in runs)}")
    lacking = next(((name, a, b) for a in runs for name in a.benchmarks for b in runs if name not in b.benchmarks), None)
    if lacking and not common:
        name, has, without = lacking
        raise UsageError(f"{name} is in {has.folder} and not in {without.folder}; --common certifies {', '.join(names)} alone")
    return [_certificate(name, full, pruned, margin, common) for name in names]


def _certificate(name: str, full: Sequence[PairedRun], pruned: Sequence[PairedRun], margin: float, common: bool) -> Certificate:
    first, runs = full[0], [*full, *pruned]
    problems = list(first.benchmarks[name].attempted)
    for run in runs[1:]:
        judged = set(paired_problems(first, name, run, name, common)[1])
        problems = [task_id for task_id in problems if task_id in judged]
    if not problems:
        raise UsageError(f"{name}: no problem could be judged in all of the {len(runs)} runs")
    shares = np.array([[run.benchmarks[name].shares[task_id] for task_id in problems] for run in runs])
    clusters = clusters_of(name, problems, first, first.benchmarks[name], pruned[0], pruned[0].benchmarks[name])
    differences = shares[len(full) :].mean(axis=0) - shares[: len(full)].mean(axis=0)
    by_problem = mean_difference([float(one) for one in differences], clusters)
    if not by_problem.freedom:
        raise UsageError(f"{name}: one problem, or one cluster of them, shows nothing")
    spread, seeds = trainings_error(shares.mean(axis=1), len(full))
    both = both_errors(by_problem, spread, seeds)
    half = student_quantile(1 - ONE_SIDED, both.freedom) * both.standard_error
    return Certificate(
        benchmark=name,
        problems=len(problems),
        clusters=len(set(clusters)) if clusters else None,
        trainings=(len(full), len(pruned)),
        full=float(shares[: len(full)].mean()),
        pruned=float(shares[len(full) :].mean()),
        difference=both.mean,
        bound=both.mean - half,
        upper=both.mean + half,
        of_problems=by_problem.standard_error,
        of_trainings=spread,
        freedom=both.freedom,
        margin=margin,
        power=power_of(both, margin),
        needed=_needed(by_problem, spread, seeds, margin),
        required=tuple(_requirements(by_problem, len(problems), _spreads(spread, len(full), len(pruned)), margin)),
        left_out=len(first.benchmarks[name].attempted) - len(problems),
    )


def trainings_error(means: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", full: int) -> tuple[float | None, int]:
    """The standard error that trainings bring, with its degrees of freedom; None where an arm has one training."""
    arms = means[:full], means[full:]
    if min(len(arm) for arm in arms) < 2:
        return None, 0
    freedom = len(means) - 2
    pooled = sum(float(((arm - arm.mean()) ** 2).sum()) for arm in arms) / freedom
    return math.sqrt(pooled * (1 / len(arms[0]) + 1 / len(arms[1]))), freedom


def both_errors(by_problem: Mean, of_trainings: float | None, freedom: int) -> Mean:
    """The mean with both errors, and Satterthwaite's degrees of freedom."""
    if not of_trainings:
        return by_problem
    of_problems, of_seeds = by_problem.standard_error**2, of_trainings**2
    satterthwaite = (of_problems + of_seeds) ** 2 / (of_problems**2 / by_problem.freedom + of_seeds**2 / freedom)
    return Mean(by_problem.mean, math.sqrt(of_problems + of_seeds), satterthwaite)


def power_of(found: Mean, margin: float) -> float:
    """The chance to certify if there is no difference, by the normal approximation with t's bound."""
    return NormalDist().cdf(margin / found.standard_error - student_quantile(1 - ONE_SIDED, found.freedom))


def _needed(by_problem: Mean, of_trainings: float | None, freedom: int, margin: float) -> int | None:
    """By how many times the problems would have to be more for a power of 0.8; None if a thousand times are not enough."""
    for times in range(1, 1001):
        more = Mean(0.0, by_problem.standard_error / math.sqrt(times), by_problem.freedom * times)
        if power_of(both_errors(more, of_trainings, freedom), margin) >= _POWER:
            return times
    return None


def _spreads(of_trainings: float | None, full: int, pruned: int) -> Sequence[float]:
    """The standard deviation of an arm's trainings, or those to assume where there is nothing to tell it."""
    return _SPREADS if of_trainings is None else [of_trainings / math.sqrt(1 / full + 1 / pruned)]


def _requirements(by_problem: Mean, problems: int, spreads: Sequence[float], margin: float) -> Iterator[Requirement]:
    """For each spread the fewest trainings on the fewest problems; none where not even 1,024 times the problems would do."""
    for spread in spreads:
        for times in _TIMES:
            more = Mean(0.0, by_problem.standard_error / math.sqrt(times), by_problem.freedom * times)
            enough = partial(_would_show, more, spread, margin)
            if (at := bisect_left(_TRAININGS, True, key=enough)) < len(_TRAININGS):
                yield Requirement(_TRAININGS[at], problems * times, spread)
                break


def _would_show(by_problem: Mean, spread: float, margin: float, trainings: int) -> bool:
    return power_of(both_errors(by_problem, spread * math.sqrt(2 / trainings), 2 * trainings - 2), margin) >= _POWER
