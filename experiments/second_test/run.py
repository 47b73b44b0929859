"""The second test, run once: `asap compare` on the rows of two teachers, then the claims of plan.json. README.md is the plan.

    python -m experiments.second_test.run --maths math_r1_qwq.jsonl.gz --out DIR --judge hf:MODEL --device cuda
    python -m experiments.second_test.run --maths math_r1_qwq.jsonl.gz --out DIR --only qwq        # beside --only r1 in another process
    python -m experiments.second_test.run --maths math_r1_qwq.jsonl.gz --out DIR --rehearse        # three rows that were used before
    python -m experiments.second_test.run --maths math_r1_qwq.jsonl.gz --out DIR --scores-only     # while a judge is on its way
    python -m experiments.second_test.run decide DIR

It may be interrupted: the same command goes on where it was. Rows and claims must be those of plan.json.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from experiments.held_out.decide import Difference
from experiments.held_out.rows import Row, digest, is_right, maths_rows, read_rows, write_rows
from experiments.scored_ahead import scored_ahead

from asap.digest import content_digest
from asap.lm.specs import load_scorer
from asap.maths_result import after_mark
from asap.stats import holm, interval, wilcoxon
from asap.tables import Table

ROOT = Path(__file__).parents[2]
PLAN = Path(__file__).with_name("plan.json")
TEACHERS = {"qwq": "QwQ-32B", "r1": "deepseek-ai/DeepSeek-R1"}
REHEARSED = 3

Values = Mapping[tuple[str, str, float, str], Mapping[str, float]]
"""By teacher, measure, ratio and method: the value of each row, by its id."""


def main() -> None:
    """Run what is left of the test, then decide; or decide only."""
    if sys.argv[1:2] == ["decide"]:
        print(decide(Path(sys.argv[2]), json.loads(PLAN.read_text("utf-8"))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maths", type=Path, required=True, help="math_r1_qwq.jsonl.gz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--judge", help="a model spec (default: the plan's)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=TEACHERS, help="the rows of one teacher; decide nothing")
    parser.add_argument("--scores-only", action="store_true", help="score the steps, with which the test then goes on; judge nothing")
    parser.add_argument("--rehearse", action="store_true", help="three rows of the first test, and the bundled model as judge")
    options = parser.parse_args()
    plan = json.loads(PLAN.read_text("utf-8"))
    rows = chosen(read_rows(options.maths), rehearse=options.rehearse)
    if not options.rehearse:
        check(plan, rows)
    judge = options.judge or ("bundled" if options.rehearse else plan["judge"])
    for teacher in [options.only] if options.only else TEACHERS:
        write_rows(options.out / f"{teacher}.jsonl", rows[teacher])
        if options.scores_only:
            score(teacher, options.out, plan, options.device)
        else:
            subprocess.run(command(teacher, options.out, plan, judge, options.device), cwd=ROOT, check=True)
    if not options.only and not options.scores_only:
        print(decide(options.out, plan))


def chosen(traces: Sequence[Row], *, rehearse: bool = False) -> dict[str, list[Row]]:
    """By teacher the right traces on questions that the first test did not use; in a rehearsal, three that it did."""
    used = {row["question"] for row in maths_rows(traces)}
    found = dict[str, list[Row]]()
    for teacher, model in TEACHERS.items():
        first = dict[str, Row]()
        for row in sorted(traces, key=lambda row: row["question"]):
            wanted = row["dataset"] == "gsm8k" and row["model"].endswith(model) and (row["question"] in used) == rehearse
            if wanted and row["response"].count("</think>") == 1 and is_right(row):
                first.setdefault(row["question"], row)
        found[teacher] = [row_of(row) for row in first.values()][: REHEARSED if rehearse else None]
    return found


def row_of(row: Row) -> Row:
    """A row with an id by its question, and the gold answer."""
    name = f"gsm8k-{content_digest(row['question'])[:12]}"
    return {"id": name, "question": row["question"], "response": row["response"], "gold": after_mark(row["answer"])}


def check(plan: Mapping[str, Any], rows: Mapping[str, Sequence[Row]]) -> None:
    """End with a sentence unless the rows are those of the plan."""
    for teacher, of in rows.items():
        if [len(of), digest(of)] != plan["rows"][teacher]:
            sys.exit(f"the rows of {teacher} are not those of plan.json: {len(of)} with digest {digest(of)}")


def command(teacher: str, out: Path, plan: Mapping[str, Any], judge: str, device: str) -> list[str]:
    """The words of `asap compare` for the rows of a teacher."""
    what = ["--methods", ",".join(plan["methods"]), "--ratios", ",".join(map(str, plan["ratios"])), "--seed", str(plan["seed"])]
    models = ["--scorer", plan["scorer"], "--judge", judge, "--dtype", plan["dtype"], "--device", device]
    where = [str((out / f"{teacher}.jsonl").absolute()), "--out", str((out / teacher).absolute())]
    return [sys.executable, "-m", "asap", "compare", *where, *what, *models, "--strip", "copies", "--generate", str(plan["generate"])]


def score(teacher: str, out: Path, plan: Mapping[str, Any], device: str) -> None:
    """Score the steps of a teacher's rows, as `asap compare` would."""
    scorer, rows = load_scorer(plan["scorer"], dtype=plan["dtype"], device=device), (out / f"{teacher}.jsonl").absolute()
    for name, totals in scored_ahead(scorer, rows, out / teacher, plan["methods"], plan):
        print(f"{teacher}: {name} scored on {totals.rows} rows, {totals.rejected} rejected", flush=True)


