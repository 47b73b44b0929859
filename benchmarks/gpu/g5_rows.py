"""G5's rows, prepared on a CPU: correct traces of GSM8K questions in every arm, the test problems, and what the plan says of both.

    python benchmarks/gpu/g5_rows.py score --traces math_r1_qwq.jsonl.gz --work DIR     # goes on where it was
    python benchmarks/gpu/g5_rows.py pack --work DIR --out .gpu/g5                       # needs ASAP_DATA; writes packed.json, too

from the repository's root with PYTHONPATH=src:. A row is a trace of DeepSeek-R1 or QwQ-32B whose number is right by GSM8K's rule, of
SHORTEST to LONGEST tokens and STEPS steps or more. The 150 traces of experiments/held_out are left out. Half of the tokens of each trace
are cut by the bundled model's scores in float32, in the arms

    random, asap, keep-tail, alignment, asap-fine, keep-ends    by whole steps (asap-fine is asap without its first stage)
    original              all
    answer-only           nothing but a word, since a trace must not be empty
    short-solutions       GSM8K's own solution of the question: the positive control
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments.held_out.rows import maths_rows
from experiments.oracle.arms import NOTHING
from experiments.oracle.scores import decided
from packed import Row, read_gz, read_lines, write_xz

from asap.atomic import replacing
from asap.benchmarks.load import load_benchmark
from asap.benchmarks.problem import GoldResult
from asap.benchmarks.wording import worded
from asap.dataset.shapes import to_sample
from asap.dataset.source import Source
from asap.digest import content_digest
from asap.evaluate.comparer import Comparer
from asap.lm.specs import load_scorer, load_tokens
from asap.lm.tokens import TokenCounter
from asap.maths_result import after_mark
from asap.prune.asap import Asap
from asap.prune.decision.step_cut import StepCut
from asap.prune.settings import AsapSettings
from asap.prune.settle import reordered
from asap.run import prune_into
from asap.sample import Sample
from asap.steps import split_steps
from asap.think import parts_of
from asap.workers.local import InProcess

MODELS = {"deepseek-ai/DeepSeek-R1": "r1", "Qwen/QwQ-32B": "qwq"}
SEED, HALF = 19, 0.5
SHORTEST, LONGEST, STEPS = 300, 1600, 8
MATCHED = 0.02
"""How far apart the shares may be that the halves keep of all tokens."""
CUT = {"random": "random", "asap": None, "keep-tail": "keep-tail", "alignment": "alignment", "asap-fine": "asap", "keep-ends": "keep-ends"}
"""The arms that keep half, and the method whose order of removal each follows; None: both stages, as the run decided."""
ArmsOf = Callable[[Row, Sample, StepCut, TokenCounter], Mapping[str, tuple[str, str]]]
BENCHMARKS = ("gsm8k:clean", "svamp")
ROWS, PROBLEMS, PACKED = "rows.jsonl.xz", "problems.jsonl.xz", "packed.json"
_CALCULATED = re.compile(r"<<[^>]*>>")
_SHARE = 40


def main() -> None:
    """Score the rows, or pack those that are scored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("score", "pack"))
    parser.add_argument("--traces", type=Path, help="math_r1_qwq.jsonl.gz")
    parser.add_argument("--work", type=Path, required=True, help="where the scores are kept")
    parser.add_argument("--limit", type=int, help="only the first rows in drawn order")
    parser.add_argument("--device", default="cpu", help="of the scorer; in float32 a GPU decides as a CPU does (G1)")
    parser.add_argument("--out", type=Path, default=Path(".gpu/g5"), help="default %(default)s")
    args = parser.parse_args()
    if args.what == "pack":
        found = json.dumps(pack(args.work, args.out, args.limit), indent=1)
        print(found)
        (args.out / PACKED).write_text(found + "\n", "utf-8")
        return
    if args.traces is None:
        parser.error("score reads --traces")
    score(lambda: chosen(read_gz(args.traces)), args.work, args.limit, args.device)


def score(choose: Callable[[], Sequence[Row]], work: Path, limit: int | None, device: str) -> None:
    """Choose the rows and score them by the bundled model, some at a time, so that each prefix of the drawn order can be packed."""
    file = work / "rows.jsonl"
    if not file.is_file():
        work.mkdir(parents=True, exist_ok=True)
        with replacing(file) as target:
            target.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in choose())
    count = len(file.read_text("utf-8").splitlines())
    workers = InProcess(Asap(load_scorer("bundled", dtype="float32", device=device), settings()))
    for end in [*range(_SHARE, min(limit or count, count), _SHARE), min(limit or count, count)]:
        prune_into(work / "asap", Source([str(file)], limit=end), workers)
        print(f"{end} of {count} rows are scored", flush=True)


def planned(work: Path, test: Sequence[Row]) -> dict[str, Any]:
    """What a plan says of rows and problems before anything is scored: how many there are, and their digests."""
    rows = read_lines(work / "rows.jsonl")
    return {name: [len(found), content_digest(list(found))[:16]] for name, found in (("rows", rows), ("problems", test))}


def settings() -> AsapSettings:
    """The paper's method at half of the tokens, with the scores of the other methods that one pass gives."""
    return AsapSettings(ratio=HALF, scores="one-pass")


