"""One run as a comparison reads it: for each benchmark how often each problem was solved, and what its answers cost.

It is an output folder of ours or a log of another tool. Of several metrics in a log the one that is asked for counts; none is preferred.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from asap.dataset.jsonl import read_json
from asap.errors import InputError, UsageError
from asap.evaluate.logs import Logged, read_log, verdict_answers
from asap.sample import id_text

Rates = dict[str, float]
COSTS = ("tokens", "seconds", "thinking")
"""What is known of answers beside their scores."""


@dataclass(frozen=True)
class Measured:
    """What one benchmark of a run has, by problem. `shares` lacks the problems of which no answer could be judged."""

    attempted: tuple[str, ...]
    metric: str
    shares: Rates
    """The share of answers that are right, or the mean of a graded value."""
    graded: bool
    """Whether some answer is neither right nor wrong but something between."""
    costs: Mapping[str, Rates]
    """Mean tokens and seconds, and the share of answers that thought to the end."""
    clusters: Mapping[str, str] | None
    """The cluster of each problem that has one; None if none was asked for."""
    digests: Mapping[str, str]


@dataclass(frozen=True)
class PairedRun:
    """A run to be compared: an output folder of ours, or the file or folder of a log. `summary` is what ours says; empty for a log."""

    folder: Path
    benchmarks: Mapping[str, Measured]
    summary: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None

    def entry(self, benchmark: str) -> Mapping[str, Any]:
        """What the summary says about a benchmark."""
        return next((entry for entry in self.summary.get("benchmarks", []) if entry["benchmark"] == benchmark), {})


def read_run(path: Path, *, metric: str | None = None, cluster: str | None = None) -> PairedRun:
    """The run in an output folder of `asap evaluate` or `asap score`, or in a log of another tool. Raises InputError.

    `metric` chooses one of a log's metrics, and `cluster` names the column of problems that belong together. Raises UsageError for a
    metric that the log lacks, or if it has several and none is chosen.
    """
    if not (path / "verdicts.jsonl").is_file() and not (path / "summary.json").is_file():
        log = read_log(path)
        return PairedRun(path, _measured(path, log.answers, metric, cluster), model=log.model)
    if not (path / "verdicts.jsonl").is_file() or not (path / "summary.json").is_file():
        raise InputError(f"{path} holds no verdicts.jsonl and summary.json, so it is not a finished run of asap evaluate or asap score")
    summary = read_summary(path / "summary.json")
    model = summary.get("settings", {}).get("model", {}).get("spec")
    return PairedRun(path, _measured(path, verdict_answers(path / "verdicts.jsonl"), None, cluster), summary, model)


def read_summary(path: Path) -> dict[str, Any]:
    """What a summary.json says, as far as a comparison reads it. Raises InputError."""
    found = read_json(path)
    if not isinstance(found, dict) or not _is_summary(found):
        raise InputError(f"{path} is not what asap writes; run asap evaluate or asap score again")
    return found


def _is_summary(found: Mapping[str, Any]) -> bool:
    settings, entries = found.get("settings", {}), found.get("benchmarks")
    if not isinstance(settings, dict) or not isinstance(settings.get("model", {}), dict) or not isinstance(entries, list):
        return False
    return all(isinstance(entry, dict) and isinstance(entry.get("benchmark"), str) for entry in entries)


def _measured(path: Path, answers: Iterable[Logged], metric: str | None, cluster: str | None) -> dict[str, Measured]:
    """What is known of each benchmark that has the metric."""
    by_benchmark: dict[str, list[Logged]] = defaultdict(list)
    for answer in answers:
        by_benchmark[answer.benchmark].append(answer)
    names = {name: sorted({metric for answer in found for metric in answer.scores}) for name, found in by_benchmark.items()}
    chosen = {name: one for name, has in names.items() if (one := _chosen(path, name, has, metric)) is not None}
    if not chosen and by_benchmark:
        if metric is None:
            raise InputError(
                f"{path}: none of its {sum(map(len, by_benchmark.values()))} answers has a score; each may have ended in an error"
            )
        has = "; ".join(f"{name} has {', '.join(found) or 'none'}" for name, found in names.items())
        raise UsageError(f"{path} has no metric {metric!r}: {has}")
    return {name: _benchmark(path, by_benchmark[name], one, cluster) for name, one in chosen.items()}


def _chosen(path: Path, benchmark: str, has: Sequence[str], metric: str | None) -> str | None:
    """The metric that counts; lm-evaluation-harness' METRIC,FILTER also by METRIC where it has one filter. None if there is no such."""
    found = [name for name in has if metric is None or name == metric] or [name for name in has if name.partition(",")[0] == metric]
    if len(found) > 1:
        raise UsageError(
            f"{path}, {benchmark}: there are several metrics ({', '.join(found)}); choose one with --metric, such as --metric {found[0]}"
        )
    return found[0] if found else None


def _benchmark(path: Path, answers: Sequence[Logged], metric: str, cluster: str | None) -> Measured:
    scores: dict[str, list[float]] = {answer.task_id: [] for answer in answers}
    costs: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in COSTS}
    seen, clusters, digests = set[tuple[str, str]](), dict[str, str](), dict[str, str]()
    for answer in answers:
        if metric not in answer.scores and answer.scores:
            continue  # of another filter
        if answer.repeat is not None and (answer.task_id, answer.repeat) in seen:
            raise InputError(f"{path}, {answer.benchmark}: the problem {answer.task_id!r} is there twice, so several runs are in one log")
        seen.add((answer.task_id, answer.repeat or ""))
        scores[answer.task_id] += _score(path, answer, metric)
        for column, value in zip(COSTS, (answer.tokens, answer.seconds, answer.thinking), strict=True):
            if value is not None:
                costs[column][answer.task_id].append(value)
        named = id_text(answer.columns.get(cluster)) if cluster else None
        clusters |= {answer.task_id: named} if named is not None else {}
        digests |= {answer.task_id: answer.problem} if answer.problem else {}
    graded = any(score not in (0.0, 1.0) for found in scores.values() for score in found)
    means = {column: _means(found) for column, found in costs.items() if found}
    return Measured(tuple(scores), metric, _means(scores), graded, means, clusters if cluster else None, digests)


def _score(path: Path, answer: Logged, metric: str) -> list[float]:
    """The score of an answer in a list; an empty one if it could not be judged."""
    value = answer.scores.get(metric)
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return []
    if not isinstance(value, (bool, int, float)) or not 0 <= value <= 1:
        where = f"{path}, {answer.benchmark}, problem {answer.task_id!r}"
        raise InputError(f"{where}: {metric} is {value!r:.40}; a result is true, false or a number from 0 to 1")
    return [float(value)]


def _means(found: Mapping[str, Sequence[float]]) -> Rates:
    return {task_id: sum(values) / len(values) for task_id, values in found.items() if values}
