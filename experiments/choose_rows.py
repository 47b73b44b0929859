"""The rows of the comparisons in docs/results/compare.md, chosen by length alone.

Run `python experiments/choose_rows.py KIND kodcode_r1.jsonl.gz rows.jsonl` for DeepSeek-R1's traces on KodCode problems. KIND is `code` (a
think part of 4,500 to 9,000 characters, the shortest for each problem, every second of them), `shortest` (the 60 shortest responses),
`fenced` (those with a code fence in it, the shortest first) or `passing` (at most 9,000 characters, and code that passes its tests; the
three shortest for each problem that the held-out test does not use). Run `python experiments/choose_rows.py math math_r1_qwq.jsonl.gz
math.jsonl` for DeepSeek-R1's traces on MATH, the shortest 40.

Run `python experiments/choose_rows.py solvable compared rows.jsonl solvable.jsonl` for those rows of rows.jsonl, of which `asap compare
--generate` wrote answers into `compared`, that the judge solves after the full trace and not without one: the others hardly tell methods
apart. The first measure of passing answers counts. No pruned trace is looked at, so the choice favours no method; against the full trace,
which passes in each of them, every method looks worse than it is.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def main() -> None:
    """Write the chosen rows."""
    kind, source, target = sys.argv[1:4]
    if kind == "solvable":
        write_solvable(Path(source), Path(target), Path(sys.argv[4]))
        return
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    chosen = {"code": code_rows, "shortest": shortest_rows, "fenced": fenced_rows, "passing": passing_rows, "math": math_rows}[kind](rows)
    with open(target, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.writelines(json.dumps(row) + "\n" for row in chosen)


def write_solvable(compared: Path, source: Path, target: Path) -> None:
    """Write the lines of a file whose rows were solved after the full trace and not without one."""
    lines = [json.loads(line) for line in (compared / "judged.jsonl").read_text("utf-8").splitlines()]
    measured = [line for line in lines if line["measure"].startswith("passing")]
    solved = {line["id"] for line in measured if line["measure"] == measured[0]["measure"] and line["value_full"] > line["value_none"]}
    rows = source.read_text("utf-8").splitlines()
    chosen = [row for row in rows if str(json.loads(row)["id"]) in solved]
    target.write_text("".join(f"{row}\n" for row in chosen), "utf-8")
    print(f"{len(chosen)} of {len({line['id'] for line in measured})} rows with tests, of {len(rows)} in all")


def by_length(rows: Sequence[Row]) -> list[Row]:
    """The rows whose thinking came to an end, the shortest first."""
    finished = [row for row in rows if "</think>" in row["response"]]
    return sorted(finished, key=lambda row: (len(thinking(row)), row["id"]))


def shortest_rows(rows: Sequence[Row]) -> list[Row]:
    """The 60 shortest responses."""
    return sorted(rows, key=lambda row: len(row["response"]))[:60]


def fenced_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows with a code fence in their thinking."""
    return [row for row in by_length(rows) if "```" in thinking(row)]


def medium_rows(rows: Sequence[Row]) -> list[Row]:
    """For each problem the row with the shortest thinking of medium length, the shortest first."""
    first = dict[str, Row]()
    for row in by_length(rows):
        if 4500 <= len(thinking(row)) <= 9000:
            first.setdefault(row["problem_id"], row)
    return list(first.values())


def code_rows(rows: Sequence[Row]) -> list[Row]:
    """30 rows of medium length, each of another problem."""
    return medium_rows(rows)[::2][:30]


def passing_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of at most 9,000 characters of thinking whose own code passes, the three shortest for each problem, not the held-out ones."""
    medium = medium_rows(rows)
    held_out = {row["problem_id"] for row in medium} - {row["problem_id"] for row in medium[::2][:24]}
    taken = Counter[str]()
    chosen = list[Row]()
    for row in by_length(rows):
        problem = row["problem_id"]
        if row["passed"] and len(thinking(row)) <= 9000 and problem not in held_out and taken[problem] < 3:
            taken[problem] += 1
            chosen.append(row)
    return chosen


def math_rows(rows: Sequence[Row]) -> list[Row]:
    """40 rows, the shortest first."""
    of_r1 = [row for row in rows if row["model"].endswith("R1") and row["dataset"] == "math"]
    finished = [row for row in of_r1 if row["response"].count("</think>") == 1]
    shortest = sorted(finished, key=lambda row: len(row["response"]))[:40]
    return [{"question": row["question"], "response": row["response"]} for row in shortest]


def thinking(row: Row) -> str:
    """The text before the answer."""
    return str(row["response"]).split("</think>")[0]


if __name__ == "__main__":
    main()