def chosen(rows: Sequence[Row]) -> list[Row]:
    """The rows to train on, in drawn order: any prefix of them is a random sample."""
    held_out = {row["question"] for row in maths_rows(rows)}
    tokens, found = load_tokens("bundled"), list[Row]()
    with Comparer.open(1, ("gsm8k",)) as comparer:
        for row in sorted(rows, key=lambda row: (row["question"], row["model"])):
            model = MODELS.get(row["model"])
            if model is None or row["dataset"] != "gsm8k" or (model == "qwq" and row["question"] in held_out):
                continue
            parts = parts_of(row["response"])
            if row["response"].count("</think>") != 1 or not parts.thinking or not parts.answer:
                continue
            fits = SHORTEST <= tokens.count(parts.thinking) <= LONGEST and len(split_steps(parts.thinking)) >= STEPS
            if fits and comparer.compare(row["answer"], parts.answer, "gsm8k").verdict == "pass":
                found.append(row_of(row, model))
    random.Random(SEED).shuffle(found)
    return found


def row_of(row: Row, model: str) -> Row:
    """A row as it is pruned and trained: its question is worded as in the test."""
    name = f"{content_digest(row['question'])[:12]}-{model}"
    return {
        "id": name,
        "question": worded("maths", question=row["question"]),
        "response": row["response"],
        "gold": after_mark(row["answer"]),
        "solution": row["answer"],
    }


def arms_of(row: Row, sample: Sample, cut: StepCut, tokens: TokenCounter) -> dict[str, tuple[str, str]]:
    """The thinking and the answer of a row in each arm."""
    return {**halves(CUT, sample, cut, tokens), "short-solutions": short(row)}


def halves(arms: Mapping[str, str | None], sample: Sample, cut: StepCut, tokens: TokenCounter) -> dict[str, tuple[str, str]]:
    """The thinking and the answer of a row where half is cut, where nothing is, and where all is."""
    found = {}
    for arm, method in arms.items():
        decision = cut if method is None else reordered(cut, sample, method, tokens, seed=SEED).cut(ratio=HALF)
        found[arm] = (decision.apply(sample.cot), sample.answer)
    return {**found, "original": (sample.cot, sample.answer), "answer-only": (NOTHING, sample.answer)}


def short(row: Row) -> tuple[str, str]:
    """GSM8K's own solution without the calculator's marks, and its result in a box."""
    solution = _CALCULATED.sub("", str(row["solution"]).rpartition("####")[0]).strip()
    return solution, f"The final answer is \\boxed{{{row['gold']}}}."


def packed_rows(work: Path, limit: int | None, arms_of: ArmsOf) -> Iterator[Row]:
    """The scored rows in drawn order with all arms."""
    rows = {row["id"]: row for row in map(json.loads, (work / "rows.jsonl").read_text("utf-8").splitlines())}
    tokens = load_tokens("bundled")
    for number, (cut, sample) in enumerate(decided(work / "asap")):
        if number == limit:
            return
        row = rows[cut.id]
        arms = {
            arm: {"response": to_sample(row).sample.frame.join(thinking, answer)}
            for arm, (thinking, answer) in arms_of(row, sample, cut, tokens).items()
        }
        counts = tokens.count_many([parts_of(arm["response"]).thinking or "" for arm in arms.values()])
        yield {
            "id": row["id"],
            "question": row["question"],
            "arms": {arm: {**value, "think_tokens": count} for (arm, value), count in zip(arms.items(), counts, strict=True)},
        }


def problems() -> Iterator[Row]:
    """The test problems."""
    for name in BENCHMARKS:
        for problem in load_benchmark(name).problems:
            assert isinstance(problem.check, GoldResult)
            yield {"benchmark": name, "task_id": problem.task_id, "question": problem.question, "gold": problem.check.gold}


def check_clean(rows: Sequence[Row], test: Sequence[Row]) -> None:
    """End with a sentence if a test question is one that is trained on."""
    both = {_plain(row["question"]) for row in rows} & {_plain(problem["question"]) for problem in test}
    if both:
        sys.exit(f"{len(both)} test questions are trained on, such as {min(both)[:80]!r}")


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def pack(work: Path, out: Path, limit: int | None) -> dict[str, Any]:
    """Write rows and problems, packed, into `out`; returns what a plan says of them."""
    rows, test = list(packed_rows(work, limit, arms_of)), list(problems())
    check_clean(rows, test)
    return written(out, rows, test)


def written(out: Path, rows: Sequence[Row], test: Sequence[Row]) -> dict[str, Any]:
    """Write rows and problems; returns what a plan says of them."""
    arms = {arm: summary(rows, arm) for arm in rows[0]["arms"]}
    shares = [arms[arm]["share"] for arm in CUT if arm in arms]
    if max(shares) - min(shares) > MATCHED:
        sys.exit(f"the halves keep {min(shares):.1%} to {max(shares):.1%} of the tokens: not within {MATCHED:.0%}, so not equal")
    digests = {ROWS: write_xz(out / ROWS, rows), PROBLEMS: write_xz(out / PROBLEMS, test)}
    return {"rows": len(rows), "digests": digests, "arms": arms}


def summary(rows: Sequence[Row], arm: str) -> dict[str, Any]:
    """The digest of an arm's responses, mean tokens of its thinking, and its share of the original's, over all and by row."""
    counts = np.array([[row["arms"][name]["think_tokens"] for name in (arm, "original")] for row in rows])
    shares = counts[:, 0] / counts[:, 1]
    return {
        "digest": content_digest([row["arms"][arm]["response"] for row in rows])[:16],
        "think_tokens": round(float(counts[:, 0].mean()), 1),
        "share": round(float(counts[:, 0].sum() / counts[:, 1].sum()), 4),
        "share_by_row": [round(float(value), 3) for value in np.quantile(shares, (0.05, 0.5, 0.95))],
    }


if __name__ == "__main__":
    main()
