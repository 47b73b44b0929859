"""Training cost per arm, from the logs of training runs (paper Table 3): tokens per sample, seconds per step, reductions.

The reductions are relative to the first run, the Original arm.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from asap.digest import content_digest
from asap.errors import InputError
from asap.tables import Table

_STEPS = "steps.jsonl"


class Cost(NamedTuple):
    """The cost of one arm: tokens per sample, including the question, means over its steps, and the tokens of all steps together.

    `peak_mib` is the peak of the GPU's memory (`peak_of` cuda), else of the process's.
    """

    arm: str
    rows: int
    tokens_per_sample: float
    steps: int
    seconds_per_step: float
    tokens_per_second: float
    tokens: int
    peak_mib: int
    peak_of: str
    conditions: dict[str, Any]


def cost_of(folder: Path) -> Cost:
    """The cost of a training run, finished or not; raises InputError if it has no step to count."""
    try:
        return _cost_in(folder)
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and folder.is_dir():
            raise InputError(f"{folder} holds no {Path(error.filename).name}, so it is not an output folder of asap train") from error
        what = f"{error} is missing" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
        raise InputError(f"{folder} is not an output folder of asap train, or its files were changed since ({what})") from error


def _cost_in(folder: Path) -> Cost:
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    rows = _rows(folder / "rows.jsonl")
    lines = [json.loads(line) for line in (folder / _STEPS).read_text("utf-8").split("\n")[:-1]]
    if not lines or not rows.number:
        raise InputError(f"{folder} has no finished step, so there is no cost to report")
    steps, seconds = lines[-1]["step"], sum(line["seconds"] for line in lines)
    values = settings["values"]
    conditions = {
        "model": settings["model"],
        "backend": settings.get("backend", "trl"),
        "rows": rows.ids,
        **{name: values.get(name) for name in ("effective_batch_size", "use_peft", "dtype", "bf16", "gradient_checkpointing", "packing")},
    }
    trained = sum(line["tokens"] for line in lines)
    return Cost(
        arm=folder.name,
        rows=rows.number,
        tokens_per_sample=rows.tokens / rows.number,
        steps=steps,
        seconds_per_step=seconds / steps,
        tokens_per_second=trained / seconds if seconds else 0.0,
        tokens=trained,
        peak_mib=max(line["peak_mib"] for line in lines),
        peak_of=lines[-1]["peak_of"],
        conditions=conditions,
    )


class _Rows(NamedTuple):
    """The rows of a run: how many, their tokens, and a number that is equal for equal ids in any order."""

    number: int
    tokens: int
    ids: int


def _rows(path: Path) -> _Rows:
    """The rows of a run, none of which stays in memory."""
    number = tokens = ids = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            number, tokens = number + 1, tokens + row["tokens"]
            ids = (ids + int(content_digest(row["id"]), 16)) % (1 << 256)
    return _Rows(number, tokens, ids)


def cost_table(costs: Sequence[Cost]) -> Table:
    """The table, relative to the first arm."""
    header = ["arm", "rows", "steps", "tokens per sample", "seconds per step", "tokens/s", "peak memory, MiB"]
    return Table(header, [_cells(cost, costs[0]) for cost in costs], "lr")


def cost_notes(costs: Sequence[Cost]) -> list[str]:
    """The differences between the settings of the first arm and those of the others."""
    return [note for cost in costs[1:] for note in _differences(costs[0], cost)]


def _cells(cost: Cost, base: Cost) -> list[str]:
    return [
        cost.arm,
        f"{cost.rows:,}",
        f"{cost.steps:,}",
        f"{cost.tokens_per_sample:,.0f}{_change(cost.tokens_per_sample, base.tokens_per_sample, cost is base)}",
        f"{cost.seconds_per_step:,.2f}{_change(cost.seconds_per_step, base.seconds_per_step, cost is base)}",
        f"{cost.tokens_per_second:,.0f}",
        f"{cost.peak_mib:,} ({cost.peak_of}){_change(cost.peak_mib, base.peak_mib, cost is base)}",
    ]


def _change(value: float, base: float, is_base: bool) -> str:
    return "" if is_base or not base else f" ({100 * (value - base) / base:+.1f} %)"


def _differences(base: Cost, cost: Cost) -> list[str]:
    """The differences between two arms, apart from the lengths of their traces."""
    differing = [name for name, value in base.conditions.items() if value != cost.conditions[name]]
    named = [name if name == "rows" else f"{name} ({base.conditions[name]} and {cost.conditions[name]})" for name in differing]
    if cost.steps != base.steps:
        named.append(f"steps ({base.steps} and {cost.steps})")
    return [f"Not equal in {base.arm} and {cost.arm}: {', '.join(named)}."] if named else []
