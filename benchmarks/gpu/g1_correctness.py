"""G1: a GPU decides as a CPU does, loses nothing to a kill or to full memory, and makes capped logits in little memory.

Run `python benchmarks/gpu/g1_correctness.py --rows traces.jsonl.gz --limit 40 --reference reference.jsonl` there. The reference is made
beforehand on a CPU: the same with `--make-reference`. Without one it is made on the spot, in float32 on the CPU, for fewer rows.
`--device cpu --limit 2` rehearses it. Parts, the most wanted first: decisions, capped, memory, resume.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from bench import Bench, little_memory, made_tokenizer, parser_of, peak_mib, reset_peak

from asap.dataset import read_samples
from asap.dataset.source import Source
from asap.errors import RowError
from asap.events import DecidedRows, Listener
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.run import prune_into
from asap.spans import Span
from asap.workers.local import InProcess

Found = Iterator[dict[str, Any]]
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
SMALL |= {"vocab_size": 128_000, "initializer_range": 0.1, "max_position_embeddings": 8_192}
CAPPED: dict[str, Callable[[], Any]] = {
    "Gemma 2": lambda: transformers.Gemma2Config(**SMALL, head_dim=64, final_logit_softcapping=3.0, sliding_window=1_024),
    "Cohere": lambda: transformers.CohereConfig(**SMALL, logit_scale=0.3),
    "Granite": lambda: transformers.GraniteConfig(**SMALL, logits_scaling=3.0),
}


def main() -> None:
    """Run all parts, until the time is up."""
    parser = parser_of(__doc__, out="g1.jsonl")
    examples = Path(__file__).parents[2] / "examples" / "traces.jsonl"
    parser.add_argument("--rows", default=str(examples), help="JSONL, also .gz (default: the examples)")
    parser.add_argument("--scorer", default="bundled", help="a model spec (default %(default)s)")
    parser.add_argument("--limit", type=int, default=40, help="rows (default %(default)s)")
    parser.add_argument("--reference", help="decisions made on a CPU")
    parser.add_argument("--make-reference", action="store_true", help="make that file, and end")
    parser.add_argument("--coarse", default="align", help="align, or none to cut by first tokens alone (default %(default)s)")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], help="of the part decisions")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_into(args, Path(args.child))
        return
    if args.make_reference:
        rows = decided(load_scorer(args.scorer, dtype="float32", device="cpu"), args)
        Path(args.reference).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return
    bench = Bench(args)
    parts: dict[str, Callable[[], Found]] = {
        "decisions": lambda: decisions(args),
        "capped": lambda: capped(args),
        "memory": lambda: memory(args),
        "resume": lambda: resume(args),
    }
    bench.run(parts, args.parts)


def decisions(args: argparse.Namespace) -> Found:
    """The device's decisions beside the reference's, in float32 and in the device's own precision."""
    if args.reference:
        reference = [json.loads(line) for line in Path(args.reference).read_text("utf-8").splitlines()]
    else:
        args.limit = min(args.limit, 4)
        reference = list(decided(load_scorer(args.scorer, dtype="float32", device="cpu"), args))
    for dtype in args.dtypes:
        scorer = load_scorer(args.scorer, dtype=dtype, device=args.device)
        yield {"dtype": dtype, "coarse": args.coarse, **compared(list(decided(scorer, args)), reference)}


def settings_of(args: argparse.Namespace) -> AsapSettings:
    """What is asked of all runs."""
    return AsapSettings(ratio=0.5, coarse=args.coarse)


