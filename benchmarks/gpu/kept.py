"""Which steps the halves of G5 and G6 keep, in a file without a word of a trace: whoever has the traces packs the arms again, unscored.

    python benchmarks/gpu/kept.py write g6 --work W/g6                                      # g6_kept.jsonl, to be committed
    python benchmarks/gpu/kept.py pack g6 --traces kodcode_r1.jsonl.gz --out .gpu/g6        # a minute; needs ASAP_DATA

from the repository's root with PYTHONPATH=src:. Scores take an hour of CPU, and their folder holds texts of third parties. A line has a
row's id, the digest of its trace, and for each half a character a step: 1 is kept. Other traces than the scored ones end the command.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import g5_rows
import g6_rows
from experiments.oracle.arms import NOTHING
from experiments.oracle.scores import decided
from packed import Row, read_gz, read_lines

from asap.dataset.shapes import to_sample
from asap.digest import content_digest
from asap.lm.specs import load_tokens
from asap.prune.settle import reordered
from asap.sample import Sample
from asap.steps import keep_steps, split_steps
from asap.think import parts_of

EXPERIMENTS: Mapping[str, ModuleType] = {"g5": g5_rows, "g6": g6_rows}


def main() -> None:
    """Write which steps are kept, or pack the arms by what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "pack"))
    parser.add_argument("experiment", choices=tuple(EXPERIMENTS))
    parser.add_argument("--work", type=Path, help="where the scores are, for write")
    parser.add_argument("--traces", type=Path, help="the traces, for pack")
    parser.add_argument("--out", type=Path, help="where the arms are packed")
    parser.add_argument("--file", type=Path, help="default: EXPERIMENT_kept.jsonl beside this script")
    args = parser.parse_args()
    module = EXPERIMENTS[args.experiment]
    file = args.file or Path(__file__).with_name(f"{args.experiment}_kept.jsonl")
    if args.what == "write":
        lines = [json.dumps(line) + "\n" for line in kept_lines(args.work, module.CUT)]
        file.write_text("".join(lines), "utf-8")
        print(f"{len(lines)} rows, {file.stat().st_size:,} bytes")
        return
    rows, test = list(packed_rows(module.chosen(read_gz(args.traces)), read_lines(file), module)), list(module.problems())
    g5_rows.check_clean(rows, test)
    facts = json.dumps(g5_rows.written(args.out, rows, test), indent=1)
    (args.out / g5_rows.PACKED).write_text(facts + "\n", "utf-8")
    print(facts)


def kept_lines(work: Path, cut_by: Mapping[str, str | None]) -> Iterator[Row]:
    """For each scored row, which steps each half keeps."""
    tokens = load_tokens("bundled")
    for cut, sample in decided(work / "asap"):
        halves = {}
        for arm, method in cut_by.items():
            decision = cut if method is None else reordered(cut, sample, method, tokens, seed=g5_rows.SEED).cut(ratio=g5_rows.HALF)
            halves[arm] = "".join("1" if step.kept else "0" for step in decision.steps)
        yield {"id": cut.id, "trace": _trace(sample), "kept": halves}


def packed_rows(rows: Sequence[Row], lines: Sequence[Row], module: ModuleType) -> Iterator[Row]:
    """The rows with all arms, in drawn order, as `g5_rows.packed_rows` makes them from scores."""
    tokens = load_tokens("bundled")
    for row, line in zip(rows, lines, strict=False):
        sample = to_sample(row).sample
        if (row["id"], _trace(sample)) != (line["id"], line["trace"]):
            sys.exit(f"row {row['id']} is not row {line['id']} as it was scored; these are other traces")
        spans = split_steps(sample.cot)
        arms = {arm: (keep_steps(sample.cot, spans, [mark == "1" for mark in marks]), sample.answer) for arm, marks in line["kept"].items()}
        arms |= {"original": (sample.cot, sample.answer), "answer-only": (NOTHING, sample.answer)}
        if module is g5_rows:
            arms["short-solutions"] = g5_rows.short(row)
        responses = {arm: sample.frame.join(*texts) for arm, texts in arms.items()}
        counts = tokens.count_many([parts_of(response).thinking or "" for response in responses.values()])
        made = {arm: {"response": responses[arm], "think_tokens": count} for arm, count in zip(arms, counts, strict=True)}
        yield {"id": row["id"], "question": row["question"], "arms": made}


def _trace(sample: Sample) -> str:
    return content_digest(sample.cot)[:12]


if __name__ == "__main__":
    main()
