"""One evaluation: generates missing answers, judges new ones, and writes attempts.jsonl, verdicts.jsonl and the summary.

References judge first, so that no model is asked about a problem that nobody can be judged on.

Both halves resume after an interruption. The key of a stored generation is made from model, question and settings, so two
benchmarks that ask the same question (HumanEval and HumanEval+) share it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import Problem, Program
from asap.digest import content_digest
from asap.errors import UsageError
from asap.evaluate.attempt import Attempt
from asap.evaluate.comparer import Comparer
from asap.evaluate.judge import Judge, OnProgress, verdicts_of
from asap.evaluate.ledger import Ledger
from asap.evaluate.plan import Plan
from asap.evaluate.reference import LimitSettings
from asap.evaluate.score import judged_by, write_rows, write_summary
from asap.evaluate.summary import efficiency, figures
from asap.evaluate.token_budgets import budget_rows
from asap.evaluate.writing import write_all
from asap.lm.generate import Generator, Request
from asap.ratio_marker import MARKER, marked
from asap.repetition import looping
from asap.sandbox import Sandbox
from asap.think import answer_starts, closes_unopened, opens_itself

_COSTS = ("tokens", "tokens_thinking", "seconds", "ttft_s", "stopped_by", "loop", "session")  # of an attempt; no text is among them


class Evaluation:
    """An evaluation into one output folder. First `leave_out` if answers will be judged, then `generate`, then `judge`."""

    def __init__(
        self,
        out: Path,
        benchmarks: Sequence[Benchmark],
        model: Generator,
        plan: Plan,
        on_progress: OnProgress = lambda what, done, total: None,
    ) -> None:
        plan.check()
        if plan.budgets and model.tokens is None:
            raise UsageError("--budgets counts in the model's tokens; name its tokenizer with --tokenizer")
        for benchmark in benchmarks:
            if unasked := [problem.task_id for problem in benchmark.problems if not problem.question]:
                raise UsageError(f"{benchmark.name}: {len(unasked)} problems have no question to ask, the first is {unasked[0]}")
        self._out = out
        self.benchmarks = [_distinct(benchmark) for benchmark in benchmarks]
        self._model = model
        self._plan = plan
        self._on_progress = on_progress
        self._left_out = dict[str, dict[str, dict[str, Any]]]()

    def leave_out(
        self, ledger: Ledger, sandbox: Sandbox | None, limits: LimitSettings, workers: int, comparer: Comparer | None = None
    ) -> None:
        """Run the reference solutions: a problem that falls out is asked of nobody, and its verdicts say why."""
        judge = Judge(sandbox, ledger, limits, workers, self._on_progress, comparer)
        self._left_out = {benchmark.name: judge.left_out(benchmark.problems) for benchmark in self.benchmarks}

    def _asked(self, benchmark: Benchmark) -> list[Problem]:
        return [problem for problem in benchmark.problems if problem.task_id not in self._left_out.get(benchmark.name, {})]

    def _unasked(self, benchmark: Benchmark) -> list[dict[str, Any]]:
        """The verdicts on answers that nobody was asked for."""
        left_out = self._left_out.get(benchmark.name, {})
        return [
            {"benchmark": benchmark.name, "task_id": task_id, "sample": sample, **record}
            for task_id, record in left_out.items()
            for sample in range(self._plan.samples)
        ]

    def generate(self, ledger: Ledger) -> None:
        """Have the model write missing answers, then write attempts.jsonl. Raises EndpointError and InputError; stored answers stay."""
        ledger.claim_files("attempts.jsonl")
        for benchmark in self.benchmarks:
            requests = {key: request for problem in self._asked(benchmark) for key, request in self._requests(problem).items()}
            missing = [key for key in requests if ledger.generation(key) is None]
            if missing:
                keeping = _Keeping(ledger, self._model, self._on_progress, len(requests) - len(missing), len(requests))
                before = {key for key in missing if ledger.has(_refused_key(key))}
                work = write_all(
                    self._model,
                    {key: requests[key] for key in missing},
                    keeping.keep,
                    self._plan.table,
                    refused_before=before,
                    on_refused=keeping.note_refusal,
                )
                asyncio.run(work)
        write_rows(self._out / "attempts.jsonl", (row for benchmark in self.benchmarks for row in self.rows(benchmark, ledger)))

    def judge(
        self, ledger: Ledger, sandbox: Sandbox | None, limits: LimitSettings, workers: int, comparer: Comparer | None = None
    ) -> dict[str, Any]:
        """Judge the answers without a verdict, and write verdicts.jsonl and the summary. Returns the summary."""
        ledger.claim_files("verdicts.jsonl", "summary.json", "summary.md")
        judge = Judge(sandbox, ledger, limits, workers, self._on_progress, comparer)
        all_verdicts, entries, engines = list[dict[str, Any]](), list[dict[str, Any]](), list[Any]()
        for benchmark in self.benchmarks:
            costs = list[dict[str, Any]]()
            verdicts = verdicts_of(judge, benchmark, self._attempts(benchmark, ledger, costs), self._plan.extract)
            verdicts += self._unasked(benchmark)
            all_verdicts += verdicts
            sessions = {cost["session"] for cost in costs}
            engines += [found for session in sorted(sessions) if (found := ledger.identity(session)) and found not in engines]
            entry = figures(benchmark, verdicts)
            entry["efficiency"] = efficiency(costs, *ledger.sessions(sessions), self._model.concurrency)
            if self._plan.budgets and self._model.tokens:
                again = partial(self._attempts, benchmark, ledger)
                entry["budgets"] = budget_rows(judge, benchmark, again, self._plan.budgets, self._model.tokens, self._plan.extract)
            entries.append(entry)
        write_rows(self._out / "verdicts.jsonl", all_verdicts)
        judged = {"limits": asdict(limits), **judged_by(sandbox, comparer)}
        return write_summary(self._out, entries, {**self.settings(), "model": engines[-1], "sessions": engines, **judged})

    def settings(self) -> dict[str, Any]:
        """The settings in summary.json."""
        plan = {name: value for name, value in asdict(self._plan).items() if name not in ("gamma_marker", "think_tags")}
        plan |= {"gamma_marker": self._plan.gamma_marker} if self._plan.gamma is not None else {}
        plan |= {"think_tags": self._plan.think_tags} if self._plan.think_tags else {}
        return {"benchmarks": [benchmark.name for benchmark in self.benchmarks], **plan, "concurrency": self._model.concurrency}

    def _attempts(self, benchmark: Benchmark, ledger: Ledger, costs: list[dict[str, Any]] | None = None) -> Iterator[Attempt]:
        """The attempts of one benchmark, in its order; what each one cost is appended to `costs`."""
        for row in self.rows(benchmark, ledger):
            text = row.pop("generation")
            del row["asked"]
            if costs is not None:
                costs.append({name: row[name] for name in _COSTS})
            yield Attempt(row["task_id"], row["sample"], "generation", text, row, self._plan.table)

    def rows(self, benchmark: Benchmark, ledger: Ledger) -> Iterator[dict[str, Any]]:
        """The rows of attempts.jsonl for one benchmark, in its order."""
        asked = [(problem, key, request) for problem in self._asked(benchmark) for key, request in self._requests(problem).items()]
        sessions, hidden, table = set[int](), "", self._plan.table
        for _, key, _ in asked:
            row = _written(ledger, key)
            sessions.add(row["session"])
            hidden = hidden or closes_unopened(row["text"], table) or ""
        sent = {session: ledger.identity(session) for session in sessions}
        for problem, key, request in asked:
            row = _written(ledger, key)
            # a chat server does not tell that its template opens the thought; the answers that end one do
            opened = bool(hidden) and not row["opened"] and not opens_itself(row["text"], table)
            text = f"{hidden}\n{row['text']}" if opened else row["text"]
            measured = {name: row[name] for name in ("stopped_by", "prompt_tokens", "tokens", "ttft_s", "seconds", "session")}
            measured["opened"] = opened or row["opened"]
            unfinished = opened and answer_starts(text, table) is None
            thinking, answer = (row["tokens"], 0) if unfinished else (row["tokens_thinking"], row["tokens_answer"])
            yield {
                "benchmark": benchmark.name,
                "task_id": problem.task_id,
                "sample": request.draw,
                "asked": request.messages[-1]["content"],
                "generation": text,
                **measured,
                "tokens_thinking": thinking,
                "tokens_answer": answer,
                "share": round(row["tokens"] / self._plan.max_new_tokens, 4),
                "loop": looping(text),
                "model": self._model.identity.get("spec"),
                "max_new_tokens": self._plan.max_new_tokens,
                "temperature": self._plan.temperature,
                "samplers": sent[row["session"]].get("samplers"),
                "wording": benchmark.wording,
            }

    def _requests(self, problem: Problem) -> dict[str, Request]:
        """The requests about a problem, one for each sample, by the key of the stored answer."""
        plan = self._plan
        messages = [{"role": "user", "content": marked(problem.question, plan.gamma, plan.gamma_marker or MARKER)}]
        who = [self._model.identity.get(name) for name in ("spec", "model", "revision", "dtype", "sha256")]
        who += [revision] if (revision := self._model.identity.get("adapter_revision")) else []
        asked = [
            Request(messages, plan.max_new_tokens, plan.temperature, plan.top_p, draw=sample, kind="generation")
            for sample in range(plan.samples)
        ]
        how = [plan.max_new_tokens, plan.temperature, plan.top_p]
        return {content_digest("generation", who, messages, how, request.draw): request for request in asked}


class _Keeping:
    """Stores answers as they come. A session begins with its first request, so its time leaves out the loading of a model."""

    def __init__(self, ledger: Ledger, model: Generator, on_progress: OnProgress, done: int, total: int) -> None:
        self._ledger, self._model, self._on_progress = ledger, model, on_progress
        self._done, self._total = done, total
        self._session = 0
        self._started = float("inf")

    def keep(self, key: str, row: Mapping[str, Any]) -> None:
        """Store the row of an answer."""
        now = time.monotonic()
        if not self._session:
            self._session = self._ledger.begin_session(self._model.identity)
        self._started = min(self._started, now - row["seconds"])
        self._ledger.put_generated(key, row, self._session, now - self._started)
        self._done += 1
        self._on_progress("written", self._done, self._total)

    def note_refusal(self, key: str) -> None:
        """Remember that a request got no usable answer, from a server that answered others."""
        if self._done:
            self._ledger.put(_refused_key(key), True)


def _distinct(benchmark: Benchmark) -> Benchmark:
    """The benchmark without problems that ask and test the same as an earlier one: training rows often come in several trials."""
    first = dict[str, Problem]()
    for problem in benchmark.problems:
        tests = problem.check.source if isinstance(problem.check, Program) else problem.task_id
        first.setdefault(content_digest(problem.question, tests), problem)
    return replace(benchmark, problems=list(first.values()))


def _written(ledger: Ledger, key: str) -> dict[str, Any]:
    """The row of a stored answer."""
    row = ledger.generation(key)
    assert row is not None, "all answers are there before they are read"
    return row


def _refused_key(key: str) -> str:
    return f"refused-{key}"
