"""Sufficiency: a model gets the question and the pruned trace as its finished thinking and writes the answer; the row's tests judge it,
or its gold answer.

The answer begins like the target of support, and ends at once, since a model that was not trained to think would rather close with a
remark: code begins with an open block and ends with the closing fence; a result begins in an open box, and what follows the box does not
count, so that there is no room to derive it anew. Answers and verdicts are kept in the output folder by content, so nothing is written or
run twice. Decoding is greedy and ignores the model's sampling defaults. The answers of a row are written together, padded on the left,
since a step of a few answers takes little longer than one of a single answer. In float32 they are those that are written one by one; in
bfloat16 a near-tie may fall otherwise.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import GoldResult, Problem
from asap.digest import content_digest
from asap.errors import RowError, UsageError
from asap.evaluate.extract import code_of
from asap.evaluate.judge import Job, Judge
from asap.evaluate.stored import is_written
from asap.lm.causal_lm import CausalLM
from asap.lm.memory import within_memory
from asap.lm.prompt_style import default_context, render_context
from asap.lm.scorer import Scorer
from asap.lm.write import write_tokens, written_text
from asap.maths_result import last_boxed
from asap.prune.support import CODE_LEAD, RESULT_LEAD
from asap.sample import Sample
from asap.think_tags import CLOSED

CPU_BATCH_TOKENS = 32_768
"""The most tokens, padding and answers included, of the answers that a CPU writes together: 0.4 GB of keys and values with
Qwen2.5-Coder-0.5B in bfloat16, 1.9 GB with a 7B model. A GPU writes all of a row together.
"""


class _Form(NamedTuple):
    """How the answers to a problem begin, and the text at which they end."""

    lead: str
    stop: str


_CODE = _Form(CODE_LEAD, "\n```")
_RESULT = _Form(f"{RESULT_LEAD}\\boxed{{", "\n")


class _Prompt(NamedTuple):
    """What the model reads before it writes an answer, and the key under which the answer is kept."""

    key: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Sufficiency:
    """Checks whether an answer written after a trace passes. `benchmark` has a problem for each row, under the row's id."""

    scorer: Scorer
    judge: Judge
    benchmark: Benchmark
    max_new_tokens: int

    def __post_init__(self) -> None:
        if self.scorer.causal_lm is None:
            raise UsageError("only a transformers model can write answers here; name one as --judge")

    @property
    def _lm(self) -> CausalLM:
        assert self.scorer.causal_lm is not None, "checked at the start"
        return self.scorer.causal_lm

    @cached_property
    def _problems(self) -> dict[str, Problem]:
        return {problem.task_id: problem for problem in self.benchmark.problems}

    def passes(self, sample: Sample, traces: Sequence[str]) -> list[bool | None]:
        """Whether the answer after each trace passes the tests, or states the gold result.

        None if the row has neither, no answer fits, or there was no verdict.
        """
        problem = self._problems.get(sample.id)
        if problem is None:
            return [None] * len(traces)
        answers = self.answers(sample, traces)
        jobs = [None if answer is None else self._job(problem, answer) for answer in answers]
        failed = self.judge.judge(job for job in jobs if job is not None)
        return [None if answer is None else self._passed(job, failed) for answer, job in zip(answers, jobs, strict=True)]

    def _job(self, problem: Problem, answer: str) -> Job | None:
        """The job of judging an answer, of a result up to where its first box closes; None if it holds nothing to judge."""
        if isinstance(problem.check, GoldResult):
            closed = next((answer[: brace.end()] for brace in re.finditer("}", answer) if last_boxed(answer[: brace.end()])), None)
            return self.judge.job(self.benchmark, problem, closed or answer, cut_off=closed is None)
        program = code_of(answer, cut_off=True)
        return None if program is None else self.judge.job(self.benchmark, problem, program)

    def _form(self, sample: Sample) -> _Form:
        problem = self._problems.get(sample.id)
        return _RESULT if problem is not None and isinstance(problem.check, GoldResult) else _CODE

    def _passed(self, job: Job | None, failed: Mapping[str, Mapping[str, Any]]) -> bool | None:
        if job is None:
            return False
        record = self.judge.ledger.verdict(job.key) or failed[job.key]
        return None if record["verdict"] == "infra" else bool(record["passed"])

    def answers(self, sample: Sample, traces: Sequence[str]) -> list[str | None]:
        """The code block, or the result, that the model writes after each trace in `max_new_tokens` tokens; incomplete if these ran out.

        None if the model's context has no room for that many.
        """
        ledger, form = self.judge.ledger, self._form(sample)
        prompts = {trace: self._prompt(sample, trace, form.lead) for trace in traces}
        unwritten = (prompt for prompt in dict.fromkeys(prompts.values()) if ledger.found(prompt.key, is_written) is None)
        missing = [prompt for prompt in unwritten if self._fits(prompt)]
        missing.sort(key=lambda prompt: -len(prompt.ids))  # stable; like lengths share a batch
        together = len(missing)
        while missing:
            batch = missing[: min(together, self._room(missing[0]))]
            written = within_memory(partial(self._write, [prompt.ids for prompt in batch], form.stop))
            if written is None and len(batch) == 1:
                raise RowError("out_of_memory", f"{len(batch[0].ids):,} tokens and an answer did not fit into memory", sample.id)
            if written is None:
                together = len(batch) // 2
                continue
            for prompt, text in zip(batch, written, strict=True):
                ledger.keep(prompt.key, {"text": form.lead + text})
            missing = missing[len(batch) :]
        kept = [ledger.found(prompts[trace].key, is_written) for trace in traces]
        return [None if one is None else one["text"] for one in kept]

    def _prompt(self, sample: Sample, trace: str, lead: str) -> _Prompt:
        tokens = self.scorer.tokens
        before = f"{render_context(tokens, sample.prompt, default_context(tokens))}{trace}{CLOSED}{lead}"
        key = content_digest("answer", dict(self.scorer.identity), self.max_new_tokens, before)
        return _Prompt(key, tuple(tokens.input_ids(before)))

    def _room(self, longest: _Prompt) -> int:
        """How many answers are written together, the longest prompt included."""
        if not self._lm.stop_ids:
            return 1  # without these a stop string ends only all answers of a batch
        return sys.maxsize if self.scorer.batch_tokens else max(1, CPU_BATCH_TOKENS // (len(longest.ids) + self.max_new_tokens))

    def _fits(self, prompt: _Prompt) -> bool:
        return len(prompt.ids) + self.max_new_tokens <= self.scorer.context_tokens

    def _write(self, prompts: Sequence[Sequence[int]], stop: str) -> list[str]:
        return [written_text(self._lm, ids) for ids in write_tokens(self._lm, prompts, self.max_new_tokens, stop_strings=[stop])]
