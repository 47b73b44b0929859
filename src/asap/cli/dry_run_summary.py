"""What `asap prune --dry-run` prints."""

from typing import TYPE_CHECKING, Any

from asap.cli.result import show
from asap.errors import InputError
from asap.prune.settings import AsapSettings

if TYPE_CHECKING:
    from asap.dataset.source import Source
    from asap.dry_run import DryRun


def print_dry_run(found: "DryRun", source: "Source", settings: AsapSettings, *, piloted: bool) -> None:
    """Print what a run would read, score and remove. Raises InputError, with the reasons, if no row is usable."""
    from asap.run import no_usable_row

    survey = found.survey
    rejected_by = {reason: cases.count for reason, cases in sorted(survey.rejected.items())} | dict(survey.passed)
    if not survey.usable and source.shard is None:
        firsts = [f"{reason}, first {cases.first}: {cases.detail}" for reason, cases in survey.rejected.items()]
        raise InputError("; ".join([no_usable_row(source.names, rejected_by, survey.filtered), *firsts]))
    left_out = f"; {survey.filtered:,} rows do not meet --where" if source.rules.where else ""
    passed = f"{survey.passed.total()} pass through, " if survey.passed else ""
    lines = [f"{survey.rows} rows read{survey.of_conversations}: {survey.usable} usable, {passed}{survey.unusable} rejected{left_out}"]
    lines += [f"  {reason}: {count}" for reason, count in rejected_by.items()]
    lines.append(
        f"{survey.trace_tokens:,} tokens of traces (longest {max(survey.tokens, default=0):,}); {_reading(found, settings)}; "
        f"{found.over_budget} traces are over their budget. {'Only replies were' if piloted else 'Nothing was'} written."
    )
    if finding := survey.questions.finding():
        lines.append(f"questions: {finding}")
    if stage_1 := _stage_1(found, settings):
        lines.append(f"stage 1: {stage_1}")
    show("\n".join(lines), **_fields(found, rejected_by))


def _fields(found: "DryRun", rejected_by: dict[str, int]) -> dict[str, Any]:
    """The same for --json."""
    survey = found.survey
    return {
        "rows": survey.rows,
        "usable": survey.usable,
        "passed": survey.passed.total(),
        "rejected": survey.unusable,
        "rejected_by": rejected_by,
        "filtered": survey.filtered,
        "steps": sum(count * rows for count, rows in survey.steps.items()),
        "steps_coarse_most": found.coarse_most,
        "tokens": survey.trace_tokens,
        "tokens_longest": max(survey.tokens, default=0),
        "tokens_read": [round(found.reading.low), round(found.reading.high)],
        "over_budget": found.over_budget,
    }


def _stage_1(found: "DryRun", settings: AsapSettings) -> str:
    """What is known of the steps that stage 1 removes before it has run; empty if there is none."""
    also = "also from traces within their budget"
    if (tried := found.tried) and tried.rows:
        return (
            f"of the first {tried.rows:,} rows it removed {tried.steps_coarse:,} of {tried.steps:,} steps, stage 2 {tried.steps_fine:,}: "
            f"{tried.tokens_before:,} -> {tried.tokens_coarse:,} -> {tried.tokens_after:,} tokens"
        )
    if settings.stage_1 == "align":
        steps = sum(count * rows for count, rows in found.survey.steps.items())
        if not found.coarse_most:
            return f"align removes none of {steps:,} steps: no trace has more than one"
        return (
            f"align removes none to {found.coarse_most:,} of {steps:,} steps, {also}; how many, and what stage 2 then has to remove, is "
            "known once the scorer has read them: --pilot N shows it on the first N rows"
        )
    if not settings.uses_llm:
        return ""
    if found.kept is None or not found.kept.rows:
        return f"the LLM decides which steps go, {also}; --pilot N shows it on N rows"
    rows, steps, kept = found.kept
    return f"the LLM removed {steps - kept:,} of {steps:,} steps of the {rows:,} rows that it was asked about, {also}"


def _reading(found: "DryRun", settings: AsapSettings) -> str:
    """The number of tokens that a model would read; a range if it depends on what the model finds."""
    low, high = map(round, found.reading)
    if not high or not found.survey.trace_tokens:
        return "no model would read them"
    who, traces = "token classifier" if settings.needs_classifier else "scorer", found.survey.trace_tokens
    if low == high:
        return f"the {who} would read them about {high / traces:,.1f} times, {high:,} tokens"
    return f"the {who} would read them about {low / traces:,.1f} to {high / traces:,.1f} times, {low:,} to {high:,} tokens"
