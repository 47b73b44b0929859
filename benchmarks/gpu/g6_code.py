"""G6: HumanEval+ and MBPP+ after training on each arm of passing KodCode traces. It can show harm, not a ranking.

    python benchmarks/gpu/g6_code.py plan                                  # writes g6_plan.json, to be committed before a run
    python benchmarks/gpu/g6_code.py run --minutes 8                       # on a GPU; the programs come back in g6-texts.jsonl.gz
    python benchmarks/gpu/g6_code.py judge g6-texts.jsonl.gz --out DIR     # here, in the sandbox, by `asap score`
    python benchmarks/gpu/g6_code.py table g6.jsonl --out DIR

with PYTHONPATH=src:. from the repository's root. Nothing that a model wrote is run on the machine with the GPU. 542 problems and one or two
seeds show a difference of 5 to 7 points; published ones between step scores are smaller.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench import Bench
from lab import UNTRAINED, Lab, Unit, do_units, options, units_left
from packed import Row, append_gz, code_digest, packed_facts, read_gz, read_lines, read_xz
from tuning import Recipe

PLAN = Path(__file__).with_name("g6_plan.json")
CODE = ("g5_rows", "g6_code", "g6_rows", "lab", "rounds", "tuning")
ROWS, PROBLEMS = "rows.jsonl.xz", "problems.jsonl.xz"
ARMS = ("random", "asap", "original", "answer-only", "keep-tail", "alignment")
FIXED: dict[str, Any] = {
    "model": "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M as GGUF, dequantised",
    "recipe": Recipe(learning_rate=4e-5, num_train_epochs=2, effective_batch_size=16)._asdict(),
    "max_length": 8192,
    "new_tokens": 1024,
    "units": [(UNTRAINED, 0), *((arm, seed) for seed in (0, 1) for arm in ARMS)],
}
NOTE = (
    "It can show harm, not a ranking: so many problems show differences of 5 to 7 points, and those between step scores are smaller. "
    "Intervals are bootstrapped over problems and seeds."
)


def main() -> None:
    """Do what the first word says."""
    word, others = (sys.argv[1:2] or ["-h"])[0], sys.argv[2:]
    does = {"plan": write_plan, "run": run, "judge": judge, "table": tell}
    if word in does:
        does[word](others)
    else:
        print(__doc__)


def write_plan(words: Sequence[str]) -> None:
    """Write the plan: what is fixed, the rows, and the code."""
    parser = argparse.ArgumentParser(description=write_plan.__doc__)
    from g5_rows import planned  # it needs what a machine with a GPU does not
    from g6_rows import problems

    parser.add_argument("--work", type=Path, required=True, help="where g6_rows.py keeps rows and scores")
    parser.add_argument("--data", type=Path, default=Path(".gpu/g6"), help="where it packs the arms (default %(default)s)")
    args = parser.parse_args(words)
    known = {**planned(args.work, list(problems())), "arms": packed_facts(args.data)}
    PLAN.write_text(json.dumps({**FIXED, **known, "code": code_digest(*CODE)}, indent=1) + "\n", "utf-8")


def run(words: Sequence[str]) -> None:
    """Do the units that are left, as far as the time goes."""
    parser = options(__doc__, out="g6.jsonl", data=".gpu/g6")
    parser.add_argument("--texts", type=Path, default=Path("g6-texts.jsonl.gz"), help="programs are appended to it (default %(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="few tokens; the plan's digests do not matter")
    args = parser.parse_args(words)
    args.seconds = 60 * args.minutes
    (rows, of_rows), (problems, of_problems) = read_xz(args.data / ROWS), read_xz(args.data / PROBLEMS)
    if args.rehearse:
        plan = {**FIXED, "recipe": {**FIXED["recipe"], "num_train_epochs": 1}, "new_tokens": 24, "code": "rehearsal"}
    else:
        plan = json.loads(PLAN.read_text("utf-8"))
        arms = plan["arms"] or {"digests": "none yet: the arms were not packed when it was written"}
        if ({ROWS: of_rows, PROBLEMS: of_problems}, code_digest(*CODE)) != (arms["digests"], plan["code"]):
            sys.exit(f"rows, problems or code are not those of {PLAN.name}; write and commit a plan first")
    bench, started = Bench(args), time.monotonic()
    lab = Lab(args.model or f"gguf:{args.data / 'model.gguf'}", args.device)
    bench.put("model", name=plan["model"], **lab.lm.identity, rows=len(rows), load_s=round(time.monotonic() - started, 1))
    prompts = lab.prompts(problem["question"] for problem in problems)

    def unit(unit: Unit) -> dict[str, Any] | None:
        return done(bench, lab, plan, rows, problems, prompts, unit, args.texts)

    do_units(bench, units_left(args, [(arm, seed) for arm, seed in plan["units"]], plan["code"]), unit)


def done(
    bench: Bench,
    lab: Lab,
    plan: Mapping[str, Any],
    rows: Sequence[Row],
    problems: Sequence[Row],
    prompts: list[list[int]],
    unit: Unit,
    texts: Path,
) -> dict[str, Any] | None:
    """Train and write; None where the time was over during the training."""
    arm, seed = unit
    about, started = dict[str, Any](), time.monotonic()
    if arm == UNTRAINED:
        lab.forget()
    else:
        mine = lab.encoded([{"id": row["id"], "question": row["question"], **row["arms"][arm]} for row in rows], plan["max_length"])
        tuned = lab.train(mine, Recipe(**plan["recipe"]), seed, lambda: bench.left_s > 0)
        if tuned is None:
            return None
        about = {**tuned._asdict(), "losses": [round(one, 4) for one in tuned.losses], "rows": len(mine)}
    trained_s = time.monotonic() - started
    written = lab.write(prompts, plan["new_tokens"])
    stops = lab.lm.stop_ids
    append_gz(
        texts,
        (
            {"arm": arm, "seed": seed, "benchmark": problem["benchmark"], "task_id": problem["task_id"], "generation": lab.text(ids)}
            | {"tokens": len(ids), "stopped_by": "stop" if ids[-1] in stops else "length"}
            for problem, ids in zip(problems, written, strict=True)
        ),
    )
    lengths = [len(ids) for ids in written]
    counts = {"tokens_mean": round(float(np.mean(lengths)), 1), "ran_out": sum(ids[-1] not in stops for ids in written)}
    return {"plan": plan["code"], **about, **counts, "train_s": round(trained_s, 1)}


def judge(words: Sequence[str]) -> None:
    """Have `asap score` judge what came back, each unit and benchmark in a folder of its own; the same command goes on."""
    parser = argparse.ArgumentParser(description=judge.__doc__)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(words)
    files = dict[tuple[Path, str], list[str]]()
    for row in (row for file in args.texts for row in read_gz(file)):
        folder = args.out / f"{row['arm']}-{row['seed']}" / row["benchmark"].partition(":")[0]
        attempt = {name: row[name] for name in ("task_id", "generation", "tokens", "stopped_by")}
        files.setdefault((folder, row["benchmark"]), []).append(json.dumps(attempt, ensure_ascii=False) + "\n")
    for (folder, benchmark), lines in files.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "attempts.jsonl").write_text("".join(lines), "utf-8")
        command = ["score", str(folder / "attempts.jsonl"), "--benchmark", benchmark, "--out", str(folder / "scored")]
        subprocess.run([sys.executable, "-m", "asap", *command], check=True)


def tell(words: Sequence[str]) -> None:
    """Print the table of what is judged."""
    parser = argparse.ArgumentParser(description=tell.__doc__)
    parser.add_argument("lines", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the folder of `judge`")
    args = parser.parse_args(words)
    print(table([line for file in args.lines for line in read_lines(file)], args.out))


def table(lines: Sequence[Row], judged: Path) -> str:
    """Pass@1 of each arm over both benchmarks, and its difference from random and from the untrained model."""
    from experiments.oracle.results import difference

    from asap.tables import Table

    units = {(line["arm"], line["seed"]): line for line in lines if line["what"] == "unit"}
    passed = {unit: passed_in(judged / f"{unit[0]}-{unit[1]}") for unit in units}
    problems = sorted(set.intersection(*({*found} for found in passed.values())))
    values = {
        arm: np.array([[found[name] for name in problems] for (of, _), found in sorted(passed.items()) if of == arm], dtype=float)
        for arm in dict.fromkeys(arm for arm, _ in units)
    }
    rows = []
    for arm, mine in values.items():
        against = ["" if arm == base or base not in values else str(difference(mine, values[base])) for base in ("random", UNTRAINED)]
        chosen = [line for (name, _), line in units.items() if name == arm]
        costs = [f"{np.mean([line[name] for line in chosen]):.0f}" for name in ("tokens_mean", "ran_out")]
        rows.append([arm, str(len(mine)), f"{100 * mine.mean():.1f}", *against, *costs])
    header = ["arm", "seeds", f"pass@1 % of {len(problems)}", "minus random", f"minus {UNTRAINED}", "tokens written", "ran out"]
    return f"{Table(header, rows, 'lr').markdown()}\n\n{NOTE}"


def passed_in(folder: Path) -> dict[str, bool]:
    """Whether each problem's program passed; those that could not be judged are in none."""
    found = dict[str, bool]()
    for file in sorted(folder.glob("*/scored/verdicts.jsonl")):
        found |= {line["task_id"]: line["passed"] for line in read_lines(file) if line["verdict"] != "infra"}
    return found


if __name__ == "__main__":
    main()