class Claim(NamedTuple):
    """What is said of a method and a reference by one measure, on the rows of one teacher, and what came."""

    teacher: str
    method: str
    against: str
    ratio: float
    measure: str
    least: float
    came: Difference

    @property
    def holds(self) -> bool:
        """Whether the difference is shown and as large as the plan asks."""
        return self.came.is_shown and self.came.mean >= self.least

    @property
    def cells(self) -> list[str]:
        """Its line in the table."""
        what = [self.teacher, f"{self.method} - {self.against}", f"{self.ratio:g}", self.measure, str(self.came.rows)]
        found = [f"{self.came.mean:+.3f} [{self.came.low:+.3f}, {self.came.high:+.3f}]", f"{self.came.p:.4f}"]
        return [*what, *found, f"{self.least:g}", "yes" if self.holds else "no"]


def decide(out: Path, plan: Mapping[str, Any]) -> str:
    """The claims as a table; also written to decision.md."""
    values = values_of({teacher: (out / teacher / "judged.jsonl").read_text("utf-8").splitlines() for teacher in TEACHERS})
    rows = [one.cells for one in claims(values, plan["claims"])]
    text = Table(["rows of", "claim", "ratio", "measure", "rows", "difference", "p", "at least", "holds"], rows).markdown()
    (out / "decision.md").write_text(f"{text}\n", "utf-8")
    return text


def values_of(judged: Mapping[str, Iterable[str]]) -> Values:
    """The values in lines of judged.jsonl, by teacher."""
    found = dict[tuple[str, str, float, str], dict[str, float]]()
    for teacher, lines in judged.items():
        for one in map(json.loads, lines):
            found.setdefault((teacher, one["measure"], one["ratio"], one["method"]), {})[one["id"]] = one["value"]
    return found


def claims(values: Values, asked: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """Every claim on the rows of each teacher, adjusted by Holm over all. Raises ValueError where a row lacks one of the two values."""
    keys, pairs = list[tuple[Any, ...]](), list[list[float]]()
    for teacher in TEACHERS:
        for one in asked:
            ours, theirs = (values.get((teacher, one["measure"], one["ratio"], one[name]), {}) for name in ("method", "against"))
            if not ours or ours.keys() != theirs.keys():
                both = f"{one['method']} and {one['against']}"
                raise ValueError(f"{both} were not judged on the same rows of {teacher}: the test is not complete")
            keys.append((teacher, one["method"], one["against"], one["ratio"], one["measure"], one["least"]))
            pairs.append([round(ours[row] - theirs[row], 9) for row in sorted(ours)])
    adjusted = holm([wilcoxon(pair) for pair in pairs])
    came = [Difference(len(pair), float(np.mean(pair)), *interval(pair), p) for pair, p in zip(pairs, adjusted, strict=True)]
    return [Claim(*key, difference) for key, difference in zip(keys, came, strict=True)]


if __name__ == "__main__":
    main()
