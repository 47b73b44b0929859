"""The figures that the paper published, to be put beside ours, and the names by which arms and its methods are the same.

The paper has two versions whose tables are numbered differently: `table1` and `table2` are those of the first, `table6` to `table18` of the
second, `table4` and `figure3` the second's tables with all the cells of what the first has under these names.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from asap.errors import UsageError

PAPER_METHODS = {
    "original": ("original", "full", "wo any", "w o any", "without any"),
    "zero-shot": ("zero shot", "zeroshot", "untrained", "base"),
    "selective-context": ("selective context",),
    "llmlingua2": ("llmlingua2", "llmlingua 2"),
    "tokenskip": ("tokenskip",),
    "spirit": ("spirit",),
    "asap": ("asap",),
    "asap-fine": ("asap fine", "w o coarse", "wo coarse", "without coarse", "fine only"),
    "asap-coarse": ("asap coarse", "w o fine", "wo fine", "without fine", "coarse only"),
    "random": ("random",),
    "alignment": ("alignment", "align"),
}
"""The methods that the name of an arm can mean, each with those names."""
_ALIASES = {"table4": ("table9", "table10"), "figure3": ("table13",), "table3": ()}
TRAINING = {
    "table3": "The paper (arXiv 2508.05988v1, section 4.5): ASAP's training takes 75.6 % fewer tokens a sample and 60.7 % less time a step "
    "than Original's. Table 3's own cells, and the other methods, stand only in its PDF and are not here.",
}
"""What the paper says about training cost, by table."""


PROBLEMS = {"humaneval": 164, "humaneval+": 164, "leetcode": 228, "livecodebench:v1_v3": 612, "livecodebench:v4_v5": 268}
PROBLEMS |= {"gsm8k": 1319, "math500": 500, "aime24": 30, "aime25": 30}
"""How many problems the paper's benchmarks have."""


class PaperFigure(NamedTuple):
    """One published cell: accuracy in percent, mean generated tokens, latency in seconds per sample; None where it is not published."""

    table: str
    benchmark: str
    model: str
    method: str
    budget: int
    accuracy: float | None
    tokens: float | None
    latency: float | None
    source: str


Beside = Mapping[tuple[str, str], Sequence[PaperFigure]]
"""The paper's cells by arm and benchmark."""


@cache
def _all_figures() -> tuple[PaperFigure, ...]:
    text = files("asap.report").joinpath("paper_figures.csv").read_text("utf-8")

    def number(cell: str) -> float | None:
        return float(cell) if cell else None

    return tuple(
        PaperFigure(
            row["table"],
            row["benchmark"],
            row["model"],
            row["method"],
            int(row["budget"]),
            number(row["accuracy"]),
            number(row["tokens"]),
            number(row["latency"]),
            row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def tables_in(names: str | None) -> list[str]:
    """The tables that `--paper` names, with commas between them: `Table 15` is table15."""
    return [name.strip().lower().replace(" ", "") for name in names.split(",")] if names else []


def paper_figures(names: str | None) -> list[PaperFigure]:
    """The cells of the tables that are named, with commas between them, in that order. Raises UsageError for one that is not here."""
    tables = [figure.table for figure in _all_figures()]
    known = [*dict.fromkeys(tables), *_ALIASES]
    chosen = tables_in(names)
    if wrong := [name for name in chosen if name not in known]:
        raise UsageError(f"--paper {wrong[0]}: the paper's figures are here as {', '.join(known)}; several with commas")
    wanted = list(dict.fromkeys(table for name in chosen for table in _ALIASES.get(name, (name,))))
    return sorted((figure for figure in _all_figures() if figure.table in wanted), key=lambda figure: wanted.index(figure.table))


def method_of(arm: str) -> str | None:
    """The method that the name of an arm means: the name itself, or what stands before a bracket or comma; None if it means none."""
    words = " ".join(re.split(r"[\W_]+", re.split(r"[(,;@]", arm.lower())[0])).strip()
    return next((method for method, names in PAPER_METHODS.items() if words in names), None)


def cells_beside(figures: Iterable[PaperFigure], benchmark: str, arm: str, models: Sequence[str]) -> list[PaperFigure]:
    """The cells for an arm on a benchmark, one for each budget and all of one model: the one that `models` name, else the first table's.

    Of two tables with the same cell, that of the one that was named first counts.
    """
    fitting = [figure for figure in figures if figure.benchmark == benchmark and figure.method == method_of(arm)]
    own = [figure for figure in fitting if is_of_model(figure, models)]
    chosen = own or [figure for figure in fitting if figure.model == fitting[0].model]
    return [*{figure.budget: figure for figure in reversed(chosen)}.values()]


def is_of_model(figure: PaperFigure, models: Iterable[str]) -> bool:
    """Whether one of these specs or names of models tells that it is the model of a cell."""
    return any(_plain(figure.model) in _plain(model) for model in models)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def figure_at(cells: Iterable[PaperFigure], budget: int | None) -> PaperFigure | None:
    """The cell at a budget; where there is none, or the budget is not known, that at the largest."""
    found = [*cells]
    same = [figure for figure in found if figure.budget == budget]
    return max(same or found, key=lambda figure: figure.budget, default=None)
