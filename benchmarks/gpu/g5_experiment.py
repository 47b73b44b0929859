"""G5: does it matter which half of a trace is left? One small model, trained on each arm, tested on questions that it has not seen.

    python benchmarks/gpu/g5_experiment.py plan                 # writes g5_plan.json, to be committed before a run
    python benchmarks/gpu/g5_experiment.py run --minutes 8      # on a GPU; goes on with what --done and --out have not yet
    python benchmarks/gpu/g5_experiment.py table LINES.jsonl…   # the results, read as the plan says

with PYTHONPATH=src:. from the repository's root. `run --rehearse --model hf:FOLDER --device cpu` shows that all parts run. A unit's
line has, for each test problem, whether it was right at each budget, how many tokens were written, and -log p of the gold number behind
the model's own thinking; the texts themselves go to `--texts`.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from bench import Bench, synchronize
from lab import UNTRAINED, Lab, Unit, do_units, options, units_left
from packed import append_gz, code_digest, packed_facts, read_xz
from rounds import Ids
from tuning import Recipe

from asap.evaluate.attempt import Attempt
from asap.evaluate.comparer import Comparer
from asap.think import answer_starts, without_later_thoughts

PLAN = Path(__file__).with_name("g5_plan.json")
CODE = ("g5_experiment", "g5_rows", "g5_table", "lab", "rounds", "tuning")
ROWS, PROBLEMS = "rows.jsonl.xz", "problems.jsonl.xz"
FIRST = ("random", "asap", "short-solutions")
ORDER: tuple[Unit, ...] = (
    *((arm, seed) for seed in (0, 1) for arm in FIRST),
    (UNTRAINED, 0),
    *((arm, seed) for seed in (0, 1) for arm in ("keep-tail", "alignment", "answer-only", "original")),
    *((arm, 2) for arm in FIRST),
    *((arm, seed) for seed in (0, 1) for arm in ("asap-fine", "keep-ends")),
)
FIXED: dict[str, Any] = {
    "model": "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M as GGUF, dequantised",
    "recipe": Recipe(learning_rate=4e-5, num_train_epochs=2, effective_batch_size=16)._asdict(),
    "max_length": 4096,
    "new_tokens": 1024,
    "budgets": [256, 512, 768, 1024],
    "gate": {"arm": "short-solutions", "against": "random", "points": 5},
    "primary": {"arm": "asap", "against": "random", "equivalence_points": 5},
    "secondary": ["alignment", "keep-tail", "answer-only"],
    "described": ["original", "asap-fine", "keep-ends", UNTRAINED],
}
_GOLD = "\n\nThe final answer is \\boxed{"
_NLL_TOKENS = 1 << 15


def main() -> None:
    """Do what the first word says."""
    word, others = (sys.argv[1:2] or ["-h"])[0], sys.argv[2:]
    if word == "plan":
        write_plan(argparse.ArgumentParser(description=__doc__), others)
    elif word == "run":
        run(others)
    elif word == "table":
        from g5_table import tell  # it needs what a machine with a GPU does not

        tell([Path(name) for name in others], json.loads(PLAN.read_text("utf-8")))
    else:
        print(__doc__)


def write_plan(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Write the plan: what is fixed, the rows, and the code."""
    from g5_rows import planned, problems  # it needs what a machine with a GPU does not

    parser.add_argument("--work", type=Path, required=True, help="where g5_rows.py keeps rows and scores")
    parser.add_argument("--data", type=Path, default=Path(".gpu/g5"), help="where it packs the arms (default %(default)s)")
    args = parser.parse_args(words)
    known = {**planned(args.work, list(problems())), "arms": packed_facts(args.data)}
    plan = {**FIXED, "units": ORDER, **known, "code": code_digest(*CODE)}
    PLAN.write_text(json.dumps(plan, indent=1) + "\n", "utf-8")


