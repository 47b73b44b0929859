"""A speed figure beside its goal: what the scripts in this folder give to `run.py`, and the table of them."""

from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """A line of the table: what was measured, what came, the goal (empty: none was set), and whether it was met."""

    what: str
    came: str
    goal: str = ""
    met: bool | None = None


def print_figures(figures: Iterable[Figure]) -> None:
    """Print the table, each line as soon as it is known."""
    print("| figure | goal | came | met |\n|---|---|---|---|", flush=True)
    for what, came, goal, met in figures:
        print(f"| {what} | {goal} | {came} | {'' if met is None else 'yes' if met else '**no**'} |", flush=True)
