"""Two runs compared problem by problem: the differences, how sure they are, and how small a difference the problems could show."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from asap.dataset.jsonl import jsonl_rows, read_json
from asap.errors import InputError, UsageError
from asap.evaluate.metrics import mean
from asap.revealed import revealed
from asap.stats import holm, interval, mcnemar, smallest_difference, wilcoxon
from asap.tables import Table

_SETTINGS = ("max_new_tokens", "temperature", "top_p", "samples", "extract", "gamma", "concurrency", "limits")
_SMALLEST = "smallest that would show"
_OF_BENCHMARK = ("files", "wording", "sandbox", "public_tests_only")

Rates = dict[str, float]


@dataclass(frozen=True)
class PairedRun:
    """One output folder: for each benchmark the share of passing samples of each problem, and mean tokens and seconds.

    `attempted` has the problems of each benchmark, also those of which no attempt could be judged.
    """

    folder: Path
    summary: Mapping[str, Any]
    rates: Mapping[str, Rates]
    costs: Mapping[str, Mapping[str, Rates]]
    attempted: Mapping[str, Mapping[str, Any]]

    def entry(self, benchmark: str) -> Mapping[str, Any]:
        """What the summary says about a benchmark."""
        return next((entry for entry in self.summary["benchmarks"] if entry["benchmark"] == benchmark), {})


def read_run(folder: Path) -> PairedRun:
    """The run in an output folder of `asap evaluate` or `asap score`. Raises InputError."""
    if not (folder / "verdicts.jsonl").is_file() or not (folder / "summary.json").is_file():
        raise InputError(f"{folder} holds no verdicts.jsonl and summary.json, so it is not a finished run of asap evaluate or asap score")
    summary = read_json(folder / "summary.json")
    if not _is_summary(summary):
        raise InputError(f"{folder / 'summary.json'} is not what asap writes; run asap evaluate or asap score again")
    assert isinstance(summary, dict)
    gathered = _gathered(folder / "verdicts.jsonl", "passed")
    rates = {name: _means(found) for name, found in gathered.items()}
    costs = dict[str, dict[str, Rates]]()
    for column in ("tokens", "seconds"):
        for name, found in _gathered(folder / "verdicts.jsonl", column).items():
            costs.setdefault(name, {})[column] = _means(found)
    return PairedRun(folder, summary, rates, costs, gathered)


def _is_summary(found: object) -> bool:
    """Whether a value is that of a summary.json, as far as a comparison reads it."""
    if not isinstance(found, dict) or not isinstance(found.get("benchmarks"), list) or not isinstance(found.get("settings", {}), dict):
        return False
    named = all(isinstance(entry, dict) and isinstance(entry.get("benchmark"), str) for entry in found["benchmarks"])
    return named and isinstance(found.get("settings", {}).get("model", {}), dict)


def _gathered(path: Path, column: str) -> dict[str, dict[str, list[float]]]:
    """The values of a column by benchmark and problem; what the sandbox could not judge adds none."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for raw in jsonl_rows(path):
        row = raw.value or {}
        value, name, task_id = row.get(column), row.get("benchmark"), row.get("task_id")
        if not isinstance(value, (int, float)) or not isfinite(value):
            continue
        if not isinstance(name, str) or not isinstance(task_id, str):
            raise InputError(f"{path}, line {raw.line}: benchmark or task_id is missing, so this file was not written by asap")
        found[name][task_id] += [] if row.get("verdict") == "infra" else [float(value)]
    return found


def _means(found: Mapping[str, Sequence[float]]) -> Rates:
    return {task_id: sum(values) / len(values) for task_id, values in found.items() if values}


def compare(a: PairedRun, b: PairedRun, *, common: bool = False) -> dict[str, Any]:
    """B against A on each benchmark that both have. Raises UsageError if they have none, or different problems unless `common`."""
    shared = [name for name in a.attempted if name in b.attempted]
    if not shared:
        has = [f"{run.folder} has {', '.join(run.attempted) or 'nothing'}" for run in (a, b)]
        raise UsageError(f"{' and '.join(has)}: no benchmark is in both")
    entries = [_compared(name, a, b, common) for name in shared]
    adjusted = holm([entry["pass"]["p"] for entry in entries])
    for entry, p in zip(entries, adjusted, strict=True):
        entry["pass"]["p_holm"] = p
    return {"a": str(a.folder), "b": str(b.folder), "differs": _differences(a, b, shared), "benchmarks": entries}


def _compared(name: str, a: PairedRun, b: PairedRun, common: bool) -> dict[str, Any]:
    attempted = [task_id for task_id in a.attempted[name] if task_id in b.attempted[name]]
    both = [task_id for task_id in attempted if task_id in a.rates[name] and task_id in b.rates[name]]
    only = (len(a.attempted[name]) - len(attempted), len(b.attempted[name]) - len(attempted))
    if not attempted or (any(only) and not common):
        example = next(iter(set(a.attempted[name]) ^ set(b.attempted[name])))
        raise UsageError(
            f"the runs answer different problems of {name}: {only[0]} are only in {a.folder}, {only[1]} only in {b.folder}, such as "
            f"{example!r}; --common compares the {len(both)} that both have"
        )
    if not both:
        raise UsageError(f"{name}: none of the {len(attempted)} problems that both runs answer could be judged in both")
    entry: dict[str, Any] = {"benchmark": name, "problems": len(both), "only_a": only[0], "only_b": only[1]}
    entry["left_out"] = [task_id for task_id in attempted if task_id not in both]
    entry["pass"] = _pass([a.rates[name][task_id] for task_id in both], [b.rates[name][task_id] for task_id in both])
    for column in ("tokens", "seconds"):
        ours, theirs = (run.costs.get(name, {}).get(column, {}) for run in (a, b))
        pairs = [(ours[task_id], theirs[task_id]) for task_id in both if task_id in ours and task_id in theirs]
        entry[column] = _cost(pairs) if pairs else None
    return entry


