"""Judging attempts, programs in the sandbox and results by comparison: each distinct one of a problem once, kept as soon as it is known.

A timeout by wall time alone may be the fault of a busy machine: it is judged again, alone, at the end. A fault of the sandbox's
(`infra`, which it tried twice) is reported; it counts neither as passed nor as failed, and the same command tries it again. So is
every attempt at a problem that is left out, because its own reference solution does not pass here or its tests cannot be run.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import GoldResult, Problem, Program
from asap.digest import content_digest
from asap.evaluate.attempt import Attempt
from asap.evaluate.comparer import Comparer
from asap.evaluate.extract import Extract, rule_of, whole_program
from asap.evaluate.ledger import Ledger
from asap.evaluate.reference import LimitSettings, Prepared, References, unreferenced
from asap.evaluate.thinking import thinking_of
from asap.sandbox import Sandbox
from asap.think import without_later_thoughts

OnProgress = Callable[[str, int, int], None]
"""Takes the name of the work, how much of it is done, and how much there is in all."""

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")
_AHEAD = 4  # jobs per worker that are handed out at a time


class Job(NamedTuple):
    """A program, or an answer with a result, to judge, and the key of its verdict. Where there is none, `why` says why not."""

    key: str
    problem: Problem
    program: str | None
    why: str = ""
    cut_off: bool = False


@dataclass(frozen=True)
class Judge:
    """Judges with some workers, and stores verdicts in the ledger. Results need no sandbox, programs no comparer."""

    sandbox: Sandbox | None
    ledger: Ledger
    limits: LimitSettings
    workers: int
    on_progress: OnProgress = lambda what, done, total: None
    comparer: Comparer | None = None

    def job(self, benchmark: Benchmark, problem: Problem, program: str | None, why: str = "", *, cut_off: bool = False) -> Job:
        """The job of judging a program or an answer; the same one under the same settings has the same key."""
        judged, settings = [why] if program is None else program, list[Any]()
        if isinstance(problem.check, GoldResult):
            assert self.comparer is not None, "results are compared"
            settings = [problem.check.gold, problem.check.rule, self.comparer.version, cut_off]
        else:
            assert self.sandbox is not None, "programs are run"
            settings = [asdict(self.limits), self.sandbox.identity]
        return Job(content_digest("verdict", benchmark.files, problem.task_id, judged, settings), problem, program, why, cut_off)

    def judge(self, jobs: Iterable[Job]) -> dict[str, dict[str, Any]]:
        """Judge the jobs that have no verdict yet. Returns the records of those that stay without one, by key."""
        open_jobs = {job.key: job for job in jobs}
        open_jobs = {key: job for key, job in open_jobs.items() if self.ledger.verdict(key) is None}
        prepared = self._prepared({job.problem.task_id: job.problem for job in open_jobs.values()})
        alone, failed, judgeable = list[Job](), dict[str, dict[str, Any]](), list[Job]()
        for job in open_jobs.values():
            ready = prepared[job.problem.task_id]
            if ready.fault:
                failed[job.key] = self._left_out(ready)
            elif job.program is None:
                failed[job.key] = self._unjudged(ready.problem, "no-answer", job.why)
            else:
                judgeable.append(job)

        def judged(job: Job) -> tuple[Job, dict[str, Any]]:
            return job, self._verdict(job, prepared[job.problem.task_id])

        for job, record in self._each("judged", judgeable, judged):
            if record["verdict"] == "infra":
                failed[job.key] = record  # not kept: the same command tries again
            elif record.get("wall_only"):
                alone.append(job)
            else:
                self.ledger.keep(job.key, record)
        for done, job in enumerate(alone, 1):
            record = {**self._verdict(job, prepared[job.problem.task_id]), "retried": True}
            if record["verdict"] == "infra":
                failed[job.key] = record
            else:
                self.ledger.keep(job.key, record)
            self.on_progress("judged again, alone", done, len(alone))
        return failed

    def left_out(self, problems: Iterable[Problem]) -> dict[str, dict[str, Any]]:
        """The problems that nobody can be judged on, by id, with the record of any attempt at them."""
        prepared = self._prepared({problem.task_id: problem for problem in problems})
        return {task_id: self._left_out(ready) for task_id, ready in prepared.items() if ready.fault}

    def _left_out(self, ready: Prepared) -> dict[str, Any]:
        assert ready.fault is not None, "only such are left out"
        needs = {"needs": ready.fault.needs} if ready.fault.needs else {}
        return {**self._unjudged(ready.problem, "infra", ready.fault.detail), "left_out": ready.fault.why, **needs}

    def _prepared(self, problems: Mapping[str, Problem]) -> dict[str, Prepared]:
        """The problems with their limits. A reference that fails gets a second chance when nothing else runs."""
        prepared = {name: unreferenced(problem, self.limits) for name, problem in problems.items() if isinstance(problem.check, GoldResult)}
        programs = {name: problem for name, problem in problems.items() if name not in prepared}
        if self.sandbox is None or not programs:
            return prepared
        references = References(self.sandbox, self.limits)
        prepared |= dict(self._each("reference solutions", programs.items(), lambda item: (item[0], references.prepare(item[1]))))
        again = [name for name in problems if not prepared[name].settled]
        for done, name in enumerate(again, 1):
            prepared[name] = references.prepare(problems[name], again=True)
            self.on_progress("reference solutions again, alone", done, len(again))
        return prepared

    def _verdict(self, job: Job, prepared: Prepared) -> dict[str, Any]:
        assert job.program is not None, "only these are handed out"
        check = prepared.problem.check
        if isinstance(check, GoldResult):
            assert self.comparer is not None, "its job was made with one"
            compared = self.comparer.compare(check.gold, job.program, check.rule, cut_off=job.cut_off)
            return _result_record(compared.verdict, compared.detail)
        assert self.sandbox is not None, "its job was made with one"
        verdict = self.sandbox.judge(check, job.program, prepared.limits)
        return {**verdict.record(), "cpu_s": round(verdict.cpu_s, 4), "wall_s": round(verdict.wall_s, 4)}

    def _unjudged(self, problem: Problem, verdict: str, detail: str) -> dict[str, Any]:
        if isinstance(problem.check, GoldResult) or self.sandbox is None:
            return _result_record(verdict, detail)
        isolation = problem.check.isolation if isinstance(problem.check, Program) else "apart"
        used = {"cpu_s": 0.0, "wall_s": 0.0, "sandbox": self.sandbox.kind, "isolation": isolation}
        return {"verdict": verdict, "passed": False, **used, "detail": detail}

    def _each(self, what: str, items: Iterable[_Item], work: Callable[[_Item], _Outcome]) -> Iterable[_Outcome]:
        """The outcomes of the items as they come, `workers` at a time."""
        waiting = list(items)
        total, done, waiting = len(waiting), 0, waiting[::-1]
        running = set[Future[_Outcome]]()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="judge")
        try:
            while waiting or running:
                while waiting and len(running) < self.workers * _AHEAD:
                    running.add(pool.submit(work, waiting.pop()))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    done += 1
                    self.on_progress(what, done, total)
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def verdicts_of(judge: Judge, benchmark: Benchmark, attempts: Iterable[Attempt], extract: Extract) -> list[dict[str, Any]]:
    """The records of verdicts.jsonl for attempts, in their order. No text is kept.

    Each attempt at a problem that is left out is `infra`, with the reason in `left_out`.
    """
    problems = {problem.task_id: problem for problem in benchmark.problems}
    asked = ((problems[attempt.task_id], attempt) for attempt in attempts)
    jobs = [
        (_head(benchmark, problem, attempt, extract), _job_of(judge, benchmark, problem, attempt, extract)) for problem, attempt in asked
    ]
    failed = judge.judge(job for _, job in jobs)
    records = list[dict[str, Any]]()
    for (head, measured), job in jobs:
        record = judge.ledger.verdict(job.key) or failed[job.key]
        records.append({**head, **record, **measured, **({"public_only": True} if problems[head["task_id"]].public_only else {})})
    return records


def _head(benchmark: Benchmark, problem: Problem, attempt: Attempt, extract: Extract) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a record says about its attempt: before the verdict, and after it."""
    measured = {name: attempt.measured[name] for name in ("tokens", "seconds") if name in attempt.measured}
    measured |= {"thinking": kind} if (kind := thinking_of(attempt)) else {}
    rule = {"extraction": rule_of(problem, extract)} if attempt.kind == "generation" or isinstance(problem.check, GoldResult) else {}
    return {"benchmark": benchmark.name, "task_id": attempt.task_id, "sample": attempt.sample, **rule}, measured


def _job_of(judge: Judge, benchmark: Benchmark, problem: Problem, attempt: Attempt, extract: Extract) -> Job:
    """The job of an attempt; without a program if it holds nothing to run, without an answer if its thinking never ends."""
    how: Any = {"cut_off": attempt.cut_off, "opened": attempt.opened, "table": attempt.table}
    is_result = isinstance(problem.check, GoldResult)
    program, why = _answer_of(attempt) if is_result else whole_program(problem, attempt.kind, attempt.text, extract, **how), ""
    if program is not None:
        pass
    elif attempt.answer is None:
        why = "the token budget ran out while the model was thinking" if attempt.cut_off else "the thinking never ends"
    else:
        why = "the token budget ran out before an answer" if attempt.cut_off else "there is no complete Python code block in the answer"
    return judge.job(benchmark, problem, program, why, cut_off=attempt.cut_off)


def _answer_of(attempt: Attempt) -> str | None:
    """All that follows the last thinking."""
    return None if attempt.answer is None else without_later_thoughts(attempt.answer)


def _result_record(verdict: str, detail: str) -> dict[str, Any]:
    return {"verdict": verdict, "passed": verdict == "pass", "detail": detail}
