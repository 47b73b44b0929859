"""The figures of a report: each arm on each benchmark, and each arm against the reference, problem by problem.

A problem is the unit of every interval and test: the shares of its samples and seeds are averaged first. Where an arm has several
seeds, intervals also draw seeds (`crossed`); the p values do not, and hold for these training runs only. With `--cluster`, the problems of
one cluster count as one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from asap.errors import UsageError
from asap.evaluate.metrics import mean, pass_interval
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import Measured, PairedRun
from asap.intervals import ERRORS_TO_SHOW, mean_difference
from asap.report.arms import Arm
from asap.report.crossed import crossed_spread
from asap.stats import holm


@dataclass(frozen=True)
class BudgetPoint:
    """An arm at one token budget: Pass@1 with its interval (None with several seeds or with clusters), mean tokens and seconds."""

    budget: int
    passed: float
    interval: Sequence[float] | None
    tokens: float | None
    seconds: float | None


@dataclass(frozen=True)
class ArmResult:
    """One arm on one benchmark. `latency` is the paper's: wall time over samples; `seconds` is the mean of a request."""

    arm: str
    benchmark: str
    problems: int
    clusters: int | None
    attempted: int
    seeds: int
    passed: float | None
    interval: Sequence[float] | None
    tokens: float | None
    seconds: float | None
    latency: float | None
    budget: int | None
    budgets: Sequence[BudgetPoint] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    thinking: float | None = None
    """The share of answers that thought to the end; None if nothing is known of it."""


@dataclass(frozen=True)
class Difference:
    """An arm minus the reference on the problems that both have: of Pass@1, and of tokens and seconds if both know them.

    The parts are those of `asap compare-runs`, with `p_holm` over all arms and benchmarks of the report.
    """

    arm: str
    benchmark: str
    problems: int
    clusters: int | None
    seeds: tuple[int, int]
    passed: dict[str, Any]
    tokens: dict[str, Any] | None
    seconds: dict[str, Any] | None
    only: tuple[int, int]
    left_out: Sequence[str]


def benchmarks_of(arms: Sequence[Arm]) -> list[str]:
    """All benchmarks, in the order in which they are met."""
    return list(dict.fromkeys(name for arm in arms for run in arm.runs for name in run.benchmarks))


def result_of(arm: Arm, benchmark: str, outcomes: Mapping[str, int]) -> ArmResult | None:
    """What an arm comes to on a benchmark; None if it did not attempt it."""
    runs = arm.of(benchmark)
    if not runs:
        return None
    merged = _merged_seeds(runs, benchmark).benchmarks[benchmark]
    rates, clusters = merged.shares, _clusters(merged, merged.shares)
    entries = [run.entry(benchmark) for run in runs]
    costs = [entry.get("efficiency") or {} for entry in entries]
    return ArmResult(
        arm=arm.name,
        benchmark=benchmark,
        problems=len(rates),
        clusters=None if clusters is None else len(set(clusters)),
        attempted=len({task_id for run in runs for task_id in run.benchmarks[benchmark].attempted}),
        seeds=len(runs),
        passed=mean(list(rates.values())),
        interval=_interval(runs, benchmark, rates, clusters),
        tokens=_mean_cost(runs, benchmark, "tokens"),
        seconds=_mean_cost(runs, benchmark, "seconds"),
        latency=_mean_known([cost.get("batch_wall_s_per_sample") for cost in costs]),
        budget=next((run.summary.get("settings", {}).get("max_new_tokens") for run in runs), None),
        budgets=_budgets([entry.get("budgets") or [] for entry in entries], with_intervals=len(runs) == 1 and clusters is None),
        outcomes=outcomes,
        thinking=_mean_cost(runs, benchmark, "thinking"),
    )


def _mean_cost(runs: Sequence[PairedRun], benchmark: str, column: str) -> float | None:
    return mean([value for run in runs for value in run.benchmarks[benchmark].costs.get(column, {}).values()])


def _mean_known(values: Sequence[float | None]) -> float | None:
    return mean([value for value in values if value is not None])


def _budgets(of_seeds: Sequence[Sequence[Mapping[str, Any]]], *, with_intervals: bool) -> list[BudgetPoint]:
    """The points of the curve over budgets: those that every seed has."""
    by_budget = [{row["budget"]: row for row in rows if row.get("pass@1") is not None} for rows in of_seeds]
    shared = [budget for budget in by_budget[0] if all(budget in rows for rows in by_budget)]
    points = list[BudgetPoint]()
    for budget in sorted(shared):
        rows = [rows[budget] for rows in by_budget]
        interval = rows[0]["interval"] if with_intervals else None
        means = [_mean_known([row.get(name) for row in rows]) for name in ("pass@1", "tokens_mean", "request_s_mean")]
        points.append(BudgetPoint(budget, means[0] or 0.0, interval, means[1], means[2]))
    return points


