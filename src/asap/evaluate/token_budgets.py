"""Smaller token budgets from one greedy run: a run with budget b would have written the first b tokens of the same text.

So each text is cut after b of its tokens, tokenised anew, and the answer in the rest is judged. Seconds are scaled: the time to the
first token, then an even share for each further one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from asap.benchmarks.load import Benchmark
from asap.evaluate.attempt import Attempt
from asap.evaluate.extract import Extract
from asap.evaluate.judge import Judge, verdicts_of
from asap.evaluate.metrics import mean
from asap.evaluate.summary import figures
from asap.lm.tokens import TokenCounter
from asap.think import head_of


def budget_rows(
    judge: Judge,
    benchmark: Benchmark,
    attempts: Callable[[], Iterable[Attempt]],
    budgets: Sequence[int],
    tokens: TokenCounter,
    extract: Extract,
) -> list[dict[str, Any]]:
    """Pass@1, tokens and seconds for each budget, the smallest first. `attempts` gives the attempts once more for each budget."""
    rows = list[dict[str, Any]]()
    for budget in sorted(set(budgets)):
        costs = list[tuple[int, float, bool]]()
        verdicts = verdicts_of(judge, benchmark, _at_budget(attempts(), budget, tokens, costs), extract)
        found = figures(benchmark, verdicts)
        rows.append(
            {
                "budget": budget,
                **{name: found.get(name) for name in ("pass@1", "interval", "verdicts")},
                "tokens_mean": mean([used for used, _, _ in costs]),
                "request_s_mean": mean([seconds for _, seconds, _ in costs]),
                "budget_ran_out": sum(cut_off for _, _, cut_off in costs),
            }
        )
    return rows


def _at_budget(attempts: Iterable[Attempt], budget: int, tokens: TokenCounter, costs: list[tuple[int, float, bool]]) -> Iterator[Attempt]:
    """The attempts as a run with this budget would have left them; tokens, seconds and whether it ran out are appended to `costs`."""
    for attempt in attempts:
        cut = at_budget(attempt, budget, tokens)
        costs.append((cut.measured["tokens"], cut.measured["seconds"], cut.cut_off))
        yield cut


def at_budget(attempt: Attempt, budget: int, tokens: TokenCounter) -> Attempt:
    """The attempt as a run with this budget would have left it."""
    head = head_of(attempt.text, attempt.table) if attempt.opened else ""
    body = attempt.text[len(head) :]
    total, seconds = attempt.measured["tokens"], attempt.measured["seconds"]
    if total <= budget:
        return attempt
    ends = tokens.encode(body).ends
    kept = body[: int(ends[budget - 1])] if len(ends) > budget else body
    first_s = attempt.measured.get("ttft_s") or 0.0
    scaled_s = first_s + (seconds - first_s) * (budget - 1) / max(1, total - 1)
    return replace(attempt, text=head + kept, measured={**attempt.measured, "tokens": budget, "seconds": scaled_s, "stopped_by": "length"})
