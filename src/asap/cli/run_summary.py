"""The table that `asap prune`, `asap cut` and `asap merge` print at their end."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asap.cli.result import show
from asap.dataset.formats import MAY_LOSE_THINKING, RENDERED_BY_TOOLS
from asap.revealed import revealed
from asap.tables import number_of

if TYPE_CHECKING:
    from asap.lm.spending import SpendingLimit
    from asap.totals import Totals


def print_summary(totals: "Totals", out: Path, spending: "SpendingLimit | None" = None) -> None:
    """Print the table at the end of a run."""
    passed = f" + {totals.passed} passed through" if totals.passed else ""
    lines = [("rows", f"{totals.rows} = {totals.pruned} pruned + {totals.unchanged} unchanged{passed} + {totals.rejected} rejected")]
    lines += [("", f"passed through: {reason} {count}") for reason, count in totals.passed_by.items()]
    if totals.filtered is not None:
        lines.append(("", f"not read, since they do not meet --where: {totals.filtered:,}"))
    lines += [("", f"rejected: {reason} {count}") for reason, count in totals.rejected_by.items()]
    if totals.turns:
        lines.append(("turns", f"{totals.turns:,} of these rows are turns of {number_of(totals.conversations, 'conversation')}"))
    lines += [
        ("steps", f"{totals.steps:,}: {totals.steps_coarse:,} removed by stage 1, {totals.steps_fine:,} by stage 2{_by_person(totals)}"),
        ("tokens", f"{totals.tokens_before:,} before, {totals.tokens_coarse:,} after stage 1, {totals.tokens_after:,} after stage 2"),
        ("kept", f"{totals.ratio:.1%} of the tokens"),
    ]
    if totals.overruled:
        from asap.card import overruled_line

        lines.append(("person", overruled_line(totals.overruled)))
    if totals.floor_grades:
        shown = ", ".join(f"{grade} {count:,}" for grade, count in sorted(totals.floor_grades.items()))
        lines.append(("floor", f"of the traces that were cut: {shown}"))
    if totals.attempts or totals.failures_by:
        lines += _llm_lines(totals, spending)
    notes = (
        (totals.renamed, "rows whose id was taken: {}; #2, #3, … was appended"),
        (totals.over_budget, "traces that stay over the budget: {}; the steps that must stay are longer"),
        (totals.windowed, "traces longer than the scorer's context: {}; they were scored in windows"),
        (totals.unread, "traces with more before them than the scorer's context holds: {}; its start was left out"),
        (totals.kept_all, "traces that the LLM kept whole: {}"),
        (totals.not_finite, f"rows with NaN or infinity in other columns: {{}}; in .jsonl files these are null{_but_parquet(totals)}"),
        *(
            (count, f"conversations that end in {name}.jsonl before a turn that must not be learnt: {{}}")
            for name, count in totals.shortened.items()
        ),
        *(
            (count, f"conversations that are not in {name}.jsonl: {{}}; its rows can hold no turn to learn")
            for name, count in totals.left_out.items()
        ),
    )
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in totals.not_rendered.items())
    if reasons:
        lines.append(("note", f"training could not take these, so they are in pruned.jsonl alone: {reasons}"))
    told = [f"{name}.jsonl" for name in RENDERED_BY_TOOLS if f"{name}.jsonl" in totals.written and totals.format_model is None]
    if told:
        lines.append(("note", f"{', '.join(told)} {'holds' if len(told) == 1 else 'hold'} {MAY_LOSE_THINKING} (docs/train.md)"))
    if totals.questions:
        lines.append(("warning", f"{totals.questions}: see asap doctor"))
    lines += [("note", text.format(f"{count:,}")) for count, text in notes if count]
    if totals.seconds:
        lines.append(("seconds", ", ".join(f"{name} {value:,.1f}" for name, value in totals.seconds.items())))
    lines += [
        ("note", f"{name} was edited, and stays as it is; what asap would write there is {placed}")
        for name, placed in totals.written.items()
        if name != placed
    ]
    lines.append(("written", f"{out}/{', '.join(totals.written.values())}"))
    show("\n".join(f"{name:<8} {revealed(text, keep='')}" for name, text in lines), **_fields(totals, out, spending))


def _fields(totals: "Totals", out: Path, spending: "SpendingLimit | None") -> dict[str, Any]:
    """The same for --json: the counts by the names that they have in manifest.json."""
    counts = {name: value for name, value in asdict(totals).items() if name != "written" and (value or name != "overruled")}
    paid: dict[str, float | None] | None = None
    if spending is not None:
        paid = {name: getattr(spending, name) for name in ("requests", "prompt_tokens", "completion_tokens")}
        paid["dollars"] = spending.spent if spending.price else None
    return {**counts, "kept": totals.ratio, "llm": paid, "out": str(out), "files": list(totals.written.values())}


def _by_person(totals: "Totals") -> str:
    removed = totals.overruled.get("steps_removed", 0)
    return f", {removed:,} by a person" if removed else ""


def _but_parquet(totals: "Totals") -> str:
    return ", as they are in pruned.parquet" if "pruned.parquet" in totals.written else ""


def _llm_lines(totals: "Totals", spending: "SpendingLimit | None") -> list[tuple[str, str]]:
    """The lines about stage 1: what decided, which replies were unusable, and what the LLM cost."""
    decided = ", ".join(f"{name} {count:,}" for name, count in totals.coarse_by.items())
    lines = [("stage 1", f"decided by {decided} (align: no usable reply); {totals.attempts:,} replies asked for")]
    if totals.failures_by:
        lines.append(("", "not usable: " + ", ".join(f"{reason} {count:,}" for reason, count in totals.failures_by.items())))
    if spending is not None:
        cost = f", {spending.spent:.4f} US dollars" if spending.price else ""
        lines.append(("spent", f"{spending.requests:,} requests, {spending.prompt_tokens:,} + {spending.completion_tokens:,} tokens{cost}"))
    return lines
