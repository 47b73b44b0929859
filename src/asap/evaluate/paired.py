"""Runs compared problem by problem: the differences, how sure they are, and how small a difference the problems could show.

docs/statistics.md says which test and interval is used when, and why.
"""

import json
from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np

from asap.errors import UsageError
from asap.evaluate.metrics import mean
from asap.evaluate.paired_run import COSTS, Measured, PairedRun
from asap.intervals import mean_difference, tango
from asap.lm.model_size import small_label
from asap.stats import holm, mcnemar, wilcoxon

_SETTINGS = ("max_new_tokens", "temperature", "top_p", "samples", "extract", "gamma", "concurrency", "limits")
_OF_BENCHMARK = ("files", "wording", "sandbox", "public_tests_only")


def compare(a: PairedRun, *others: PairedRun, common: bool = False) -> dict[str, Any]:
    """Each other run against A, on each benchmark that both have; p values are adjusted over all of these comparisons.

    Raises UsageError if two runs have no benchmark in common, or different problems unless `common`.
    """
    pairs: list[dict[str, Any]] = [{"b": str(b.folder), "differs": differing_settings(a, b), **_all_compared(a, b, common)} for b in others]
    entries = [entry for pair in pairs for entry in pair["benchmarks"]]
    for entry, p in zip(entries, holm([entry["pass"]["p"] for entry in entries]), strict=True):
        entry["pass"]["p_holm"] = p
    small = small_label(run.model for run in (a, *others))
    return {"a": str(a.folder), **({"label": small} if small else {}), **(pairs[0] if len(pairs) == 1 else {"runs": pairs})}


def _all_compared(a: PairedRun, b: PairedRun, common: bool) -> dict[str, Any]:
    shared = _shared(a, b)
    left_out = [
        [name for name in run.benchmarks if name not in these] for run, these in zip((a, b), zip(*shared, strict=True), strict=True)
    ]
    benchmarks = [_compared(a, name, b, other, common) for name, other in shared]
    return {"only_a": left_out[0], "only_b": left_out[1], "benchmarks": benchmarks}


def _shared(a: PairedRun, b: PairedRun) -> list[tuple[str, str]]:
    """The names of the benchmarks that both have, in A and in B. Tools name a benchmark differently in their logs, so if one of the runs
    is a log and each has one benchmark, they count as the same.
    """
    shared = [(name, name) for name in a.benchmarks if name in b.benchmarks]
    if not shared and len(a.benchmarks) == len(b.benchmarks) == 1 and not (a.summary and b.summary):
        shared = [(next(iter(a.benchmarks)), next(iter(b.benchmarks)))]
    if not shared:
        has = [f"{run.folder} has {', '.join(run.benchmarks) or 'nothing'}" for run in (a, b)]
        raise UsageError(f"{' and '.join(has)}: no benchmark is in both")
    return shared


def paired_problems(a: PairedRun, name: str, b: PairedRun, other: str, common: bool) -> tuple[list[str], list[str], tuple[int, int]]:
    """The problems that both runs answer, those of them that both could judge, and how many only A and only B has. Raises UsageError."""
    ours, theirs = a.benchmarks[name], b.benchmarks[other]
    has_a, has_b = set(ours.attempted), set(theirs.attempted)
    attempted = [task_id for task_id in ours.attempted if task_id in has_b]
    both = [task_id for task_id in attempted if task_id in ours.shares and task_id in theirs.shares]
    only = (len(has_a) - len(attempted), len(has_b) - len(attempted))
    if not attempted:
        raise UsageError(
            f"{name}: no problem is in both runs; {a.folder} has {_such_as(ours.attempted)}, {b.folder} has {_such_as(theirs.attempted)}"
        )
    if any(only) and not common:
        example = next(task_id for task_id in (*ours.attempted, *theirs.attempted) if task_id not in has_a or task_id not in has_b)
        raise UsageError(
            f"the runs answer different problems of {name}: {only[0]} are only in {a.folder}, {only[1]} only in {b.folder}, such as "
            f"{example!r}; --common compares the {len(both)} that both have"
        )
    for task_id in attempted:
        if ours.digests.get(task_id) != theirs.digests.get(task_id) and task_id in ours.digests and task_id in theirs.digests:
            raise UsageError(
                f"{name}: the problem {task_id!r} is another one in {b.folder} than in {a.folder}, so the runs cannot be paired"
            )
    if not both:
        raise UsageError(f"{name}: none of the {len(attempted)} problems that both runs answer could be judged in both")
    return attempted, both, only


def _such_as(problems: Sequence[str]) -> str:
    return f"{len(problems)}, such as {problems[0]!r}" if problems else "none"


