"""How long the training plan takes, from a short measurement: a few training steps, and a few answers of the untrained model.

Measured in CPU seconds, so that a busy machine does not change them. On idle cores, hours are CPU
hours divided by the cores that are kept busy.

    python -m experiments.oracle.hours --out DIR
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.oracle.arms import SCORED, read_sample, write_arm
from experiments.oracle.attempts import read_rows, written_by
from experiments.oracle.plan import FILE, Plan
from experiments.oracle.train import Unit, rows_in, train

from asap.atomic import replacing
from asap.lm.causal_lm import CausalLM
from asap.lm.specs import load_tokens, model_folder
from asap.lm.training_template import TrainingTemplate
from asap.tables import Table

FEW, MORE = 1, 3
"""Training steps; the difference leaves out loading and saving, and the first step, which is slower."""
ANSWERS, NEW_TOKENS = 50, 64
MEASURED = "hours.json"


def main() -> None:
    """Print the CPU hours of each arm, and of all; measures unless that is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=FILE, help="default %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the run")
    options = parser.parse_args()
    tell_hours(Plan.read(options.plan), options.out)


def tell_hours(plan: Plan, out: Path) -> None:
    """Print the table of hours."""
    rows = rows_in(plan, out)
    if not (out / MEASURED).is_file():
        with replacing(out / MEASURED) as file:
            file.write(json.dumps(measured(plan, rows)) + "\n")
    speed = json.loads((out / MEASURED).read_text("utf-8"))
    print(hours_table(plan, rows, speed).markdown(padded=True))
    print(f"measured: {speed['train']:.0f} tokens trained and {speed['write']:.0f} tokens written per CPU second")


def measured(plan: Plan, rows: Path) -> Mapping[str, float]:
    """Tokens per CPU second, trained and written."""
    template, all_rows = TrainingTemplate(load_tokens(plan.model)), read_rows(rows / "train.jsonl")
    seconds, tokens = list[float](), list[int]()
    one_epoch = replace(plan, recipe={**plan.recipe, "num_train_epochs": 1})
    with TemporaryDirectory() as scratch:
        for steps in (FEW, MORE):
            part = all_rows[: steps * plan.recipe["effective_batch_size"]]
            file = Path(scratch) / f"{steps}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in part), "utf-8")
            started = time.process_time()
            train(one_epoch, Unit("original", 0, file, Path(scratch)), Path(scratch) / f"model-{steps}")
            seconds.append(time.process_time() - started)
            tokens.append(sum(row_tokens(template, row) for row in part))
    lm = CausalLM(model_folder(plan.model), dtype="float32")
    written_by(lm, all_rows[:1], 1)  # loads the weights
    before = time.process_time()
    written = written_by(lm, all_rows[: min(ANSWERS, plan.batch)], NEW_TOKENS)
    write = sum(one.tokens for one in written) / (time.process_time() - before)
    return {"train": (tokens[1] - tokens[0]) / (seconds[1] - seconds[0]), "write": write}


def row_tokens(template: TrainingTemplate, row: Mapping[str, object]) -> int:
    """The tokens of a row as it is trained."""
    sample = read_sample(row)
    return template.tokens.count(template.text(template.prompt(sample), sample))


def hours_table(plan: Plan, rows: Path, speed: Mapping[str, float]) -> Table:
    """The CPU hours of each arm; an arm that has to be scored first counts with the tokens of a control."""
    template, cells, total = TrainingTemplate(load_tokens(plan.model)), list[list[str]](), 0.0
    for arm in plan.arms:
        stand_in = "random" if arm in SCORED else arm
        file = rows / f"{stand_in}.jsonl"
        write_arm(stand_in, rows / "train.jsonl", rows / "scores", plan.model, file)
        found = read_rows(file)
        tokens = sum(row_tokens(template, row) for row in found)
        answer = sum(template.tokens.count(row["response"]) for row in found) / len(found)
        train_hours = plan.recipe["num_train_epochs"] * tokens / speed["train"] / 3600
        write_hours = plan.test_rows * answer / speed["write"] / 3600
        seeds = len(plan.seeds[arm])
        total += seeds * (train_hours + write_hours)
        times = [train_hours, write_hours, seeds * (train_hours + write_hours)]
        cells.append([arm, f"{tokens / len(found):.0f}", str(seeds), *(f"{hours:.2f}" for hours in times)])
    cells.append(["all", "", "", "", "", f"{total:.1f}"])
    return Table(["arm", "tokens a row", "seeds", "CPU hours to train", "to write", "with all seeds"], cells, "lr")


if __name__ == "__main__":
    main()
