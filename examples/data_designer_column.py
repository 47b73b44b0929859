"""Pruning as a column of NeMo Data Designer, from the columns that its LLMs wrote. docs/plugins.md explains it.

python examples/data_designer_column.py examples/traces.jsonl out/designer
"""

import json
import sys
from pathlib import Path
from typing import Any

import data_designer.config as dd
import pandas as pd
from data_designer.interface import DataDesigner

import asap

SETTINGS = {"ratio": 0.5, "coarse": "none", "scores": "own"}


def pruned_column(name: str, pruner: asap.Asap, question: str, response: str) -> dd.CustomColumnConfig:
    """A column with the response and a shorter trace in it; empty where a row cannot be pruned."""

    def shorter(row: dict[str, Any]) -> str | None:
        try:
            sample = asap.to_sample(row, {"question": question, "response": response}).sample
            return pruner.prune(sample).sample.response
        except asap.RowError:
            return None

    @dd.custom_column_generator(required_columns=[question, response])
    def column(df: pd.DataFrame) -> pd.DataFrame:
        return df.assign(**{name: [shorter(row) for row in df.to_dict("records")]})

    # a whole batch at once, in one thread: the pruner holds a model
    return dd.CustomColumnConfig(name=name, generator_function=column, generation_strategy=dd.GenerationStrategy.FULL_COLUMN)


def designed(rows: list[dict[str, Any]], folder: str, scorer: str = "bundled") -> pd.DataFrame:
    """The rows with a column `shorter`. A real design has columns of an LLM in place of the seed."""
    design = dd.DataDesignerConfigBuilder(model_configs=[])
    design.with_seed_dataset(dd.DataFrameSeedSource(df=pd.DataFrame(rows)))
    design.add_column(pruned_column("shorter", asap.Asap(scorer, SETTINGS), "question", "response"))
    return DataDesigner(folder).create(design, num_records=len(rows)).load_dataset()


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text("utf-8").splitlines()[:2]
    found = designed([{name: json.loads(line)[name] for name in ("id", "question", "response")} for line in lines], *sys.argv[2:])
    for row in found.to_dict("records"):
        print(row["id"], len(row["response"]), "->", len(row["shorter"]), "characters")
