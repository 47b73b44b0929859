"""Trains a model on each arm and tests it on new programs, stage by stage; the same command does what is missing.

    python -m experiments.oracle.train plan                                      # writes plan.json, to be committed before a run
    python -m experiments.oracle.train run --out DIR                             # all arms and seeds of the plan
    python -m experiments.oracle.train run --arms original,necessary-only,random,random-2 --out DIR
    python -m experiments.oracle.train table --out DIR                           # accuracies, contrasts, and the gate

A stage is kept in a folder named by a digest of what it depends on. `asap train` trains and goes on from its last checkpoint; answers are
stored in batches. Weights are deleted once a model has written all of its answers.
"""

import argparse
import gc
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.oracle.arms import ARMS, Row, write_arm
from experiments.oracle.attempts import attempts, read_rows
from experiments.oracle.generate import oracle_rows
from experiments.oracle.plan import FILE, Plan
from experiments.oracle.results import Result, results_table

from asap.atomic import replacing
from asap.cli import run as asap
from asap.digest import content_digest
from asap.errors import InputError
from asap.lm.cache import file_sha256
from asap.versions import __version__

THREE_SEEDS = ("original", "necessary-only", "necessary-removed", "random", "random-2", "random-block", "keep-ends")
FIXED = Plan(
    arms=ARMS,
    seeds={arm: (0, 1, 2) if arm in THREE_SEEDS else (0,) for arm in ARMS},
    model="bundled",
    setting="r1",
    train_rows=1200,
    train_seed=101,
    test_rows=500,
    test_seed=202,
    recipe={
        "use_peft": False,
        "bf16": True,
        "learning_rate": 3e-4,
        "num_train_epochs": 2,
        "max_length": 1024,
        "per_device_train_batch_size": 2,
        "effective_batch_size": 8,
        "gradient_checkpointing": False,
        "save_steps": 100,
        "save_total_limit": 1,
    },
    max_new_tokens=448,
    batch=50,
    gate=0.08,
)


class Unit(NamedTuple):
    """One training with its test: the arm's rows, the seed, and the folder for what comes of it."""

    arm: str
    seed: int
    rows: Path
    folder: Path

    @property
    def result(self) -> Path:
        """The file that is written last."""
        return self.folder / "result.json"


def main() -> None:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("plan", "run", "table"))
    parser.add_argument("--arms", default="", help="those of the plan by default, separated by commas")
    parser.add_argument("--seeds", default="", help="those of the plan by default")
    parser.add_argument("--plan", type=Path, default=FILE, help="default %(default)s")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.what == "plan":
        FIXED.write(options.plan)
        return
    if options.out is None:
        parser.error("--out names the folder of the run")
    plan = Plan.read(options.plan)
    arms = options.arms.split(",") if options.arms else list(plan.arms)
    if strange := [arm for arm in arms if arm not in plan.arms]:
        parser.error(f"there is no arm {strange[0]!r} in the plan; choose from {', '.join(plan.arms)}")
    seeds = {int(seed) for seed in options.seeds.split(",")} if options.seeds else None
    if seeds and not any(seeds & {*plan.seeds[arm]} for arm in arms):
        parser.error(f"--seeds {options.seeds}: the plan has {', '.join(f'{arm} {list(plan.seeds[arm])}' for arm in arms)}")
    if options.what == "run":
        run(plan, options.out, arms, seeds)
    print(results_table(results(plan, options.out), plan.seeds, plan.gate))


def run(plan: Plan, out: Path, arms: Sequence[str], seeds: set[int] | None = None) -> None:
    """Do all that is missing of some arms, the first seed of each before the second of any; an arm's rows are written when they are due."""
    rows = rows_in(plan, out)
    wanted = [(seed, place) for place, arm in enumerate(arms) for seed in plan.seeds[arm]]
    for seed, place in sorted(wanted):
        if seeds is None or seed in seeds:
            arm = arms[place]
            write_arm(arm, rows / "train.jsonl", rows / "scores", plan.model, rows / f"{arm}.jsonl")
            unit = unit_of(plan, rows, arm, seed, out)
            do(plan, unit, read_rows(rows / "test.jsonl"))
            print(f"{arm}, seed {seed}: {json.loads(unit.result.read_text('utf-8'))['right']:.1%} right", flush=True)