def run(words: Sequence[str]) -> None:
    """Do the units that are left, as far as the time goes."""
    parser = options(__doc__, out="g5.jsonl", data=".gpu/g5")
    parser.add_argument(
        "--texts", type=Path, default=Path("g5-texts.jsonl.gz"), help="what was written is appended to it (default %(default)s)"
    )
    parser.add_argument("--rehearse", action="store_true", help="a few rows and tokens; the plan's digests do not matter")
    args = parser.parse_args(words)
    args.seconds = 60 * args.minutes
    plan = json.loads(PLAN.read_text("utf-8")) if PLAN.is_file() or not args.rehearse else {**FIXED, "units": ORDER}
    rows, problems = read_data(args.data, plan, rehearse=args.rehearse)
    if args.rehearse:
        plan |= {"recipe": {**plan["recipe"], "num_train_epochs": 1}, "new_tokens": 24, "budgets": [6, 12, 18, 24], "code": "rehearsal"}
    bench = Bench(args)
    units = units_left(args, [(arm, seed) for arm, seed in plan["units"]], plan["code"])
    started = time.monotonic()
    lab = Lab(args.model or f"gguf:{args.data / 'model.gguf'}", args.device)
    bench.put(
        "model", name=plan["model"], **lab.lm.identity, rows=len(rows), problems=len(problems), load_s=round(time.monotonic() - started, 1)
    )
    experiment = Experiment(bench, lab, plan, rows, problems, args.texts)
    do_units(bench, units, experiment.unit)


def read_data(folder: Path, plan: Mapping[str, Any], *, rehearse: bool) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Rows and problems; ends with a sentence unless they and the code are those of the plan."""
    (rows, of_rows), (problems, of_problems) = read_xz(folder / ROWS), read_xz(folder / PROBLEMS)
    if not rehearse:
        if plan["arms"] is None:
            sys.exit(f"{PLAN.name} was written before the arms were packed; write it anew, and commit it, before a run")
        if (found := {ROWS: of_rows, PROBLEMS: of_problems}) != plan["arms"]["digests"]:
            sys.exit(f"{folder} holds other data than the plan names: {found}")
        if (code := code_digest(*CODE)) != plan["code"]:
            sys.exit(f"the code is not that of the plan ({code}); write and commit a plan first")
    return rows, problems


class Experiment:
    """The arms' rows, the problems' prompts, and what is done for a unit."""

    def __init__(
        self,
        bench: Bench,
        lab: Lab,
        plan: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        problems: Sequence[Mapping[str, Any]],
        texts: Path,
    ) -> None:
        self.bench, self.lab, self.plan, self.rows, self.problems, self.texts = bench, lab, plan, rows, problems, texts
        self.prompts = lab.prompts(problem["question"] for problem in problems)

    def unit(self, unit: Unit) -> dict[str, Any] | None:
        """Train, write, judge; None where the time was over during the training."""
        arm, seed = unit
        seconds, trained = dict[str, float](), dict[str, Any]()
        started = time.monotonic()

        def took(what: str) -> None:
            nonlocal started
            synchronize(self.bench.device)
            seconds[what], started = round(time.monotonic() - started, 1), time.monotonic()

        if arm == UNTRAINED:
            self.lab.forget()
        else:
            rows = self.lab.encoded(
                [{"id": row["id"], "question": row["question"], **row["arms"][arm]} for row in self.rows], self.plan["max_length"]
            )
            took("encode")
            tuned = self.lab.train(rows, Recipe(**self.plan["recipe"]), seed, lambda: self.bench.left_s > 0)
            if tuned is None:
                return None
            trained = {**tuned._asdict(), "losses": [round(one, 4) for one in tuned.losses], "rows": len(rows)}
        took("train")
        written = self.lab.write(self.prompts, self.plan["new_tokens"])
        took("write")
        texts = [self.lab.text(ids) for ids in written]
        append_gz(self.texts, (self.attempt(unit, *one) for one in zip(self.problems, written, texts, strict=True)))
        right = judged(self.lab, self.problems, written, self.plan["budgets"])
        took("judge")
        nll = gold_nll(self.lab, self.problems, self.prompts, texts)
        took("nll")
        return {"plan": self.plan["code"], **trained, **counted(self.problems, written, right, nll, self.plan), "seconds": seconds}

    def attempt(self, unit: Unit, problem: Mapping[str, Any], ids: Sequence[int], text: str) -> dict[str, Any]:
        """An answer as `asap score` reads it, with its unit."""
        named = {"arm": unit[0], "seed": unit[1], "benchmark": problem["benchmark"], "task_id": problem["task_id"]}
        return {**named, "generation": text, "tokens": len(ids), "stopped_by": stopped_by(self.lab, ids)}


def stopped_by(lab: Lab, ids: Sequence[int]) -> str:
    """How a text ended."""
    return "stop" if ids and ids[-1] in lab.lm.stop_ids else "length"


def judged(lab: Lab, problems: Sequence[Mapping[str, Any]], written: Ids, budgets: Sequence[int]) -> dict[int, list[bool]]:
    """Whether each answer is right, if only its first tokens had been written, by GSM8K's rule as `asap evaluate` applies it."""
    with Comparer.open(1, ("gsm8k",)) as comparer:

        def verdict(problem: Mapping[str, Any], ids: Sequence[int]) -> bool:
            return is_right(comparer, problem["gold"], lab.text(ids), stopped_by(lab, ids))

        whole = [verdict(problem, ids) for problem, ids in zip(problems, written, strict=True)]
        return {
            budget: [
                found if len(ids) <= budget else verdict(problem, ids[:budget])
                for problem, ids, found in zip(problems, written, whole, strict=True)
            ]
            for budget in budgets
        }


