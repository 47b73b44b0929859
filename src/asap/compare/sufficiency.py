"""Sufficiency: a model gets the question and the pruned trace as its finished thinking and writes the answer; the row's tests judge it.

The answer begins with an open code block, like the target of support, and ends with the closing fence, since a model that was not
trained to think would rather close with a remark. Answers and verdicts are kept in the output folder by content, so nothing is
written or run twice. Decoding is greedy and ignores the model's sampling defaults.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import Problem
from asap.digest import content_digest
from asap.errors import UsageError
from asap.evaluate.extract import code_of
from asap.evaluate.judge import Judge
from asap.evaluate.ledger import Ledger
from asap.lm.prompt_style import default_context, render_context
from asap.lm.scorer import Scorer
from asap.lm.transformers import write_tokens, written_text
from asap.prune.support import CODE_LEAD
from asap.sample import Sample
from asap.think import CLOSED


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

    @cached_property
    def _problems(self) -> dict[str, Problem]:
        return {problem.task_id: problem for problem in self.benchmark.problems}

    def passes(self, sample: Sample, trace: str) -> bool | None:
        """Whether the answer passes the tests; None if the row has no tests, no answer fits, or the sandbox gave no verdict."""
        problem = self._problems.get(sample.id)
        answer = self.answer(sample, trace) if problem else None
        if problem is None or answer is None:
            return None
        program = code_of(answer)
        if program is None:
            return False
        job = self.judge.job(self.benchmark, problem, program)
        failed = self.judge.judge([job]).failed
        record = self.judge.ledger.get(job.key) or failed[job.key]
        return None if record["verdict"] == "infra" else bool(record["passed"])

    def answer(self, sample: Sample, trace: str) -> str | None:
        """The code block that the model writes after a trace, of at most `max_new_tokens` tokens; incomplete if these ran out.

        None if the model's context has no room for that many.
        """
        tokens = self.scorer.tokens
        before = f"{render_context(tokens, sample.prompt, default_context(tokens))}{trace}{CLOSED}{CODE_LEAD}"
        key = content_digest("answer", dict(self.scorer.identity), self.max_new_tokens, before)
        ledger: Ledger = self.judge.ledger
        kept = ledger.get(key)
        if kept is None:
            ids = tokens.input_ids(before)
            if len(ids) + self.max_new_tokens > self.scorer.context_tokens:
                return None
            kept = {"text": CODE_LEAD + self._write(ids)}
            ledger.put(key, kept)
        return str(kept["text"])

    def _write(self, ids: Sequence[int]) -> str:
        lm = self.scorer.causal_lm
        assert lm is not None, "checked at the start"
        [written] = write_tokens(lm, [ids], self.max_new_tokens, stop_strings=["\n```"])
        return written_text(lm, written)
