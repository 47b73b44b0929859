"""Smaller token budgets from one greedy run: a run with budget b would have written the first b tokens of the same text.

So each text is cut after b of its tokens, tokenised anew, and the answer in the rest is judged. Seconds are scaled: the time to the
first token, then an even share for each further one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asap.benchmarks.load import Benchmark
from asap.evaluate.attempt import Attempt
from asap.evaluate.extract import Extract
from asap.evaluate.judge import Judge, verdicts_of
from asap.evaluate.metrics import mean
from asap.evaluate.summary import figures
from asap.lm.tokens import TokenCounter
from asap.think import OPENED


def budget_rows(
    judge: Judge, benchmark: Benchmark, attempts: Sequence[Attempt], budgets: Sequence[int], tokens: TokenCounter, extract: Extract
) -> list[dict[str, Any]]:
    """Pass@1, tokens and seconds for each budget, the smallest first."""
    rows = list[dict[str, Any]]()
    for budget in sorted(set(budgets)):
        cut = [at_budget(attempt, budget, tokens) for attempt in attempts]
        verdicts, _ = verdicts_of(judge, benchmark, cut, extract)
        found = figures(benchmark, verdicts)
        measured = [attempt.measured for attempt in cut]
        rows.append(
            {
                "budget": budget,
                **{name: found.get(name) for name in ("pass@1", "interval", "verdicts")},
                "tokens_mean": mean([row["tokens"] for row in measured]),
                "request_s_mean": mean([row["seconds"] for row in measured]),
                "budget_ran_out": sum(attempt.cut_off for attempt in cut),
            }
        )
    return rows


def at_budget(attempt: Attempt, budget: int, tokens: TokenCounter) -> Attempt:
    """The attempt as a run with this budget would have left it."""
    head = OPENED if attempt.measured.get("opened") and attempt.text.startswith(OPENED) else ""
    body = attempt.text[len(head) :]
    total, seconds = attempt.measured["tokens"], attempt.measured["seconds"]
    if total <= budget:
        return attempt
    ends = tokens.encode(body).ends
    kept = body[: int(ends[budget - 1])] if len(ends) > budget else body
    first_s = attempt.measured.get("ttft_s") or 0.0
    scaled_s = first_s + (seconds - first_s) * (budget - 1) / max(1, total - 1)
    return replace(attempt, text=head + kept, measured={**attempt.measured, "tokens": budget, "seconds": scaled_s, "stopped_by": "length"})
