"""`asap reproduce --plan`: every stage of a chain with its command, its cost and how it stands, as text that depends on no machine."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asap.errors import InputError
from asap.reproduce.alike import rows_alike
from asap.reproduce.chain import Chain
from asap.reproduce.device import Device, Rate
from asap.reproduce.record import Records
from asap.reproduce.stage import READ_FLOPS, RowsLike, spelled
from asap.reproduce.work import arm_rows, epoch_tokens, epochs, kept_tokens, trained_flops
from asap.tables import Table as Cells

_NOT_MEASURED = "not measured"


def plan_text(chain: Chain, stages: list[dict[str, Any]], device: Device) -> str:
    """The plan of a chain, whose stages stand as `planned_stages` says."""
    parts = [_head(chain), _arms(chain), _stages(stages, device), _reading(chain, device), _commands(stages)]
    return "\n\n".join(parts) + "\n"


def _head(chain: Chain) -> str:
    scale = chain.scale
    lines = [chain.heading, scale.about]
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


def planned_stages(chain: Chain, out: Path, device: Device) -> list[dict[str, Any]]:
    """For each stage its name, state, command, tokens, FLOPs, hours on a device (None: not measured) and dollars; JSON-able."""
    records = Records(out)
    return [
        {
            "stage": stage.name,
            "state": records.of(stage).state,
            "command": ["asap", *stage.command(out, lambda wanted: _rows(wanted, out))],
            "serve": spelled(stage.serve, out, lambda _: ""),
            "tokens": stage.work.tokens,
            "flops": stage.work.flops,
            "hours": device.hours(stage.work),
            "dollars": stage.work.dollars,
        }
        for stage in chain.stages
    ]


def _stages(stages: list[dict[str, Any]], device: Device) -> str:
    cells = [[stage["stage"], stage["state"], *_cost(stage)] for stage in stages]
    left = [stage for stage in stages if stage["state"] != "done"]
    tokens, flops, dollars = (sum(stage[name] for stage in left) for name in ("tokens", "flops", "dollars"))
    measured = [stage["hours"] for stage in left if stage["hours"] is not None]
    missing = len(left) - len(measured)
    hours = f"{_hours(sum(measured))}, and {missing} {_NOT_MEASURED}" if missing else _hours(sum(measured))
    cells.append(["what is left", "", _count(tokens), f"{flops:.2g}", hours, f"{dollars:,.2f}" if dollars else ""])
    header = ["stage", "state", "tokens", "FLOPs", f"hours on {device.name}", "dollars"]
    return Cells(header, cells, "llr").markdown(padded=True)


def _cost(stage: dict[str, Any]) -> list[str]:
    if not stage["tokens"] and not stage["dollars"]:
        return ["", "", "", ""]
    hours = _NOT_MEASURED if stage["hours"] is None else _hours(stage["hours"])
    return [_count(stage["tokens"]), f"{stage['flops']:.2g}", hours, f"{stage['dollars']:,.2f}" if stage["dollars"] else ""]


def _reading(chain: Chain, device: Device) -> str:
    """How the figures were made."""
    lines = [
        f"FLOPs: {READ_FLOPS:g} a parameter for each token that is scored or written, {trained_flops(chain.scale):g} for each one that is "
        "trained (forwards 2, backwards 4, but 2 under a LoRA, whose base gets no gradients, and 2 more for what gradient checkpointing "
        "computes again). Attention is left out. Tokens and dollars follow from the mean sizes above; `asap prune --dry-run` counts the "
        "rows themselves. Dollars are for the replies of stage 1's LLM, by the assumptions of docs/stage-1.md.",
        f"Hours on {device.name}, {device.about}, by measured rates:",
    ]
    lines += [
        f"- {rate.kind} {rate.tokens:,.0f} tokens/s at {rate.parameters:.3g} parameters{_each(rate)} ({rate.measured})"
        for rate in _rates(chain, device)
    ]
    if len(lines) == 2:
        lines[1] = f"Hours on {device.name}, {device.about}: no rate of models of this size was measured."
    return "\n".join(lines)


def _each(rate: Rate) -> str:
    """What a training did for each parameter and token."""
    return f", {rate.flops:g} FLOPs each" if rate.kind == "train" else ""


def _rates(chain: Chain, device: Device) -> Iterator[Rate]:
    kinds = [(kind, size) for kind in ("read", "write", "train") for size in (chain.scale.scorer.parameters, chain.scale.model.parameters)]
    yield from dict.fromkeys(rate for kind, size in kinds if (rate := device.rate(kind, size)))


def _commands(stages: list[dict[str, Any]]) -> str:
    lines = ["Commands, which `asap reproduce` runs, and which can be run by hand:"]
    for stage in stages:
        server = ["# with this server, which it starts and stops:", shlex.join(stage["serve"])] if stage["serve"] else []
        lines += ["", *server, shlex.join(stage["command"])]
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
