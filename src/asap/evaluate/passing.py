"""Which rows have a right answer: the row's own tests run on it in the sandbox, or it is compared with the row's gold answer.

The code of an answer is found by the rule of `asap score --benchmark traces:FILE`. What does not pass, and what nobody can tell, is
rejected by name: only a row that is known to be right passes. Every verdict is kept in the folder, so it is found once.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from asap.benchmarks.files import FileRow
from asap.benchmarks.gold import gold_of
from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import GoldResult, Problem, ResultRule
from asap.benchmarks.traces import problem_of
from asap.dataset import Shaped
from asap.dataset.source import Source
from asap.digest import content_digest
from asap.errors import InputError, RowError, UsageError
from asap.evaluate.comparer import Compared, Comparer
from asap.evaluate.extract import whole_program
from asap.evaluate.judge import Job, Judge
from asap.evaluate.ledger import Ledger
from asap.evaluate.reference import LimitSettings, has_tests
from asap.evaluate.stored import is_comparison
from asap.reading import NOT_JUDGED, ReadRow
from asap.sandbox import Sandbox, imported_modules

_ROWS = 128  # judged side by side
_NO_TESTS = "the row brings neither tests nor a gold answer, so nobody knows whether its answer is right"
_WHY = "there is no complete Python code block in the answer"


class Passing:
    """Rejects the rows without a right answer (a `reading.RowCheck`). Verdicts are kept in the folder of the run.

    `rule` is how answers are compared with gold answers.
    """

    def __init__(self, folder: Path, workers: int, rule: ResultRule) -> None:
        self._folder, self._workers = folder, workers
        self._rule: ResultRule = rule

    @property
    def settings(self) -> dict[str, Any]:
        """What the settings of a run say: that only right answers pass, and by which rule those of maths are compared."""
        return {"only_passing": True, "gold_rule": self._rule}

    def __call__(self, source: Source, rows: Iterator[ReadRow]) -> Iterator[ReadRow]:
        """The rows in order; those of other shards as they are. Raises UsageError without a sandbox, MissingExtra without math-verify."""
        modules, has_programs, has_gold = _needs(source)
        with ExitStack() as stack:
            ledger = stack.enter_context(Ledger.open(self._folder))
            sandbox = stack.enter_context(Sandbox.open(self._workers, imported=modules)) if has_programs else None
            judge = Judge(sandbox, ledger, LimitSettings(), self._workers) if sandbox else None
            comparer = stack.enter_context(Comparer.open(self._workers, [self._rule])) if has_gold else None
            judging = _Judging(source, ledger, judge, comparer, self._rule)
            while batch := list(islice(rows, _ROWS)):
                errors = judging.errors({row.position: row.result for row in batch if row.wanted and isinstance(row.result, Shaped)})
                for row in batch:
                    error = errors.get(row.position)
                    yield row._replace(result=error, digest=None) if error else row


def task_of(shaped: Shaped) -> Problem | str:
    """The row's tests as a problem, or else its gold answer. Raises RowError if it brings neither, or tests that cannot be used."""
    if shaped.sample.turn:
        raise RowError("no_tests", "the turns of a conversation have no tests or gold answers of their own")
    try:
        problem = problem_of(FileRow("the row", shaped.task), content_digest(json.dumps(dict(shaped.task), default=str, sort_keys=True)))
        if has_tests(problem):
            return problem
        error = RowError("no_tests", problem.untestable or _NO_TESTS)
    except InputError as unusable:
        error = RowError("bad_tests", str(unusable))
    except RowError as unusable:
        error = RowError(unusable.reason, _NO_TESTS if unusable.reason == "no_tests" else unusable.detail)
    gold = gold_of(shaped.task)
    if gold is None:
        raise error
    return gold


def rows_benchmark(source: Source) -> Benchmark:
    """The problems that rows bring, each under the id that its row has in a run. Raises InputError if no row brings one."""
    found, tasks, why, taken, copies = list[Problem](), list[str](), "", set[str](), dict[str, int]()
    for name, line, shaped in source.rows():
        try:
            if isinstance(shaped, RowError):
                raise shaped
            row_id = _id_in_run(shaped.sample.id, taken, copies)
            task = task_of(shaped)
        except RowError as error:
            why = why or f"{name}, line {line}: {error.detail}"
            continue
        if isinstance(task, Problem):
            found.append(replace(task, task_id=row_id))
            tasks += row_id, task.task_id  # the digest of the task
        else:
            found.append(Problem(row_id, "", None, GoldResult(task, "math-verify")))
            tasks += row_id, task
    if not found:
        raise InputError(f"no row can be judged ({why or 'there are no rows'}); --tests names a file with tests or gold answers by id")
    return Benchmark("rows", found, content_digest(tasks), "")


def _id_in_run(row_id: str, taken: set[str], copies: dict[str, int]) -> str:
    """The id, numbered if an earlier row has it (`Incoming.replace_input`), and noted as taken."""
    copy = copies.get(row_id, 1)
    while (name := row_id if copy == 1 else f"{row_id}#{copy}") in taken:
        copy += 1
    taken.add(name)
    copies[row_id] = copy
    return name