def _compared(a: PairedRun, name: str, b: PairedRun, other: str, common: bool) -> dict[str, Any]:
    attempted, both, only = paired_problems(a, name, b, other, common)
    ours, theirs = a.benchmarks[name], b.benchmarks[other]
    entry: dict[str, Any] = {"benchmark": name, "problems": len(both), "only_a": only[0], "only_b": only[1]}
    if not (a.summary and b.summary):
        entry["metric"] = list(dict.fromkeys((ours.metric, theirs.metric)))
    entry["left_out"] = [task_id for task_id in attempted if task_id not in both]
    clusters = clusters_of(name, both, a, ours, b, theirs)
    if clusters:
        entry["clusters"] = len(set(clusters))
    shares = [[run.shares[task_id] for task_id in both] for run in (ours, theirs)]
    entry["pass"] = _pass(shares[0], shares[1], clusters) | ({"graded": True} if ours.graded or theirs.graded else {})
    for column in COSTS:
        costs = [run.costs.get(column, {}) for run in (ours, theirs)]
        priced = [task_id in costs[0] and task_id in costs[1] for task_id in both]
        pairs = [(costs[0][task_id], costs[1][task_id]) for task_id, is_priced in zip(both, priced, strict=True) if is_priced]
        named = [cluster for cluster, is_priced in zip(clusters, priced, strict=True) if is_priced] if clusters else None
        found = (_rates if column == "thinking" else _cost)(pairs, named) if pairs else None
        entry[column] = None if found is None else {"problems": len(pairs), **found}
    return entry


def clusters_of(name: str, problems: Sequence[str], a: PairedRun, ours: Measured, b: PairedRun, theirs: Measured) -> list[str] | None:
    """The cluster of each problem, by whichever run names it; None if none was asked for. Raises UsageError for a problem without one."""
    if ours.clusters is None and theirs.clusters is None:
        return None
    named = {**(theirs.clusters or {}), **(ours.clusters or {})}
    if lacking := [task_id for task_id in problems if task_id not in named]:
        raise UsageError(
            f"{name}: {len(lacking)} of {len(problems)} problems, such as {lacking[0]!r}, have nothing in the column of --cluster, neither "
            f"in {a.folder} nor in {b.folder}; leave --cluster out, or add the column"
        )
    return [named[task_id] for task_id in problems]


def _pass(a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None) -> dict[str, Any]:
    """The shares of both. Problems that are solved or not, each independent: McNemar and Tango; otherwise Wilcoxon and Student's t."""
    differences = [other - one for one, other in zip(a, b, strict=True)]
    only_a, only_b = sum(difference < 0 for difference in differences), sum(difference > 0 for difference in differences)
    single = not clusters and all(share in (0.0, 1.0) for share in (*a, *b))
    found = mean_difference(differences, clusters)
    return {
        "a": mean(a),
        "b": mean(b),
        "only_a": only_a,
        "only_b": only_b,
        "difference": found.mean,
        "interval": list(tango(only_a, only_b, len(a)) if single else _within(found.interval())),
        "interval_by": "Tango's score" if single else "Student's t",
        "test": "McNemar, exact" if single else "Wilcoxon, signed ranks",
        "p": mcnemar(only_a, only_b) if single else wilcoxon(cluster_means(differences, clusters)),
        "smallest_difference": found.smallest_difference(),
    }


def _rates(pairs: Sequence[tuple[float, float]], clusters: Sequence[Hashable] | None) -> dict[str, Any]:
    """The shares of both runs in pairs."""
    return _pass([one for one, _ in pairs], [other for _, other in pairs], clusters)


def _within(ends: tuple[float, float]) -> tuple[float, float]:
    """The part of an interval that a difference of shares can be in."""
    return max(-1.0, ends[0]), min(1.0, ends[1])


def _cost(pairs: Sequence[tuple[float, float]], clusters: Sequence[Hashable] | None) -> dict[str, Any]:
    differences = [other - one for one, other in pairs]
    found = mean_difference(differences, clusters)
    return {
        "a": mean([one for one, _ in pairs]),
        "b": mean([other for _, other in pairs]),
        "difference": found.mean,
        "interval": list(found.interval()),
        "p": wilcoxon(cluster_means(differences, clusters)),
        "smallest_difference": found.smallest_difference(),
    }


def cluster_means(values: Sequence[float], clusters: Sequence[Hashable] | None) -> Sequence[float]:
    """The mean of each cluster; the values themselves without clusters."""
    if not clusters:
        return values
    names = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    place = np.array([names[name] for name in clusters])
    return [float(one) for one in np.bincount(place, np.asarray(values, dtype=np.float64)) / np.bincount(place)]


def differing_settings(a: PairedRun, b: PairedRun, but: Collection[str] = ()) -> list[str]:
    """The settings in which B differs from A besides the model: they may explain the result. Nothing is known of those of other tools."""
    if not (a.summary and b.summary):
        return []
    found = list[str]()
    ours, theirs = a.summary.get("settings", {}), b.summary.get("settings", {})
    for name in _SETTINGS:
        if name not in but and ours.get(name) != theirs.get(name):
            found.append(f"{name}: {_shown(ours.get(name))} and {_shown(theirs.get(name))}")
    engines = [settings.get("model", {}).get("engine") for settings in (ours, theirs)]
    if "engine" not in but and engines[0] != engines[1]:
        found.append(f"engine: {_shown(engines[0])} and {_shown(engines[1])}")
    for benchmark in (name for name in a.benchmarks if name in b.benchmarks):
        for name in _OF_BENCHMARK:
            one, other = a.entry(benchmark).get(name), b.entry(benchmark).get(name)
            if one != other:
                found.append(f"{benchmark}, {name}: {_shown(one)} and {_shown(other)}")
    return found


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
