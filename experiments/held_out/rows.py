"""The rows of the test, chosen without a model: nothing else has used them.

Run `python -m experiments.held_out.rows kodcode_r1.jsonl.gz math_r1_qwq.jsonl.gz --out DIR` from the repository's root: it writes
code.jsonl and maths.jsonl, and prints how many rows each has and their digest, which plan.json must name.
"""

import argparse
import gzip
import json
import random
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from asap.atomic import replacing
from asap.digest import content_digest

Row = Mapping[str, Any]
SEED = 18
MATHS_ROWS = 150
USED = 24
SHORTEST, LONGEST = 4500, 9000  # characters of thinking
_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")


def main() -> None:
    """Write the rows of both kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", type=Path, help="DeepSeek-R1's traces on KodCode problems")
    parser.add_argument("maths", type=Path, help="traces of several models on GSM8K and MATH questions")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for name, chosen in written(options.code, options.maths, options.out).items():
        print(f"{name}: {len(chosen)} rows, digest {digest(chosen)}")


def written(code: Path, maths: Path, out: Path) -> dict[str, list[Row]]:
    """The chosen rows by kind, which are then in `out` as JSONL."""
    chosen = {"code": code_rows(read_rows(code)), "maths": maths_rows(read_rows(maths))}
    for name, rows in chosen.items():
        write_rows(out / f"{name}.jsonl", rows)
    return chosen


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSONL, and the folder for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def read_rows(path: Path) -> list[Row]:
    """The rows of a packed JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def digest(rows: Sequence[Row]) -> str:
    """The name of rows in their order."""
    return content_digest(list(rows))[:16]


def medium_rows(rows: Sequence[Row]) -> list[Row]:
    """For each problem the row with the shortest thinking of medium length that came to an end, the shortest first."""
    finished = [row for row in rows if "</think>" in row["response"] and SHORTEST <= len(_thinking(row)) <= LONGEST]
    first = dict[str, Row]()
    for row in sorted(finished, key=lambda row: (len(_thinking(row)), row["id"])):
        first.setdefault(row["problem_id"], row)
    return list(first.values())


def used_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows of the comparisons so far: every second of the medium ones, the first 24 of these (`experiments/choose_rows.py code`)."""
    return medium_rows(rows)[::2][:USED]


def code_rows(rows: Sequence[Row]) -> list[Row]:
    """The medium rows of all problems that no comparison has used."""
    used = {row["problem_id"] for row in used_rows(rows)}
    return [row for row in medium_rows(rows) if row["problem_id"] not in used]


def maths_rows(rows: Sequence[Row]) -> list[Row]:
    """150 of QwQ-32B's traces on GSM8K questions that came to an end and whose boxed result is the gold answer, drawn by the seed."""
    clean = dict[str, Row]()
    for row in sorted(rows, key=lambda row: row["question"]):
        if row["dataset"] == "gsm8k" and row["model"].endswith("QwQ-32B") and row["response"].count("</think>") == 1 and is_right(row):
            clean.setdefault(row["question"], row)
    drawn = random.Random(SEED).sample(list(clean.values()), MATHS_ROWS)
    names = ("question", "response")
    return [{"id": f"gsm8k-{content_digest(row['question'])[:12]}", **{name: row[name] for name in names}} for row in drawn]


def is_right(row: Row) -> bool:
    """Whether the last boxed result behind the thinking is the number behind the gold answer's ####."""
    boxed = _BOXED.findall(row["response"].rpartition("</think>")[2])
    gold = _number(row["answer"].rpartition("####")[2])
    return bool(boxed) and gold is not None and _number(boxed[-1]) == gold


def _number(text: str) -> Fraction | None:
    found = re.fullmatch(r"-?\d+(?:\.\d+)?(?:/\d+)?", re.sub(r"[\s,$%\\!]", "", text))
    return Fraction(found[0]) if found and not found[0].endswith("/0") else None


def _thinking(row: Row) -> str:
    return str(row["response"]).split("</think>")[0]


if __name__ == "__main__":
    main()
