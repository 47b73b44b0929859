"""What the surface of a step gives away about its label: the AUC of length and position alone, with those of the openers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from experiments.oracle.ranking import auc

from asap.stats import interval
from asap.tables import Table

Row = Mapping[str, Any]

SURFACES: Mapping[str, Callable[[Sequence[str]], Sequence[float]]] = {
    "length in characters": lambda texts: [len(text) for text in texts],
    "position": lambda texts: range(len(texts)),
    "distance from the middle": lambda texts: [abs(place - (len(texts) - 1) / 2) for place in range(len(texts))],
}


def steps_of(row: Row) -> list[str]:
    """The steps of a row, as they were joined."""
    return str(row["response"]).removeprefix("<think>\n").partition("\n</think>")[0].split("\n\n")


def surface_table(rows: Sequence[Row]) -> Table:
    """The AUC of each surface feature for `necessary`, and what the rows hold."""
    header = ["feature", "AUC", "interval"]
    cells = []
    for name, feature in SURFACES.items():
        found = [auc(feature(steps_of(row)), [label == "necessary" for label in row["labels"]]) for row in rows]
        low, high = interval(found, draws=1_000)
        cells.append([name, f"{np.mean(found):.3f}", f"[{low:.3f}, {high:.3f}]"])
    cells.append(["steps per trace", f"{np.mean([len(row['labels']) for row in rows]):.1f}", ""])
    cells.append(["necessary steps", f"{np.mean([row['labels'].count('necessary') for row in rows]):.1f}", ""])
    return Table(header, cells, "lrr")
