"""G7: the trainings of experiments/oracle on a GPU: its rows, arms, seeds, recipe, test and gate, in minutes instead of 31 CPU hours.

    python benchmarks/gpu/g7_oracle.py run --share 1/4 --out g7-1.jsonl     # beside 0/4, 2/4, 3/4: a small model leaves a GPU idle
    python benchmarks/gpu/g7_oracle.py table LINES.jsonl…                   # experiments/oracle's table, if its gate is passed

with PYTHONPATH=src:. from the repository's root. Share 0 has the arms that are scored by a model first, the others share the rest. What
differs from `experiments.oracle.train`: a plain loop around the same rows, template and loss (`tuning.py`), so another order of the rows;
bfloat16 products on a GPU instead of a CPU; answers of all programs at once, in float32 as there. `--rehearse` does it with few rows.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import Bench
from experiments.oracle import arms
from experiments.oracle.arms import SCORED, read_sample, write_arm
from experiments.oracle.attempts import is_right
from experiments.oracle.generate import oracle_rows
from experiments.oracle.plan import FILE, Plan
from experiments.oracle.results import Result, results_table
from lab import Lab, Unit, do_units, options, units_left
from packed import Row, code_digest, read_lines
from tuning import Recipe

from asap.atomic import replacing
from asap.lm.prompt import render_prompt
from asap.lm.specs import load_scorer

PLAN = Path(__file__).with_name("g7_plan.json")
CODE = ("g7_oracle", "lab", "rounds", "tuning")


def main() -> None:
    """Do what the first word says."""
    word, others = (sys.argv[1:2] or ["-h"])[0], sys.argv[2:]
    if word == "plan":
        PLAN.write_text(json.dumps(named(Plan.read(FILE)), indent=1) + "\n", "utf-8")
    elif word == "run":
        run(others)
    elif word == "table":
        print(table([line for name in others for line in read_lines(Path(name))], Plan.read(FILE), json.loads(PLAN.read_text("utf-8"))))
    else:
        print(__doc__)


def named(plan: Plan) -> dict[str, str]:
    """What a run must be of: the digests of the oracle's code and of this one's."""
    return {"oracle": plan.code, "code": code_digest(*CODE)}


def run(words: Sequence[str]) -> None:
    """Do the units of a share that are left, as far as the time goes."""
    parser = options(__doc__, out="g7.jsonl", data=".gpu/g7")
    parser.add_argument("--share", default="0/1", help="which of how many processes (default %(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="a few rows and tokens")
    args = parser.parse_args(words)
    args.seconds = 60 * args.minutes
    plan, known = Plan.read(FILE), json.loads(PLAN.read_text("utf-8"))
    if args.rehearse:
        known = {"code": "rehearsal"}
        plan = replace(plan, train_rows=8, test_rows=6, max_new_tokens=24, recipe={**plan.recipe, "num_train_epochs": 1})
    elif named(plan) != known:
        sys.exit(f"the code is not that of {PLAN.name} ({named(plan)}); write and commit a plan first")
    bench = Bench(args)
    spec = args.model or plan.model
    rows = write_rows(plan, args.data / f"{plan.code}-{plan.train_rows}")
    started = time.monotonic()
    lab = Lab(spec, args.device, dtype="float32")
    bench.put("model", **lab.lm.identity, load_s=round(time.monotonic() - started, 1))
    arms.load_scorer = partial(load_scorer, dtype="float32")  # as on a CPU, where the plan was made: bfloat16 decides otherwise
    oracle = Oracle(bench, lab, plan, rows, spec, known["code"])
    do_units(bench, units_left(args, share_of(plan, args.share), known["code"]), oracle.unit)


def write_rows(plan: Plan, folder: Path) -> Path:
    """Write the rows to train on and to test on, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", plan.train_rows, plan.train_seed), ("test", plan.test_rows, plan.test_seed)):
        if not (folder / f"{name}.jsonl").is_file():
            with replacing(folder / f"{name}.jsonl") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in oracle_rows(count, seed, plan.setting))
    return folder


