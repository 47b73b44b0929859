"""G6's rows, prepared on a CPU: DeepSeek-R1's passing traces on KodCode problems in every arm, and the problems of HumanEval+ and MBPP+.

    python benchmarks/gpu/g6_rows.py score --traces kodcode_r1.jsonl.gz --work DIR     # goes on where it was
    python benchmarks/gpu/g6_rows.py pack --work DIR --out .gpu/g6                      # needs ASAP_DATA

from the repository's root with PYTHONPATH=src:. The rows are those that passed their tests, of SHORTEST to LONGEST tokens and STEPS
steps or more, up to three trials of a problem. Halves are cut as in g5_rows.py.
"""

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from g5_rows import PACKED, SEED, check_clean, halves, packed_rows, score, written
from packed import Row, read_gz

from asap.benchmarks.load import load_benchmark
from asap.benchmarks.wording import worded
from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter
from asap.prune.decision.step_cut import StepCut
from asap.sample import Sample
from asap.steps import split_steps
from asap.think import parts_of

CUT = {"random": "random", "asap": None, "keep-tail": "keep-tail", "alignment": "alignment"}
SHORTEST, LONGEST, STEPS = 300, 2400, 8
BENCHMARKS = ("humaneval+", "mbpp+")


def main() -> None:
    """Score the rows, or pack those that are scored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("score", "pack"))
    parser.add_argument("--traces", type=Path, help="kodcode_r1.jsonl.gz")
    parser.add_argument("--work", type=Path, required=True, help="where the scores are kept")
    parser.add_argument("--limit", type=int, help="only the first rows in drawn order")
    parser.add_argument("--device", default="cpu", help="of the scorer; in float32 a GPU decides as a CPU does (G1)")
    parser.add_argument("--out", type=Path, default=Path(".gpu/g6"), help="default %(default)s")
    args = parser.parse_args()
    if args.what == "score":
        if args.traces is None:
            parser.error("score reads --traces")
        score(lambda: chosen(read_gz(args.traces)), args.work, args.limit, args.device)
        return
    rows, test = list(packed_rows(args.work, args.limit, arms_of)), list(problems())
    check_clean(rows, test)
    found = json.dumps(written(args.out, rows, test), indent=1)
    print(found)
    (args.out / PACKED).write_text(found + "\n", "utf-8")


def chosen(rows: Sequence[Row]) -> list[Row]:
    """The rows to train on, in drawn order."""
    tokens, found = load_tokens("bundled"), list[Row]()
    for row in sorted(rows, key=lambda row: (row["problem_id"], row["id"])):
        parts = parts_of(row["response"])
        if not row["passed"] or row["response"].count("</think>") != 1 or not parts.thinking or not parts.answer:
            continue
        if SHORTEST <= tokens.count(parts.thinking) <= LONGEST and len(split_steps(parts.thinking)) >= STEPS:
            found.append({"id": row["id"], "question": worded("trace", question=row["question"]), "response": row["response"]})
    random.Random(SEED).shuffle(found)
    return found


def arms_of(_row: Row, sample: Sample, cut: StepCut, tokens: TokenCounter) -> Mapping[str, tuple[str, str]]:
    """The thinking and the answer of a row in each arm."""
    return halves(CUT, sample, cut, tokens)


def problems() -> Iterator[Row]:
    """The test problems."""
    for name in BENCHMARKS:
        for problem in load_benchmark(name).problems:
            yield {"benchmark": name, "task_id": problem.task_id, "question": problem.question}


if __name__ == "__main__":
    main()
