"""The table of AUCs: for each scorer, setting and method the mean over traces, with a bootstrap interval over traces.

By step a positive is the first statement of a needed fact; by fact, any copy of it counts (`ranking.py`). A trace is a cluster: its steps
are never drawn one by one.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from experiments.oracle.ranking import auc, auc_by_fact
from experiments.oracle.scores import Scored, traces

from asap.lm.specs import load_tokens
from asap.stats import interval
from asap.tables import Table

BASES = ("random", "alignment", "leave-one-out")
"""What each score is compared with, trace by trace."""


class Mean(NamedTuple):
    """A mean with its interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """The mean of a value a trace."""
        low, high = interval(values, draws=2_000)
        return cls(round(float(np.mean(values)), 4), round(low, 4), round(high, 4))

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Cell(NamedTuple):
    """What a score is worth: its AUC by step and by fact, and by how much that by step is above those of `BASES`."""

    scorer: str
    setting: str
    method: str
    traces: int
    by_step: Mean
    by_fact: Mean
    above: Mapping[str, Mean]


def cells_of(scored: Scored, scorer: str) -> list[Cell]:
    """The cells of one scorer and setting, over the traces that are scored by now."""
    by_step, by_fact = dict[str, list[float]](), dict[str, list[float]]()
    for row, scores in traces(scored, load_tokens(scorer)):
        necessary = [label == "necessary" for label in row["labels"]]
        for method, values in scores.items():
            by_step.setdefault(method, []).append(auc(values, necessary))
            by_fact.setdefault(method, []).append(auc_by_fact(values, row["labels"], row["facts"]))
    cells = list[Cell]()
    for method, values in by_step.items():
        above = {base: Mean.of(np.subtract(values, by_step[base]).tolist()) for base in BASES if base in by_step and base != method}
        cells.append(Cell(scorer, scored.setting, method, len(values), Mean.of(values), Mean.of(by_fact[method]), above))
    return cells


def markdown_of(cells: Sequence[Cell]) -> str:
    """A table for each scorer and setting, the highest AUC first."""
    parts = list[str]()
    for scorer, setting in dict.fromkeys((cell.scorer, cell.setting) for cell in cells):
        chosen = [cell for cell in cells if (cell.scorer, cell.setting) == (scorer, setting)]
        rows = [
            [cell.method, str(cell.by_step), str(cell.by_fact), str(cell.above.get("random", "")), str(cell.above.get("alignment", ""))]
            for cell in sorted(chosen, key=lambda cell: -cell.by_step.mean)
        ]
        table = Table(["method", "AUC by step", "AUC by fact", "by step, minus random", "by step, minus alignment"], rows, "lrrrr")
        parts.append(f"### {scorer}, openers {setting}: {chosen[0].traces:,} traces\n\n{table.markdown()}")
    return "\n\n".join(parts)


def csv_of(cells: Sequence[Cell]) -> str:
    """A line for each cell and measure."""
    rows = [
        [cell.scorer, cell.setting, cell.method, str(cell.traces), measure, *(f"{value:.4f}" for value in mean)]
        for cell in cells
        for measure, mean in measures(cell).items()
    ]
    return Table(["scorer", "setting", "method", "traces", "measure", "mean", "low", "high"], rows).csv()


def measures(cell: Cell) -> Mapping[str, Mean]:
    """All means of a cell, by name."""
    return {"by step": cell.by_step, "by fact": cell.by_fact, **{f"by step minus {base}": of for base, of in cell.above.items()}}
