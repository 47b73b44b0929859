"""The runs that `asap compare` would make, made before its judge is there: by other settings, it would refuse to go on with them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asap.cli.options import AS_IT_IS
from asap.compare.grid import Grid, pruners_of
from asap.dataset.source import Source
from asap.lm.scorer import Scorer
from asap.prune.settings import AsapSettings
from asap.run import prune_into
from asap.totals import Totals
from asap.workers.local import InProcess


def scored_ahead(scorer: Scorer, rows: Path, folder: Path, methods: Sequence[str], plan: Mapping[str, Any]) -> Iterator[tuple[str, Totals]]:
    """The name and the totals of each run, once it is made in the folder of the comparison; ratios and seed are the plan's."""
    grid = Grid(methods, plan["ratios"], AsapSettings(ratio=0.5, coarse="align", seed=plan["seed"]))
    source = Source([str(rows)], rules=AS_IT_IS.rules())
    for name, pruner in pruners_of(grid, scorer).items():
        yield name, prune_into(folder / "runs" / name, source, InProcess(pruner))