def is_right(comparer: Comparer, gold: str, text: str, stopped: str) -> bool:
    """The verdict on one text."""
    attempt = Attempt("", 0, "generation", text, {"stopped_by": stopped})
    if attempt.answer is None:
        return False
    return comparer.compare(gold, without_later_thoughts(attempt.answer), "gsm8k", cut_off=attempt.cut_off).verdict == "pass"


def gold_nll(lab: Lab, problems: Sequence[Mapping[str, Any]], prompts: Ids, texts: Sequence[str]) -> list[float]:
    r"""-log p of the gold number in a box, in nats, behind each model's own thinking, which is closed where it was not."""
    tokens, wanted = lab.lm.tokens, list[tuple[list[int], int]]()
    for problem, prompt, text in zip(problems, prompts, texts, strict=True):
        behind = [*tokens.encode(thinking_of(text) + _GOLD).ids.tolist()]
        whole = [*tokens.encode(thinking_of(text) + _GOLD + problem["gold"] + "}").ids.tolist()]
        same = next((place for place, (one, other) in enumerate(zip(behind, whole, strict=False)) if one != other), len(behind))
        wanted.append(([*prompt, *whole], len(prompt) + same))
    found, order = [0.0] * len(wanted), sorted(range(len(wanted)), key=lambda place: -len(wanted[place][0]))
    lab.lm.model.set_attn_implementation("sdpa")
    while order:
        width = len(wanted[order[0]][0])
        here, order = order[: max(1, _NLL_TOKENS // width)], order[max(1, _NLL_TOKENS // width) :]
        for place, value in zip(here, summed(lab, [wanted[place] for place in here]), strict=True):
            found[place] = value
    return found


def thinking_of(text: str) -> str:
    """What a text thinks, closed; a text without thinking is left as it is."""
    start = answer_starts(text)
    return f"{text}\n</think>" if start is None else text[:start] if start else text


@torch.inference_mode()
def summed(lab: Lab, batch: Sequence[tuple[list[int], int]]) -> list[float]:
    """The sum of -log p over the last tokens of each row, from a place on; padding on the right changes nothing before it."""
    ids = torch.zeros((len(batch), max(len(row) for row, _ in batch)), dtype=torch.long)
    for place, (row, _) in enumerate(batch):
        ids[place, : len(row)] = torch.tensor(row)
    hidden = lab.lm.model.base_model(input_ids=ids.to(lab.lm.device), use_cache=False).last_hidden_state
    states = torch.cat([hidden[place, first - 1 : len(row) - 1] for place, (row, first) in enumerate(batch)])
    targets = torch.tensor([token for row, first in batch for token in row[first:]], device=lab.lm.device)
    values, at, found = lab.lm.logprobs_of(states, targets), 0, list[float]()
    for row, first in batch:
        found.append(-float(values[at : at + len(row) - first].sum()))
        at += len(row) - first
    return found


def counted(
    problems: Sequence[Mapping[str, Any]], written: Ids, right: Mapping[int, Sequence[bool]], nll: Sequence[float], plan: Mapping[str, Any]
) -> dict[str, Any]:
    """A unit's results: in all, by benchmark, and by problem."""
    last, lengths = plan["new_tokens"], [len(ids) for ids in written]
    names = list(dict.fromkeys(problem["benchmark"] for problem in problems))
    shares = {
        name: {
            budget: share([one for one, problem in zip(found, problems, strict=True) if problem["benchmark"] == name])
            for budget, found in right.items()
        }
        for name in names
    }
    return {
        "accuracy": {budget: share(found) for budget, found in right.items()},
        "by_benchmark": shares,
        "tokens_mean": round(sum(lengths) / len(lengths), 1),
        "ran_out": sum(length >= last for length in lengths),
        "nll_mean": round(sum(nll) / len(nll), 4),
        "items": {
            "right": {budget: "".join("01"[one] for one in found) for budget, found in right.items()},
            "tokens": lengths,
            "nll": [round(one, 3) for one in nll],
        },
    }


def share(found: Sequence[bool]) -> float:
    """The share that is right."""
    return round(sum(found) / len(found), 4)


if __name__ == "__main__":
    main()