def unit_of(plan: Plan, rows: Path, arm: str, seed: int, out: Path) -> Unit:
    """The training of an arm, whose rows are there, with a seed."""
    file = rows / f"{arm}.jsonl"
    known = (__version__, file_sha256(file), file_sha256(rows / "test.jsonl"), plan.model, dict(plan.recipe), plan.max_new_tokens, seed)
    return Unit(arm, seed, file, out / f"{arm}-{seed}-{content_digest(*known)[:12]}")


def folder_of_rows(plan: Plan, out: Path) -> Path:
    """Where the rows are, for training and test."""
    of_rows = (plan.code, plan.model, plan.setting, plan.train_rows, plan.train_seed, plan.test_rows, plan.test_seed)
    return out / f"rows-{content_digest(*of_rows)[:12]}"


def rows_in(plan: Plan, out: Path) -> Path:
    """The folder of the rows, which are written if they are missing."""
    folder = folder_of_rows(plan, out)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", plan.train_rows, plan.train_seed), ("test", plan.test_rows, plan.test_seed)):
        if not (folder / f"{name}.jsonl").is_file():
            with replacing(folder / f"{name}.jsonl") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in oracle_rows(count, seed, plan.setting))
    return folder


def do(plan: Plan, unit: Unit, test: Sequence[Row]) -> None:
    """Train, and test on rows, as far as that is not done, then delete the weights."""
    model = unit.folder / "model"
    if not unit.result.is_file():
        if not (model / "manifest.json").is_file():
            train(plan, unit, model)
        found = attempts(model, test, unit.folder / "attempts", max_new_tokens=plan.max_new_tokens, batch=plan.batch)
        counts = json.loads((model / "manifest.json").read_text("utf-8"))["counts"]
        result = Result(
            arm=unit.arm,
            seed=unit.seed,
            right=sum(one.right for one in found) / len(found),
            by_program=[one.right for one in found],
            written_tokens=sum(one.tokens for one in found) / len(found),
            unfinished=sum(one.tokens >= plan.max_new_tokens for one in found) / len(found),
            train_tokens=counts["tokens"] / counts["rows"],
            learnt_tokens=counts["response_tokens"] / counts["rows"],
        )
        with replacing(unit.result) as file:
            file.write(json.dumps(result._asdict()) + "\n")
    for path in [*model.glob("checkpoint-*"), *model.glob("*.safetensors"), *model.glob("corpus-*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def train(plan: Plan, unit: Unit, model: Path) -> None:
    """Have `asap train` train. Raises InputError if it fails."""
    changes = {**plan.recipe, "seed": unit.seed}
    words = [word for name, value in changes.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    model.parent.mkdir(parents=True, exist_ok=True)
    code = asap(["train", str(unit.rows), "--model", plan.model, "--out", str(model), *words])
    gc.collect()  # the trainer refers to itself, and the next one needs the memory
    if code:
        raise InputError(f"asap train ended with {code} for {unit.arm}, seed {unit.seed}; run the same command again to go on")


def results(plan: Plan, out: Path) -> list[Result]:
    """The results that are there."""
    rows = folder_of_rows(plan, out)
    wanted = [(arm, seed) for arm in plan.arms for seed in plan.seeds[arm] if (rows / f"{arm}.jsonl").is_file()]
    files = [unit_of(plan, rows, arm, seed, out).result for arm, seed in wanted]
    return [Result(**json.loads(file.read_text("utf-8"))) for file in files if file.is_file()]


if __name__ == "__main__":
    main()