def decided(scorer: Any, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is decided about the rows: digest, and rank, score, and whether it stays, of each step."""
    samples = list(islice(read_samples(args.rows), args.limit))
    for sample, found in zip(samples, Asap(scorer, settings_of(args)).decide(samples), strict=True):
        if isinstance(found, RowError):
            yield {"digest": sample.digest(), "error": found.reason}
            continue
        names = {"ranks": "rank", "scores": "score", "kept": "kept"}
        yield {"digest": sample.digest(), **{name: [getattr(step, field) for step in found.steps] for name, field in names.items()}}


def compared(found: list[dict[str, Any]], reference: list[dict[str, Any]]) -> dict[str, Any]:
    """How alike decisions are: equal orders, mean rank correlation, equal verdicts about steps, scores of steps that have one in both."""
    known = {row["digest"]: row for row in reference if "error" not in row}
    pairs = [(row, known[row["digest"]]) for row in found if "error" not in row and row["digest"] in known]
    verdicts = np.concatenate([np.array(one["kept"]) == np.array(other["kept"]) for one, other in pairs])
    scores = [zip(one["scores"], other["scores"], strict=True) for one, other in pairs]
    differences = [abs(a - b) for both in scores for a, b in both if a is not None and b is not None]
    correlations = [np.corrcoef(one["ranks"], other["ranks"])[0, 1] for one, other in pairs if len(one["ranks"]) > 1]
    return {
        "rows": len(pairs),
        "errors": sum("error" in row for row in found),
        "equal_orders": sum(one["ranks"] == other["ranks"] for one, other in pairs),
        "rank_correlation": round(float(np.mean(correlations)), 5),
        "equal_verdicts": round(float(verdicts.mean()), 5),
        "nats": {"mean": float(np.mean(differences)), "largest": float(np.max(differences))},
    }


def capped(args: argparse.Namespace) -> Found:
    """Small random models that cap or scale their logits: scores as on the CPU, and how much memory they take."""
    words = 2_000 if args.device != "cpu" else 200
    text = " ".join(f"w{number * 7919 % 5000}" for number in range(words))
    for name, config in CAPPED.items():
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(5)
            made_tokenizer(Path(folder))
            transformers.AutoModelForCausalLM.from_config(config()).save_pretrained(folder)
            expected = logprobs(HFScorer(folder, device="cpu", dtype="float32"), text)
            for dtype in ("float32", "bfloat16"):
                scorer = HFScorer(folder, device=args.device, dtype=dtype)
                logprobs(scorer, text[:100])
                reset_peak(scorer.device)
                before = peak_mib(scorer.device) or 0
                difference = np.abs(logprobs(scorer, text) - expected)
                peak = (peak_mib(scorer.device) or 0) - before
                full = round(words * config().vocab_size * 4 / 2**20)
                head = (
                    {"scale": scorer.head.scale, "cap": scorer.head.cap, "narrow": scorer.head.multiplies_narrow} if scorer.head else None
                )
                nats = {"mean": float(difference.mean()), "largest": float(difference.max())}
                yield {"model": name, "dtype": dtype, "head": head, "nats": nats, "extra_mib": peak, "full_logits_mib": full}


def memory(args: argparse.Namespace) -> Found:
    """Batches that do not fit into the memory: every row is scored, and as before."""
    scorer = load_scorer(args.scorer, device=args.device)
    assert isinstance(scorer, HFScorer)
    texts = [sample.cot[:4_000] for sample in islice(read_samples(args.rows), args.limit)]
    expected = [logprobs(scorer, text) for text in texts]
    scorer.batch_tokens = 1 << 20
    requests = [ScoreRequest("", text, [Span(0, len(text))], entropy=True) for text in texts]
    with little_memory(scorer, 2 * max(scorer.tokens.count(text) for text in texts)) as limit:
        scored = scorer.score(requests)
    differences = [np.abs(one.spans[0].logprobs[1:] - other).max() for one, other in zip(scored, expected, strict=True)]
    yield {"limit": limit, "rows": len(texts), "batch_tokens": scorer.batch_tokens, "difference": float(max(differences))}


def resume(args: argparse.Namespace) -> Found:
    """A run killed after its first batches and started again writes the files of one that was not killed."""
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        child(args, whole).wait()
        process = child(args, killed)
        assert process.stdout
        for number, _ in enumerate(process.stdout, start=1):
            if number == 2:
                os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before = (killed / "pruned.jsonl").exists()
        child(args, killed).wait()
        equal = {name: (whole / name).read_bytes() == (killed / name).read_bytes() for name in ("pruned.jsonl", "decisions.jsonl")}
        yield {"killed_before_the_end": not before, "equal_files": equal}


def child(args: argparse.Namespace, folder: Path) -> "subprocess.Popen[str]":
    """A run in a process of its own, which prints a line for each batch."""
    words = [sys.executable, __file__, "--child", str(folder), "--rows", args.rows, "--limit", str(min(args.limit, 12))]
    return subprocess.Popen([*words, "--scorer", args.scorer, "--device", args.device], stdout=subprocess.PIPE, text=True)


def run_into(args: argparse.Namespace, folder: Path) -> None:
    """The run of a child: two rows at a time, so that there is a middle to be killed in."""

    class Told(Listener):
        def decided(self, done: DecidedRows) -> None:
            print(done.rows, flush=True)

    workers = InProcess(Asap(load_scorer(args.scorer, device=args.device), settings_of(args)))
    workers.rows_at_once = min(2, workers.rows_at_once)
    prune_into(folder, Source([args.rows], limit=args.limit), workers, listener=Told())


def logprobs(scorer: HFScorer, text: str) -> Any:
    """All log-probabilities of a text, but the first, which nothing predicts."""
    return scorer.score([ScoreRequest("", text, [Span(0, len(text))])])[0].spans[0].logprobs[1:]


if __name__ == "__main__":
    main()
