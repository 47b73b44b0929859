"""The maths traces of MiP-Overthinking as attempts for `asap score`, a file for each model and data set: see docs/results/maths.md.

    python experiments/maths_traces.py $ASAP_DATA/traces/math_r1_qwq.jsonl.gz OUT

writes OUT/gsm8k-MODEL.jsonl, whose task_ids are those of the benchmark `gsm8k`, OUT/math-MODEL.jsonl, and the problems of both with their
gold answers as OUT/gsm8k.jsonl and OUT/math.jsonl, for `maths:FILE`.
"""

import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asap.benchmarks.load import load_benchmark


def main(source: Path, out: Path) -> None:
    """Write the files."""
    named = {problem.question.partition("\n\nPlease reason")[0]: problem.task_id for problem in load_benchmark("gsm8k").problems}
    problems, attempts = defaultdict[str, dict[str, Any]](dict), defaultdict[str, list[Any]](list)
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            data, question = row["dataset"], row["question"]
            name = named[question] if data == "gsm8k" else f"math/{len(problems[data])}"
            name = problems[data].setdefault(question, {"id": name, "question": question, "answer": row["answer"]})["id"]
            attempts[f"{data}-{row['model'].rpartition('/')[2]}"].append(
                {"task_id": name, "generation": row["response"], "eval_result": row["eval_result"]}
            )
    out.mkdir(parents=True, exist_ok=True)
    for data, found in problems.items():
        _write(out / f"{data}.jsonl", found.values())
    for name, rows in attempts.items():
        _write(out / f"{name}.jsonl", rows)


def _write(path: Path, rows: Iterable[Any]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