def share_of(plan: Plan, text: str) -> list[Unit]:
    """The units of one of several processes: the first has the scored arms, and the gate's arms come first."""
    mine, of = map(int, text.split("/"))
    gate = ("necessary-only", "random", "random-2")
    units = sorted(((arm, seed) for arm in plan.arms for seed in plan.seeds[arm]), key=lambda unit: (unit[1], unit[0] not in gate))
    scored = [unit for unit in units if unit[0] in SCORED]
    others = [unit for unit in units if unit[0] not in SCORED]
    if of == 1:
        return [*others, *scored]
    return scored if mine == 0 else others[mine - 1 :: of - 1]


def recipe_of(plan: Plan) -> Recipe:
    """The plan's recipe, as far as it says what is learnt; the rest is that of all recipes."""
    return Recipe(**{name: plan.recipe[name] for name in ("learning_rate", "num_train_epochs", "effective_batch_size")})


class Oracle:
    """The rows, the programs to be predicted, and what is done for a unit."""

    def __init__(self, bench: Bench, lab: Lab, plan: Plan, rows: Path, spec: str, code: str) -> None:
        self.bench, self.lab, self.plan, self.rows, self.spec, self.code = bench, lab, plan, rows, spec, code
        self.test = [json.loads(line) for line in (rows / "test.jsonl").read_text("utf-8").splitlines()]
        self.prompts = [render_prompt(lab.lm.tokens, read_sample(row).prompt).ids for row in self.test]

    def unit(self, unit: Unit) -> dict[str, Any] | None:
        """Train and write; None where the time was over during the training."""
        arm, seed = unit
        seconds, started = dict[str, float](), time.monotonic()
        file = self.rows / f"{arm}.jsonl"
        write_arm(arm, self.rows / "train.jsonl", self.rows / "scores", self.spec, file)
        rows = self.lab.encoded(list(read_lines(file)), self.plan.recipe["max_length"])
        seconds["rows"] = round(time.monotonic() - started, 1)
        tuned = self.lab.train(rows, recipe_of(self.plan), seed, lambda: self.bench.left_s > 0)
        if tuned is None:
            return None
        seconds["train"] = round(time.monotonic() - started - seconds["rows"], 1)
        written = self.lab.write(self.prompts, self.plan.max_new_tokens)
        right = [is_right(self.lab.text(ids), row) for ids, row in zip(written, self.test, strict=True)]
        epochs = self.plan.recipe["num_train_epochs"]
        result = Result(
            arm=arm,
            seed=seed,
            right=sum(right) / len(right),
            by_program=right,
            written_tokens=sum(map(len, written)) / len(written),
            unfinished=sum(len(ids) >= self.plan.max_new_tokens for ids in written) / len(written),
            train_tokens=tuned.tokens / epochs / len(rows),
            learnt_tokens=tuned.learnt / epochs / len(rows),
        )
        about = {name: value for name, value in result._asdict().items() if name not in ("arm", "seed")}
        return {"plan": self.code, **about, "losses": [round(one, 4) for one in tuned.losses], "steps": tuned.steps, "seconds": seconds}


def table(lines: Sequence[Row], plan: Plan, known: Mapping[str, str]) -> str:
    """The oracle's own table of these results. Raises ValueError for lines of other code, or of a unit twice."""
    found = dict[Unit, Result]()
    for line in lines:
        if line["what"] != "unit":
            continue
        unit = (line["arm"], line["seed"])
        if line["plan"] != known["code"] or unit in found:
            raise ValueError(f"{unit[0]}-{unit[1]} is there twice, or of other code ({line['plan']}) than {PLAN.name} names")
        found[unit] = Result(**{name: line[name] for name in Result._fields})
    order = [(arm, seed) for arm in plan.arms for seed in plan.seeds[arm]]
    return results_table([found[unit] for unit in order if unit in found], plan.seeds, plan.gate)


if __name__ == "__main__":
    main()