def _pass(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Pass@1 of both; McNemar's exact test where each problem was tried once, else Wilcoxon's on the shares."""
    differences = [other - one for one, other in zip(a, b, strict=True)]
    only_a, only_b = sum(difference < 0 for difference in differences), sum(difference > 0 for difference in differences)
    single = all(share in (0.0, 1.0) for share in (*a, *b))
    return {
        "a": mean(a),
        "b": mean(b),
        "only_a": only_a,
        "only_b": only_b,
        "difference": mean(differences),
        "interval": list(interval(differences)),
        "test": "McNemar, exact" if single else "Wilcoxon, signed ranks",
        "p": mcnemar(only_a, only_b) if single else wilcoxon(differences),
        "smallest_difference": smallest_difference(differences),
    }


def _cost(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    differences = [other - one for one, other in pairs]
    return {
        "a": mean([one for one, _ in pairs]),
        "b": mean([other for _, other in pairs]),
        "difference": mean(differences),
        "interval": list(interval(differences)),
        "p": wilcoxon(differences),
        "smallest_difference": smallest_difference(differences),
    }


def _differences(a: PairedRun, b: PairedRun, shared: Sequence[str]) -> list[str]:
    """The settings in which B differs from A besides the model: they may explain the result."""
    found = list[str]()
    ours, theirs = a.summary.get("settings", {}), b.summary.get("settings", {})
    for name in _SETTINGS:
        if ours.get(name) != theirs.get(name):
            found.append(f"{name}: {_shown(ours.get(name))} and {_shown(theirs.get(name))}")
    engines = [run.summary.get("settings", {}).get("model", {}).get("engine") for run in (a, b)]
    if engines[0] != engines[1]:
        found.append(f"engine: {_shown(engines[0])} and {_shown(engines[1])}")
    for benchmark in shared:
        for name in _OF_BENCHMARK:
            one, other = a.entry(benchmark).get(name), b.entry(benchmark).get(name)
            if one != other:
                found.append(f"{benchmark}, {name}: {_shown(one)} and {_shown(other)}")
    return found


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def comparison_markdown(compared: Mapping[str, Any]) -> str:
    """The tables of a comparison."""
    parts = [revealed(f"A: {compared['a']}", keep=""), revealed(f"B: {compared['b']}", keep=""), ""]
    if compared["differs"]:
        parts += ["Besides the models these differ, and may be the reason for what is found:"]
        parts += [*(f"- {text}" for text in compared["differs"]), ""]
    parts += [_pass_table(compared["benchmarks"]).markdown()]
    for entry in compared["benchmarks"]:
        if left_out := entry["left_out"]:
            named = ", ".join(left_out[:3]) + (" …" if len(left_out) > 3 else "")
            parts += ["", f"{entry['benchmark']}: {len(left_out)} that one of the runs could not judge are in no pair: {named}."]
    costs = _cost_table(compared["benchmarks"])
    if costs.rows:
        parts += ["", costs.markdown()]
    tests = sorted({entry["pass"]["test"] for entry in compared["benchmarks"]})
    parts += ["", f"p of Pass@1: {', '.join(tests)}; over the benchmarks together by Holm. Intervals: paired bootstrap over problems."]
    parts += ["The last column is the difference that problems as many and as spread as these show with a power of 0.8 at 0.05."]
    parts += ["None of it covers another training run with another seed."]
    return "\n".join(parts)


def _pass_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    header = ["benchmark", "problems", "Pass@1 A", "B", "only A", "only B", "B - A", "95 % interval", "p", "p (Holm)", _SMALLEST]
    rows = [
        [
            entry["benchmark"],
            str(entry["problems"]),
            f"{found['a']:.4f}",
            f"{found['b']:.4f}",
            str(found["only_a"]),
            str(found["only_b"]),
            f"{found['difference']:+.4f}",
            _between(found["interval"], 4),
            f"{found['p']:.3g}",
            f"{found['p_holm']:.3g}",
            f"{found['smallest_difference']:.4f}",
        ]
        for entry in entries
        for found in [entry["pass"]]
    ]
    return Table(header, rows, "lr")


def _cost_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    header = ["benchmark", "", "A", "B", "B - A", "95 % interval", "p (Wilcoxon)", _SMALLEST]
    rows = [
        [
            entry["benchmark"],
            f"{column} per answer",
            f"{found['a']:,.2f}",
            f"{found['b']:,.2f}",
            f"{found['difference']:+,.2f}",
            _between(found["interval"], 2),
            f"{found['p']:.3g}",
            f"{found['smallest_difference']:,.2f}",
        ]
        for entry in entries
        for column, found in [("tokens", entry["tokens"]), ("seconds", entry["seconds"])]
        if found
    ]
    return Table(header, rows, "llr")


def _between(ends: Sequence[float], digits: int) -> str:
    return f"{ends[0]:+,.{digits}f} to {ends[1]:+,.{digits}f}"
