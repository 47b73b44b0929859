"""A speed figure beside its goal: what the scripts in this folder give to `run.py`, and the table of them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """A line of the table: what was measured, what came, the goal (empty: none was set), and whether it was met."""

    what: str
    came: str
    goal: str = ""
    met: bool | None = None


def at_most(what: str, ratios: Sequence[float], limit: float, of: str, *, counts: bool = True) -> Figure:
    """Ratios to `of` that should not be above a limit; they do not count (`counts`) where the size is not the goal's."""
    return Figure(what, f"{_listed(ratios)} of {of}", f"at most {limit:g}x", max(ratios) <= limit if counts else None)


def at_least(what: str, ratios: Sequence[float], limit: float, of: str, *, counts: bool = True) -> Figure:
    """How many times faster or smaller than `of`, which should not be below a limit."""
    return Figure(what, f"{_listed(ratios)} against {of}", f"{limit:g}x", min(ratios) >= limit if counts else None)


def _listed(ratios: Sequence[float]) -> str:
    return ", ".join(f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x" for ratio in ratios)


def real_rows() -> str | None:
    """The file of real traces (KodCode's demo, DeepSeek-R1) in the folder that ASAP_DATA names; None if it is not there."""
    file = Path(os.environ.get("ASAP_DATA", "")) / "traces" / "kodcode_r1.jsonl.gz"
    return str(file) if os.environ.get("ASAP_DATA") and file.is_file() else None


def print_figures(figures: Iterable[Figure]) -> None:
    """Print the table, each line as soon as it is known."""
    print("| figure | goal | came | met |\n|---|---|---|---|", flush=True)
    for what, came, goal, met in figures:
        print(f"| {what} | {goal} | {came} | {'' if met is None else 'yes' if met else '**no**'} |", flush=True)
