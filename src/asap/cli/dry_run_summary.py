"""What `asap prune --dry-run` and `--pilot` print."""

from typing import TYPE_CHECKING, Any, NamedTuple

from asap.cli.result import show
from asap.errors import InputError
from asap.prune.fine.removal import token_budget
from asap.prune.settings import AsapSettings
from asap.tables import number_of

if TYPE_CHECKING:
    from asap.dataset.source import Source
    from asap.dry_run import DryRun
    from asap.lm.spending import Price
    from asap.survey import Survey

_RATIOS = (0.75, 0.5, 0.25)
_BUDGETS = (8192, 4096, 2048, 1024)


class Pace(NamedTuple):
    """Who scores and where, on how many GPUs of this machine (0: none), and why the time is not known, if it is not."""

    scorer: str
    device: str
    gpus: int
    why_not: str


def show_dry_run(found: "DryRun", source: "Source", settings: AsapSettings, price: "Price | None", pace: Pace, *, piloted: bool) -> None:
    """Print what a run would read, score, remove, take and cost. Raises InputError, with the reasons, if no row is usable."""
    from asap.progress import estimate_lines
    from asap.run import no_usable_row

    survey = found.survey
    rejected_by = {reason: cases.count for reason, cases in sorted(survey.rejected.items())} | dict(survey.passed)
    if not survey.usable and source.shard is None:
        firsts = [f"{reason}, first {cases.first}: {cases.detail}" for reason, cases in survey.rejected.items()]
        raise InputError("; ".join([no_usable_row(source.names, rejected_by, survey.filtered), *firsts]))
    left_out = f"; not meeting --where: {survey.filtered:,}" if source.rules.where else ""
    passed = f"{survey.passed.total()} pass through, " if survey.passed else ""
    read = f"{number_of(survey.rows, 'row')} read{survey.of_conversations}"
    lines = [f"{read}: {survey.usable} usable, {passed}{survey.unusable} rejected{left_out}"]
    lines += [f"  {reason}: {count}" for reason, count in rejected_by.items()]
    lines.append(
        f"{survey.trace_tokens:,} tokens of traces (longest {max(survey.tokens, default=0):,}); {_reading(found, settings)}. "
        f"{'Only replies were' if piloted else 'Nothing was'} written."
    )
    if finding := survey.questions.finding():
        lines.append(f"questions: {finding}")
    lines += [f"{name}: {text}" for name, text in (*_stages(found, settings), *_left(survey, settings), *_time(found, pace)) if text]
    if found.asked:
        lines += estimate_lines(found.asked.estimate, price)
    show("\n".join(lines), **_fields(found, settings, rejected_by, price))


def _stages(found: "DryRun", settings: AsapSettings) -> list[tuple[str, str]]:
    """What is known of the steps that the stages remove before they have run."""
    if (tried := found.tried) and tried.rows:
        told = (
            f"of the first {tried.rows:,} rows it removed {tried.steps_coarse:,} of {tried.steps:,} steps, stage 2 {tried.steps_fine:,}: "
        )
        return [("stage 1", f"{told}{tried.tokens_before:,} -> {tried.tokens_coarse:,} -> {tried.tokens_after:,} tokens")]
    over = f"{found.over_budget:,} of {found.survey.usable:,} traces are over their budget; stage 2 cuts these to it"
    within = ", and leaves the others as stage 1 left them" if settings.stage_1 != "none" else ", and leaves the others as they are"
    return [("stage 1", _stage_1(found, settings)), ("stage 2", f"{over}{within}")]


def _stage_1(found: "DryRun", settings: AsapSettings) -> str:
    """What is known of stage 1; empty if there is none."""
    also = "also from traces within their budget"
    if settings.stage_1 == "align":
        steps = _steps(found.survey)
        if not found.coarse_most:
            return f"align removes none of {steps:,} steps: no trace has more than one"
        return (
            f"align removes none to {found.coarse_most:,} of {steps:,} steps, {also}; how many is known once the scorer has read them: "
            "--pilot N shows it on the first N rows"
        )
    if found.asked is None:
        return ""
    if not found.asked.rows:
        return f"the LLM decides which steps go, {also}; --pilot N shows it on N rows, and pays for them"
    _, rows, steps, kept = found.asked
    return f"the LLM removed {steps - kept:,} of {steps:,} steps of the {rows:,} rows that it was asked about, {also}"


