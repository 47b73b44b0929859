"""Pruning as a step of other tools: `datasets.map` and Ray Data. docs/plugins.md explains it.

python examples/pipelines.py datasets
python examples/pipelines.py ray
"""

import sys
from collections.abc import Callable
from typing import Any

import asap

Row = dict[str, Any]
SETTINGS = {"ratio": 0.5, "coarse": "none", "scores": "own"}


class Shorter:
    """Adds the shorter trace to a row. Built once for each process that maps."""

    def __init__(self, scorer: str = "bundled") -> None:
        self.pruner = asap.Asap(scorer, SETTINGS)

    def __call__(self, row: Row) -> Row:
        """The row with the column `shorter`."""
        return {**row, "shorter": self.pruner.prune(asap.to_sample(row).sample).sample.cot}


def with_datasets(rows: list[Row], scorer: str = "bundled") -> list[Row]:
    """The rows, mapped by the library datasets."""
    from datasets import Dataset

    return [dict(row) for row in Dataset.from_list(rows).map(Shorter(scorer))]


def with_ray(rows: list[Row], scorer: str = "bundled") -> list[Row]:
    """The rows, mapped by an actor of Ray Data."""
    import ray

    actors = ray.data.ActorPoolStrategy(size=1)  # one for each GPU
    found = ray.data.from_items(rows).map(Shorter, fn_constructor_args=(scorer,), compute=actors)
    return [dict(row) for row in found.take_all()]


MAPPED: dict[str, Callable[[list[Row]], list[Row]]] = {"datasets": with_datasets, "ray": with_ray}


if __name__ == "__main__":
    from itertools import islice

    first = list(islice(asap.read_samples("examples/traces.jsonl"), 1))
    for mapped in MAPPED[sys.argv[1]]([{"question": one.question, "cot": one.cot, "answer": one.answer} for one in first]):
        print(len(mapped["cot"]), "->", len(mapped["shorter"]), "characters")
