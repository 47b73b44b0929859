"""How much of what is needed the arms of experiments/oracle keep: needed facts, and traces that lose none.

    python -m experiments.needed_kept FOLDER random keep-tail …

from the repository's root. FOLDER has the `train.jsonl` of a run of the oracle's trainings, and the scores of the arms that need a model
if there are some; an arm's rows are written there if they are missing. A fact counts as kept if any step that states it is left: a
restatement is as good.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.oracle.arms import Row, read_sample, write_arm
from experiments.oracle.attempts import read_rows

from asap.steps import split_steps
from asap.tables import Table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("arms", nargs="+")
    parser.add_argument("--model", default="bundled")
    options = parser.parse_args()
    rows = read_rows(options.folder / "train.jsonl")
    header = ["arm", "needed facts kept %", "traces that keep all needed facts %"]
    table = Table(header, [arm_row(arm, rows, options.folder, options.model) for arm in options.arms], "lr")
    print(table.markdown())


def arm_row(arm: str, rows: Sequence[Row], folder: Path, model: str) -> list[str]:
    """A row of the table."""
    file = folder / f"{arm}.jsonl"
    write_arm(arm, folder / "train.jsonl", folder / "scores", model, file)
    shares = [facts_kept(row, read_sample(cut).cot) for row, cut in zip(rows, read_rows(file), strict=True)]
    return [arm, *(f"{100 * share / len(shares):.1f}" for share in (sum(shares), sum(share == 1 for share in shares)))]


def facts_kept(row: Row, left: str) -> float:
    """The share of a row's needed facts that a step states which is left, of a trace that was cut by whole steps."""
    steps, kept = steps_of(read_sample(row).cot), {*steps_of(left)}
    labelled = [*zip(steps, row["labels"], row["facts"], strict=True)]
    facts = {fact for _, label, fact in labelled if label == "necessary"}
    return len(facts & {fact for text, label, fact in labelled if text in kept and label in ("necessary", "restated")}) / len(facts)


def steps_of(trace: str) -> list[str]:
    """The texts of its steps."""
    return [trace[start:end].strip() for start, end in split_steps(trace)]


if __name__ == "__main__":
    main()