def _merged_seeds(runs: Sequence[PairedRun], benchmark: str) -> PairedRun:
    """The seeds of an arm on one benchmark as one run: the mean of each problem that was judged in all of them."""
    seeds = [run.benchmarks[benchmark] for run in runs]
    attempted = tuple(dict.fromkeys(task_id for seed in seeds for task_id in seed.attempted))
    costs = {column: _means([seed.costs.get(column, {}) for seed in seeds]) for column in ("tokens", "seconds")}
    merged = replace(seeds[0], attempted=attempted, shares=_means([seed.shares for seed in seeds]), costs=costs)
    return replace(runs[0], benchmarks={benchmark: merged})


def _means(of_seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    everywhere = [task_id for task_id in of_seeds[0] if all(task_id in values for values in of_seeds)]
    return {task_id: sum(values[task_id] for values in of_seeds) / len(of_seeds) for task_id in everywhere}


def _shares(runs: Sequence[PairedRun], benchmark: str, problems: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.array([[run.benchmarks[benchmark].shares[task_id] for run in runs] for task_id in problems], dtype=np.float64)


def _interval(
    runs: Sequence[PairedRun], benchmark: str, rates: Mapping[str, float], clusters: Sequence[str] | None
) -> Sequence[float] | None:
    """The interval of Pass@1, the mean of the rates of all problems; None without any."""
    if not rates:
        return None
    if len(runs) > 1:
        low, high, _ = crossed_spread(_shares(runs, benchmark, list(rates)), clusters=clusters)
    else:
        low, high = pass_interval(list(rates.values()))
        if clusters is not None:  # which never make it narrower
            wide = mean_difference(list(rates.values()), clusters).interval()
            low, high = min(low, wide[0]), max(high, wide[1])
    return max(0.0, low), min(1.0, high)


def _clusters(found: Measured, problems: Iterable[str]) -> list[str] | None:
    """The cluster of each problem; None if none was asked for."""
    return None if found.clusters is None else [found.clusters[task_id] for task_id in problems]


def unequal_benchmarks(arms: Sequence[Arm]) -> list[str]:
    """The benchmarks on which the arms have other problems than each other, so that their figures are no ranking."""
    found = list[str]()
    for benchmark in benchmarks_of(arms):
        judged = [set(_merged_seeds(runs, benchmark).benchmarks[benchmark].shares) for arm in arms if (runs := arm.of(benchmark))]
        found += [benchmark] if any(problems != judged[0] for problems in judged) else []
    return found


def differences_of(arms: Sequence[Arm], reference: Arm) -> tuple[list[Difference], list[str]]:
    """Every other arm against the reference on every benchmark that both have, and what hinders or blurs a comparison."""
    found, notes = list[Difference](), list[str]()
    for benchmark in benchmarks_of(arms):
        if not reference.of(benchmark):
            notes.append(f"nothing is compared on {benchmark}, since {reference.name}, the reference, has no run of it")
            continue
        for arm in arms:
            if arm is reference or not arm.of(benchmark):
                continue
            try:
                difference, differs = _difference(arm, reference, benchmark)
            except UsageError as error:
                why = str(error).removeprefix(f"{benchmark}: ")
                notes.append(f"{arm.name} is not compared with {reference.name} on {benchmark}: {why}")
                continue
            found.append(difference)
            notes += [f"{arm.name} differs from {reference.name} in {text}" for text in differs]
    for name in ("passed", "tokens", "seconds"):
        parts = [part for one in found if (part := getattr(one, name)) is not None]
        for part, p in zip(parts, holm([part["p"] for part in parts]), strict=True):
            part["p_holm"] = p
    return found, list(dict.fromkeys(notes))


def _difference(arm: Arm, reference: Arm, benchmark: str) -> tuple[Difference, list[str]]:
    ours, theirs = arm.of(benchmark), reference.of(benchmark)
    one, other = _merged_seeds(theirs, benchmark), _merged_seeds(ours, benchmark)
    compared = compare(one, other, common=True)
    entry = compared["benchmarks"][0]
    passed = dict(entry["pass"])
    if len(ours) + len(theirs) > 2:
        both = [task_id for task_id in one.benchmarks[benchmark].shares if task_id in other.benchmarks[benchmark].shares]
        clusters = _clusters(one.benchmarks[benchmark], both)
        units = "problems" if clusters is None else "clusters"
        spread = crossed_spread(_shares(ours, benchmark, both), _shares(theirs, benchmark, both), clusters)
        passed |= {"interval": [max(-1.0, spread.low), min(1.0, spread.high)], "interval_by": f"bootstrap over {units} and seeds"}
        passed["smallest_difference"] = ERRORS_TO_SHOW * spread.deviation
    seeds, only = (len(theirs), len(ours)), (entry["only_a"], entry["only_b"])
    tokens, seconds = (dict(part) if (part := entry[name]) else None for name in ("tokens", "seconds"))
    found = Difference(
        arm=arm.name,
        benchmark=benchmark,
        problems=entry["problems"],
        clusters=entry.get("clusters"),
        seeds=seeds,
        passed=passed,
        tokens=tokens,
        seconds=seconds,
        only=only,
        left_out=entry["left_out"],
    )
    return found, compared["differs"]