def _left(survey: "Survey", settings: AsapSettings) -> list[tuple[str, str]]:
    """How much shorter the traces get at which setting, from their lengths alone."""
    if settings.name == "original":
        return []
    by_ratio, by_budget = _shorter(survey)
    told = ", ".join(f"--ratio {ratio} leaves {_of(left, survey)}" for ratio, left in by_ratio.items())
    also = ", ".join(f"--budget {budget} leaves {_of(left, survey)}" for budget, left in by_budget.items())
    less = "somewhat less, since whole steps go" + (" and stage 1 removes more" if settings.stage_1 != "none" else "")
    return [("shorter", f"{told}{f'; {also}' if also else ''}; {less}")]


def _shorter(survey: "Survey") -> tuple[dict[float, int], dict[int, int]]:
    """The tokens that at most stay at some ratios, and at those budgets that cut any trace."""
    longest = max(survey.tokens, default=0)
    by_ratio = {
        ratio: sum((token_budget(tokens, budget=None, ratio=ratio) or 0) * rows for tokens, rows in survey.tokens.items())
        for ratio in _RATIOS
    }
    budgets = [budget for budget in _BUDGETS if budget < longest]
    return by_ratio, {budget: sum(min(budget, tokens) * rows for tokens, rows in survey.tokens.items()) for budget in budgets}


def _of(left: int, survey: "Survey") -> str:
    return f"{left:,} tokens ({left / max(1, survey.trace_tokens):.0%})"


def _time(found: "DryRun", pace: Pace) -> list[tuple[str, str]]:
    """How long the run takes."""
    from asap.progress import span

    if found.timed is None:
        return [("time", pace.why_not)]
    low, high = (seconds / max(1, pace.gpus) for seconds in found.timed.all_rows)
    where = f"{pace.gpus} GPUs" if pace.gpus > 1 else pace.device
    shown = f"{span(low)} to {span(high)}" if span(low) != span(high) else span(low)
    read = f"{found.timed.tokens:,.0f} tokens of these rows took {found.timed.seconds:.1f} s"
    return [("time", f"{shown} of scoring by {pace.scorer} on {where}, since {read}; loading, reading and an LLM are not in it")]


def _reading(found: "DryRun", settings: AsapSettings) -> str:
    """The number of tokens that a model would read; a range if it depends on what the model finds."""
    low, high = map(round, found.reading)
    if not high or not found.survey.trace_tokens:
        return "no model would read them"
    who, traces = "token classifier" if settings.needs_classifier else "scorer", found.survey.trace_tokens
    if low == high:
        return f"the {who} would read them about {high / traces:,.1f} times, {high:,} tokens"
    return f"the {who} would read them about {low / traces:,.1f} to {high / traces:,.1f} times, {low:,} to {high:,} tokens"


def _steps(survey: "Survey") -> int:
    return sum(count * rows for count, rows in survey.steps.items())


def _fields(found: "DryRun", settings: AsapSettings, rejected_by: dict[str, int], price: "Price | None") -> dict[str, Any]:
    """The same for --json."""
    survey, tried = found.survey, found.tried
    by_ratio, by_budget = _shorter(survey)
    llm = None
    if found.asked:
        amounts = {name: getattr(found.asked.estimate, name) for name in ("low", "expected", "high")}
        costs = {name: amount._asdict() | {"dollars": amount.cost(price) if price else None} for name, amount in amounts.items()}
        llm = {"rows": found.asked.estimate.rows, "rows_asked": found.asked.rows, **costs}
    return {
        "rows": survey.rows,
        "usable": survey.usable,
        "passed": survey.passed.total(),
        "rejected": survey.unusable,
        "rejected_by": rejected_by,
        "filtered": survey.filtered,
        "steps": _steps(survey),
        "steps_coarse_most": found.coarse_most,
        "tokens": survey.trace_tokens,
        "tokens_longest": max(survey.tokens, default=0),
        "tokens_read": [round(found.reading.low), round(found.reading.high)],
        "tokens_left": {"ratio": by_ratio, "budget": by_budget},
        "over_budget": found.over_budget,
        "seconds": list(found.timed.all_rows) if found.timed else None,
        "pilot": tried and {name: getattr(tried, name) for name in ("rows", "steps", "steps_coarse", "steps_fine")},
        "llm": llm,
    }
