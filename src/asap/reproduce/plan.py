"""`asap reproduce --plan`: every stage of a chain with its command, its cost and how it stands, as text that depends on no machine."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from asap.errors import InputError
from asap.reproduce.alike import rows_alike
from asap.reproduce.chain import Chain
from asap.reproduce.device import Device, Rate
from asap.reproduce.record import Records
from asap.reproduce.stage import RowsLike, spelled
from asap.reproduce.work import arm_rows, epoch_tokens, epochs, kept_tokens
from asap.tables import Table as Cells

_NOT_MEASURED = "not measured"


def plan_text(chain: Chain, out: Path, device: Device) -> str:
    """The plan of a chain in an output folder."""
    parts = [_head(chain), _arms(chain), _stages(chain, out, device), _reading(chain, device), _commands(chain, out)]
    return "\n\n".join(parts) + "\n"


def _head(chain: Chain) -> str:
    scale = chain.scale
    lines = [f"{chain.table.title}, scale {scale.name}", scale.about]
    rows = scale.rows
    lines += [
        "",
        f"Model: {scale.model.spec} ({scale.model.parameters:.3g} parameters); steps are scored by {scale.scorer.spec}.",
        f"Rows: {', '.join(rows.sources)}; {rows.number:,} rows, in the mean {rows.question:,.0f} tokens of question, {rows.trace:,.0f} of "
        f"trace in {rows.steps:,.0f} steps, {rows.answer:,.0f} of answer ({rows.known_from}).",
    ]
    for evaluation in scale.evaluations:
        lines.append(
            f"Evaluation {evaluation.name}: {evaluation.options['benchmark']}, {evaluation.answers:,.0f} answers of "
            f"{evaluation.tokens:,.0f} tokens ({evaluation.known_from})."
        )
    if scale.assumptions:
        lines += ["", "Assumptions, where the paper does not say:", *(f"- {text}" for text in scale.assumptions)]
    return "\n".join(lines)


def _arms(chain: Chain) -> str:
    """What each arm trains on."""
    rows, variant, times = chain.scale.rows, chain.variant, epochs(chain.scale)
    header = ["arm", "rows", "trace tokens a row", "trace tokens an epoch", "tokens an epoch", "tokens trained"]
    cells = list[list[str]]()
    for arm in variant.arms:
        if not arm.trained:
            cells.append([arm.name, "0", "", "", "", "0"])
            continue
        number, kept, tokens = arm_rows(rows, arm, variant), kept_tokens(rows, arm), epoch_tokens(rows, arm, variant)
        cells.append([arm.name, f"{number:,.0f}", f"{kept:,.0f}", _count(number * kept), _count(tokens), _count(times * tokens)])
    seeds = ", ".join(map(str, chain.scale.seeds))
    note = f"What each arm trains on with each seed ({seeds}), in {times:g} epoch{'s' * (times != 1)}. "
    if variant.same_rows:
        note += f"Rows that {variant.same_rows} cannot train on are left out everywhere. "
    note += f"The reference is {variant.reference}."
    return f"{note}\n\n{Cells(header, cells, 'lr').markdown(padded=True)}"


def _stages(chain: Chain, out: Path, device: Device) -> str:
    records = Records(out)
    cells, hours, unmeasured, dollars, flops, tokens = list[list[str]](), 0.0, 0, 0.0, 0.0, 0.0
    for stage in chain.stages:
        standing, work = records.of(stage), stage.work
        took = device.hours(work)
        done = standing.state == "done"
        hours, unmeasured = hours + (took or 0.0) * (not done), unmeasured + (took is None and not done)
        dollars, flops, tokens = dollars + work.dollars * (not done), flops + work.flops * (not done), tokens + work.tokens * (not done)
        cells.append([stage.name, standing.state, *_cost(work.tokens, work.flops, took, work.dollars)])
    left = f"{_hours(hours)}, and {unmeasured} {_NOT_MEASURED}" if unmeasured else _hours(hours)
    cells.append(["what is left", "", _count(tokens), f"{flops:.2g}", left, f"{dollars:,.2f}" if dollars else ""])
    header = ["stage", "state", "tokens", "FLOPs", f"hours on {device.name}", "dollars"]
    return Cells(header, cells, "llr").markdown(padded=True)


def _cost(tokens: float, flops: float, hours: float | None, dollars: float) -> list[str]:
    if not tokens and not dollars:
        return ["", "", "", ""]
    return [_count(tokens), f"{flops:.2g}", _NOT_MEASURED if hours is None else _hours(hours), f"{dollars:,.2f}" if dollars else ""]


def _reading(chain: Chain, device: Device) -> str:
    """How the figures were made."""
    lines = [
        "FLOPs: 2 a parameter for each token that is scored or written, 6 for each token that is trained. Tokens and dollars follow from "
        "the mean sizes above; `asap prune --dry-run` counts the rows themselves. Dollars are for the replies of stage 1's LLM, by the "
        "assumptions of docs/stage-1.md.",
        f"Hours on {device.name}, {device.about}, by measured rates:",
    ]
    lines += [
        f"- {rate.kind} {rate.tokens:,.0f} tokens/s at {rate.parameters:.3g} parameters ({rate.measured})" for rate in _rates(chain, device)
    ]
    if len(lines) == 2:
        lines[1] = f"Hours on {device.name}, {device.about}: no rate of models of this size was measured."
    return "\n".join(lines)


def _rates(chain: Chain, device: Device) -> Iterator[Rate]:
    kinds = [(kind, size) for kind in ("read", "write", "train") for size in (chain.scale.scorer.parameters, chain.scale.model.parameters)]
    yield from dict.fromkeys(rate for kind, size in kinds if (rate := device.rate(kind, size)))


def _commands(chain: Chain, out: Path) -> str:
    lines = ["Commands, which `asap reproduce` runs, and which can be run by hand:"]
    for stage in chain.stages:
        lines.append("")
        if stage.serve:
            lines += ["# with this server:", shlex.join(spelled(stage.serve, out, lambda _: ""))]
        lines.append(shlex.join(["asap", *stage.command(out, lambda wanted: _rows(wanted, out))]))
    return "\n".join(lines)


def _rows(wanted: RowsLike, out: Path) -> str:
    """How many rows are alike, once that is known."""
    try:
        return rows_alike(out)(wanted)
    except (OSError, InputError):
        return f"ROWS-WITH-THE-TRACE-TOKENS-OF-{wanted.like.label}"


def _count(number: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:,.0f}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