def _needs(source: Source) -> tuple[set[str], bool, bool]:
    """The modules that the tests of a source import, and whether any row has tests, or a gold answer. Reads it once more."""
    if pipes := [name for name in source.names if Path(name).exists() and not (Path(name).is_file() or Path(name).is_dir())]:
        raise UsageError(f"--only-passing reads its rows twice, which {pipes[0]} does not allow; write them to a file first")
    modules, has_programs, has_gold = set[str](), False, False
    for _, _, found in source.rows():
        try:
            task = None if isinstance(found, RowError) else task_of(found)
        except RowError:
            continue
        has_gold |= isinstance(task, str)
        if isinstance(task, Problem):
            has_programs = True
            modules |= {*imported_modules([task])}
    return modules, has_programs, has_gold


class _Judging(NamedTuple):
    """What judges, and where verdicts are kept."""

    source: Source
    ledger: Ledger
    judge: Judge | None
    comparer: Comparer | None
    rule: ResultRule

    def errors(self, rows: dict[int, Any]) -> dict[int, RowError]:
        """Why rows do not pass, by position; those that pass are missing."""
        errors, jobs, golds = dict[int, RowError](), dict[int, Job](), dict[int, str]()
        for position, shaped in rows.items():
            try:
                task = task_of(shaped)
            except RowError as error:
                errors[position] = error
                continue
            if isinstance(task, str):
                golds[position] = task
            else:
                jobs[position] = self._job(task, shaped)
        errors |= self._of_programs(jobs) | self._of_maths(golds, rows)
        return {position: RowError(error.reason, error.detail, rows[position].sample.id) for position, error in errors.items()}

    def _job(self, problem: Problem, shaped: Shaped) -> Job:
        assert self.judge is not None, "a row has tests, so the sandbox is open"
        program = whole_program(problem, "generation", shaped.sample.response, table=self.source.rules.table)
        return self.judge.job(Benchmark("rows", [problem], "", ""), problem, program, "" if program is not None else _WHY)

    def _of_programs(self, jobs: dict[int, Job]) -> dict[int, RowError]:
        if self.judge is None or not jobs:
            return {}
        failed = self.judge.judge(jobs.values())
        records = {position: self.ledger.verdict(job.key) or failed[job.key] for position, job in jobs.items()}
        return {position: error for position, record in records.items() if (error := _error(record))}

    def _of_maths(self, golds: dict[int, str], rows: dict[int, Shaped]) -> dict[int, RowError]:
        if self.comparer is None or not golds:
            return {}
        pairs = {position: (gold, rows[position].sample.answer) for position, gold in golds.items()}
        keys = {position: content_digest("maths", self.comparer.version, self.rule, *pair) for position, pair in pairs.items()}
        new = {keys[position]: pair for position, pair in pairs.items()}
        new = {key: pair for key, pair in new.items() if self.ledger.found(key, is_comparison) is None}
        with ThreadPoolExecutor(self.comparer.processes) as threads:
            compared = threads.map(lambda pair: self._compared(*pair), new.values())
            found = dict(zip(new, compared, strict=True))
        for key, one in found.items():
            if one.verdict != "infra":  # that may be the machine's fault: the same command tries again
                self.ledger.keep(key, list(one))
        verdicts = {position: found.get(key) or Compared(*self.ledger.found(key, is_comparison)) for position, key in keys.items()}
        return {position: _unequal(one) for position, one in verdicts.items() if one.verdict != "pass"}

    def _compared(self, gold: str, answer: str) -> Compared:
        assert self.comparer is not None, "a row has a gold answer, so the comparer is open"
        return self.comparer.compare(gold, answer, self.rule)


def _unequal(compared: Compared) -> RowError:
    """The reason why a compared answer is no pass."""
    if compared.verdict == "infra":
        return RowError(NOT_JUDGED, compared.detail)
    return RowError("answer_fails", f"{compared.verdict}: {compared.detail}")


def _error(record: dict[str, Any]) -> RowError | None:
    """The reason why a record of a verdict is no pass; None for one that is."""
    verdict, detail = record["verdict"], record.get("detail") or "no detail"
    if verdict == "pass":
        return None
    if "left_out" in record:
        return RowError("bad_tests", detail) if record["left_out"] == "tests" else RowError("reference_fails", detail)
    return RowError(NOT_JUDGED if verdict == "infra" else "answer_fails", f"{verdict}: {detail}")


def counted(source: Source) -> Sequence[tuple[str, int]]:
    """The number of rows of a source by how they would be judged, for dry runs; runs nothing."""
    found = {"tests to run": 0, "gold answers to compare": 0, "neither": 0}
    for _, _, row in source.rows():
        if isinstance(row, Shaped):
            try:
                found["tests to run" if isinstance(task_of(row), Problem) else "gold answers to compare"] += 1
            except RowError:
                found["neither"] += 1
    return [*found.items()]
