"""The table of AUCs: for each scorer, setting and method the mean over traces, with a bootstrap interval over traces.

By step a positive is the first statement of a needed fact; by fact, any copy of it counts (`ranking.py`). A trace is a cluster: its steps
are never drawn one by one.
"""

import json
import lzma
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
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


class Line(NamedTuple):
    """The AUCs of one trace by method: what is kept of a scored trace."""

    scorer: str
    setting: str
    trace: str
    by_step: Mapping[str, float]
    by_fact: Mapping[str, float]


def lines_of(scored: Scored, scorer: str) -> Iterator[Line]:
    """A line for each trace that is scored by now."""
    for row, scores in traces(scored, load_tokens(scorer)):
        necessary = [label == "necessary" for label in row["labels"]]
        by_step = {method: round(auc(values, necessary), 4) for method, values in scores.items()}
        by_fact = {method: round(auc_by_fact(values, row["labels"], row["facts"]), 4) for method, values in scores.items()}
        yield Line(scorer, scored.setting, row["id"], by_step, by_fact)


def read_lines(files: Iterable[Path]) -> list[Line]:
    """The lines of earlier runs, in files that may be packed by xz."""
    texts = (lzma.decompress(file.read_bytes()).decode() if file.suffix == ".xz" else file.read_text("utf-8") for file in files)
    return [Line(**json.loads(line)) for text in texts for line in text.splitlines()]


def text_of(lines: Iterable[Line]) -> str:
    """The lines as JSON."""
    return "".join(json.dumps(line._asdict()) + "\n" for line in lines)


def cells_of(lines: Iterable[Line]) -> list[Cell]:
    """The cells of all scorers and settings. A trace of which there are several lines counts once, with the methods of all of them."""
    by_step, by_fact = dict[tuple[str, str, str], dict[str, float]](), dict[tuple[str, str, str], dict[str, float]]()
    for line in lines:
        for method in line.by_step:
            key = line.scorer, line.setting, method
            by_step.setdefault(key, {})[line.trace] = line.by_step[method]
            by_fact.setdefault(key, {})[line.trace] = line.by_fact[method]
    cells = list[Cell]()
    for (scorer, setting, method), found in by_step.items():
        above = {
            base: Mean.of([value - base_of[trace] for trace, value in found.items() if trace in base_of])
            for base in BASES
            if base != method and (base_of := by_step.get((scorer, setting, base), {})).keys() & found.keys()
        }
        facts = by_fact[scorer, setting, method]
        cells.append(Cell(scorer, setting, method, len(found), Mean.of([*found.values()]), Mean.of([*facts.values()]), above))
    return cells


def markdown_of(cells: Sequence[Cell]) -> str:
    """A table for each scorer and setting, the highest AUC first."""
    parts = list[str]()
    for scorer, setting in dict.fromkeys((cell.scorer, cell.setting) for cell in cells):
        chosen = [cell for cell in cells if (cell.scorer, cell.setting) == (scorer, setting)]
        rows = [
            [
                cell.method,
                f"{cell.traces:,}",
                str(cell.by_step),
                str(cell.by_fact),
                *(str(cell.above.get(base, "")) for base in ("random", "alignment")),
            ]
            for cell in sorted(chosen, key=lambda cell: -cell.by_step.mean)
        ]
        table = Table(
            ["method", "traces", "AUC by step", "AUC by fact", "by step, minus random", "by step, minus alignment"], rows, "lrrrrr"
        )
        parts.append(f"### {scorer}, openers {setting}\n\n{table.markdown()}")
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
