"""Scoring a file of attempts, ours or another tool's, without a model."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from asap.atomic import replacing
from asap.benchmarks.load import Benchmark
from asap.dataset import Rejected
from asap.errors import InputError
from asap.evaluate.attempt import Attempt, read_attempts
from asap.evaluate.comparer import Comparer
from asap.evaluate.extract import Extract
from asap.evaluate.judge import Judge, OnProgress, verdicts_of
from asap.evaluate.ledger import Ledger
from asap.evaluate.opened import OpenedPrompts
from asap.evaluate.reference import LimitSettings
from asap.evaluate.summary import figures, summary_markdown
from asap.evaluate.told import told
from asap.ownership import refuse_sources
from asap.sandbox import Sandbox
from asap.think_tags import TagTable, table_with
from asap.versions import __version__

SCORED_FILES = ("verdicts.jsonl", "rejected.jsonl", "summary.json", "summary.md")


def score_file(
    path: Path,
    benchmark: Benchmark,
    out: Path,
    sandbox: Sandbox | None,
    *,
    comparer: Comparer | None = None,
    extract: Extract = "benchmark",
    think_tags: str | None = None,
    limits: LimitSettings | None = None,
    workers: int = 2,
    on_progress: OnProgress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Judge every attempt of a file. Writes verdicts.jsonl, rejected.jsonl, summary.json and summary.md into `out`.

    Returns what summary.json holds. Raises InputError for a file without a usable row.
    """
    limits = limits or LimitSettings()
    refuse_sources(out, [path], SCORED_FILES)
    rejected = list[Rejected]()
    table = table_with(think_tags)
    prompts = OpenedPrompts.seen_in(_attempts(path, benchmark, [], table))
    attempts = prompts.told(_attempts(path, benchmark, rejected, table))
    first = next(attempts, None)
    if first is None:
        why = f"; the first is: line {rejected[0].line}, {rejected[0].detail}" if rejected else ""
        raise InputError(f"{path}: none of its {len(rejected)} rows is an attempt at {benchmark.name}{why}")
    with Ledger.open(out) as ledger:
        ledger.claim_files(*SCORED_FILES)
        judge = Judge(sandbox, ledger, limits, workers, on_progress, comparer)
        verdicts = verdicts_of(judge, benchmark, chain([first], attempts), extract)
        settings = {"attempts": str(path), "benchmarks": [benchmark.name], "extract": extract, "limits": asdict(limits)}
        settings |= {"problems": benchmark.file} if benchmark.file else {}
        settings |= {"think_tags": think_tags} if think_tags else {}
        settings |= judged_by(sandbox, comparer)
        entry = {**figures(benchmark, verdicts), "rejected": len(rejected)}
        entry |= {"opened_assumed": prompts.assumed} if prompts.assumed else {}
        write_rows(out / "verdicts.jsonl", verdicts)
        write_rows(out / "rejected.jsonl", [row.as_row() for row in rejected])
        return write_summary(out, [entry], settings)


def judged_by(sandbox: Sandbox | None, comparer: Comparer | None) -> dict[str, Any]:
    """The settings of what judges: packages that solutions may import, and the versions by which results are compared."""
    compared = {"compared_by": comparer.version} if comparer and comparer.rules else {}
    return {**(sandbox.packages.setting() if sandbox else {}), **compared}


def _attempts(path: Path, benchmark: Benchmark, rejected: list[Rejected], table: TagTable) -> Iterator[Attempt]:
    """The attempts in a file; its other rows are appended to `rejected`."""
    problems = {problem.task_id: problem for problem in benchmark.problems}
    for row in read_attempts(path, list(problems), benchmark.name, table):
        if isinstance(row, Attempt):
            kind, text = told(problems[row.task_id], row.kind, row.text, row.table)
            yield replace(row, kind=kind, text=text)
        else:
            rejected.append(row)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A JSONL file, whole or not at all."""
    with replacing(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_summary(out: Path, entries: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """summary.json and summary.md."""
    summary = {"asap": __version__, "settings": dict(settings), "benchmarks": list(entries)}
    with replacing(out / "summary.json") as file:
        json.dump(summary, file, indent=2, ensure_ascii=False)
        file.write("\n")
    with replacing(out / "summary.md") as file:
        file.write(summary_markdown(entries, settings))
    return summary
