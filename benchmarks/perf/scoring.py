"""First-token surprisal of one trace: `HFScorer`, the bare transformer body on the same ids, and the naive way.

Run `python benchmarks/perf/scoring.py`; `--quick` takes five minutes, `--long` adds a 16k-token trace. The naive way
is the paper's: all logits in the model's dtype, log-softmax over everything, and the text before each step tokenised again.
The models are the bundled one and a random one with Qwen2.5-0.5B's architecture (152k vocabulary), which shows costs and no more.
Each table row of times is one process in which the ways take turns; each figure of memory is a process of its own. Needs Linux.
OMP_WAIT_POLICY=PASSIVE is set where it is unset: threads that spin while they wait would count as CPU time.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from budget import Timing, make_steps, median_time, print_header, shown
from figures import Figure, at_least, at_most
from numpy.typing import NDArray

from asap.lm.hub import Dtype
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import model_folder
from asap.lm.tokens import TokenCounter
from asap.spans import Span
from asap.steps import SEPARATOR, split_steps

CONTEXT = "Write a function that returns the length of the longest valid substring.\n<think>\n"
STEP_TOKENS, STEP_CHARACTERS = 55, 190  # as in real traces
WAYS = ("asap", "body", "naive")
SLOW = 10.0  # CPU seconds: what takes longer is run less often
PLAN = [  # model, dtype, tokens
    *(("bundled", "float32", tokens) for tokens in (1000, 4000, 8000)),
    *(("152k", dtype, tokens) for tokens in (1000, 2000, 4000, 8000) for dtype in ("float32", "bfloat16")),
]
QUICK_PLAN = [("bundled", "float32", 1000), ("152k", "bfloat16", 1000)]


class Trace(NamedTuple):
    """What is scored: a request, and the ids that the body is run on."""

    request: ScoreRequest
    ids: NDArray[np.int64]


def main() -> None:
    """Start one process per row and print the tables."""
    args = parse_arguments()
    if args.worker:
        print(json.dumps(WORKERS[args.worker[0]](*args.worker[1:])))
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print_header(args.date, ["torch", "transformers"])
    folder = Path(tempfile.mkdtemp(prefix="asap-scoring-"))
    try:
        models = {"bundled": model_folder("bundled"), "152k": str(folder)}
        make_large(folder, models["bundled"])
        for part in args.parts:
            PARTS[part](models, args)
    finally:
        shutil.rmtree(folder)


def parse_arguments() -> argparse.Namespace:
    """The command line; `--worker` is how the script calls itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="tables to make (default: all)")
    parser.add_argument("--repeats", type=int, default=5, help="timings per figure under 10 CPU s (default %(default)s)")
    parser.add_argument("--slow-repeats", type=int, default=1, help="timings per figure of 10 CPU s or more (default %(default)s)")
    parser.add_argument("--models", nargs="+", choices=["bundled", "152k"], default=["bundled", "152k"], help="models to time")
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"], help="dtypes to time")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 2000, 4000, 8000], help="tokens to time")
    parser.add_argument("--quick", action="store_true", help="1k tokens and one dtype per model, 1k tokens for the memory")
    parser.add_argument("--long", action="store_true", help="memory of a 16k-token trace with the 152k vocabulary (minutes)")
    parser.add_argument("--date", default="", help="shown in the header")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`; goals that are for 2,000 tokens do not count at 1,000."""
    folder = Path(tempfile.mkdtemp(prefix="asap-scoring-"))
    length, repeats = ("1000", "2") if quick else ("2000", "5")
    try:
        make_large(folder, model_folder("bundled"))
        found = {
            "bundled, float32": call("times", model_folder("bundled"), "float32", "1000", repeats, "1"),
            "152k words, bfloat16": call("times", str(folder), "bfloat16", length, repeats, "1"),
        }
        for name, one in found.items():
            ratio, added = one["asap"][0] / one["body"][0], one["outside"] / one["asap"][0]
            line = at_most(f"scoring, {name}, {one['tokens']:,} tokens", [ratio], 1.05, "the bare body")
            yield line._replace(came=f"{line.came}, {added:.1%} outside of it")
        large = found["152k words, bfloat16"]
        if "naive" in large:
            faster = large["naive"][0] / large["asap"][0]
            yield at_least(f"scoring, 152k words, {large['tokens']:,} tokens", [faster], 1.3, "all logits", counts=not quick)
        naive, asap = (call("memory", str(folder), "bfloat16", length, way)["mib"] for way in ("naive", "asap"))
        yield at_least(f"memory of scoring {length} tokens, 152k words", [naive / asap], 8, "all logits", counts=not quick)
    finally:
        shutil.rmtree(folder)


def print_times(models: dict[str, str], args: argparse.Namespace) -> None:
    """Table of times: the three ways side by side."""
    print("\n`outside the body`: what asap spends before and after the transformer, timed inside the same call, and its share")
    print("`misplaced`: steps of which the naive way scores another token than the first; `difference`: of the others, in nats")
    print(f"\nOne trace, steps of about {STEP_TOKENS} tokens; CPU s (wall s), medians of `runs`\n")
    columns = ["model", "dtype", "tokens", "steps", "runs", "body", "asap", "asap / body", "outside the body"]
    columns += ["naive", "naive / asap", "misplaced", "difference"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    naive_fp32: dict[tuple[str, int], float] = {}
    notes = []
    for model, dtype, length in QUICK_PLAN if args.quick else PLAN:
        if model not in args.models or dtype not in args.dtypes or length not in args.lengths:
            continue
        found = call("times", models[model], dtype, str(length), str(args.repeats), str(args.slow_repeats))
        body, asap = Timing(*found["body"]), Timing(*found["asap"])
        cells = [model, dtype, f"{found['tokens']:,}", str(found["steps"]), str(found["runs"]), shown(body), shown(asap)]
        cells += [f"{asap.cpu / body.cpu:.3f}", f"{found['outside']:.3f} ({found['outside'] / asap.cpu:.1%})"]
        if "naive" in found:
            naive = Timing(*found["naive"])
            cells += [shown(naive), f"{naive.cpu / asap.cpu:.2f}x", str(found["misplaced"]), f"{found['difference']:.1g}"]
            naive_fp32[model, length] = naive.cpu if dtype == "float32" else naive_fp32.get((model, length), 0.0)
        else:
            cells += ["no memory for it", "", "", ""]
        if dtype == "bfloat16" and naive_fp32.get((model, length)):
            notes.append(f"{model}, {length:,} tokens: naive float32 / asap bfloat16 = {naive_fp32[model, length] / asap.cpu:.2f}x")
        print(f"| {' | '.join(cells)} |", flush=True)
    print("", *notes, sep="\n")


def print_memory(models: dict[str, str], args: argparse.Namespace) -> None:
    """Table of memory: the peak above what the process has after loading and a call on 64 tokens."""
    length = 1000 if args.quick else 2000
    print(f"\nPeak memory above the loaded model, {length:,} tokens, 152k vocabulary; a process for each figure, one run\n")
    print("| dtype | naive MiB | asap MiB | naive / asap | loaded MiB |\n|---|---|---|---|---|")
    for dtype in ["bfloat16"] if args.quick else args.dtypes:
        naive, asap = (call("memory", models["152k"], dtype, str(length), way) for way in ("naive", "asap"))
        print(
            f"| {dtype} | {naive['mib']:,.0f} | {asap['mib']:,.0f} | {naive['mib'] / asap['mib']:.1f}x | {asap['loaded']:,.0f} |",
            flush=True,
        )
    if args.long:
        found = call("memory", models["152k"], "float32", "16000", "asap")
        print(f"\n16k: {found['tokens']:,} tokens, float32, asap: {found['mib']:,.0f} MiB above the loaded model, {found['cpu']:.0f} CPU s")


def print_batches(models: dict[str, str], args: argparse.Namespace) -> None:
    """Table of batches: traces one at a time, and padded together."""
    print("\n16 traces, bundled model, float32: one at a time against padded batches of up to 8,192 tokens; CPU s (wall s)\n")
    print("| requests | median tokens | runs | one at a time | tokens per CPU s | batched | tokens per CPU s | difference |")
    print("|---|---|---|---|---|---|---|---|")
    found = call("batches", models["bundled"], str(1 if args.quick else 3))
    one, batched = Timing(*found["one"]), Timing(*found["batched"])
    cells = [f"16, {found['tokens']:,} tokens", f"{found['median']:.0f}", str(found["runs"])]
    cells += [shown(one), f"{found['tokens'] / one.cpu:.0f}", shown(batched), f"{found['tokens'] / batched.cpu:.0f}"]
    print(f"| {' | '.join(cells)} | {found['difference']:.1g} |", flush=True)


def call(*arguments: str) -> dict[str, Any]:
    """Run a worker in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def work_times(folder: str, dtype: Dtype, length: str, repeats: str, slow_repeats: str) -> dict[str, Any]:
    """Time the three ways in turn; a way that takes over `SLOW` CPU seconds is not run as often as the others."""
    scorer = HFScorer(folder, dtype=dtype)
    trace = make_trace(scorer.tokens, int(length), 1)
    ways: dict[str, Callable[[], Any]] = {way: use(way, scorer, trace) for way in WAYS}
    if not enough_memory(len(trace.ids), scorer):
        del ways["naive"]
    use("asap", scorer, make_trace(scorer.tokens, 64, 0))()
    times: dict[str, list[Timing]] = {way: [] for way in ways}
    inside = time_body(scorer)
    outside: list[float] = []
    wanted = int(repeats)
    while len(times["body"]) < wanted:
        for way in ways if len(outside) % 2 else reversed(ways):  # neither always runs first
            times[way].append(median_time(ways[way], 1))
            if way == "asap":
                outside.append(times[way][-1].cpu - inside[-1])
        if times["asap"][0].cpu > SLOW:
            wanted = int(slow_repeats)
    result: dict[str, Any] = {"tokens": len(trace.ids), "steps": len(trace.request.spans), "runs": len(outside)}
    result["outside"] = statistics.median(outside)
    if "naive" in ways:  # a short text is enough to see that both compute the same
        short = make_trace(scorer.tokens, 300, 1)
        right = ~misplaced(scorer.tokens, short.request)
        result["difference"] = float(np.abs(use("asap", scorer, short)() - use("naive", scorer, short)())[right].max(initial=0.0))
        result["misplaced"] = int(misplaced(scorer.tokens, trace.request).sum())
    return result | {way: [statistics.median(t.cpu for t in all_), statistics.median(t.wall for t in all_)] for way, all_ in times.items()}


def time_body(scorer: HFScorer) -> list[float]:
    """From now on the CPU seconds of every run of the transformer's body are put into the list returned."""
    body, forward, times = scorer.model.base_model, scorer.model.base_model.forward, list[float]()

    def timed(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        result = forward(*args, **options)
        times.append(time.process_time() - start)
        return result

    body.forward = timed
    return times


def work_memory(folder: str, dtype: Dtype, length: str, way: str) -> dict[str, Any]:
    """The peak of the resident memory during one call, minus what was resident before it."""
    scorer = HFScorer(folder, dtype=dtype)
    trace = make_trace(scorer.tokens, int(length), 1)
    use(way, scorer, make_trace(scorer.tokens, 64, 0))()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    before = resident("VmRSS")
    timing = median_time(use(way, scorer, trace), 1)
    return {"mib": resident("VmHWM") - before, "loaded": before, "tokens": len(trace.ids), "cpu": timing.cpu}


def work_batches(folder: str, repeats: str) -> dict[str, Any]:
    """Score short traces of mixed lengths, alone and in batches."""
    scorer = HFScorer(folder)
    rng = random.Random(3)
    lengths = [int(min(1200.0, 300 * rng.lognormvariate(0, 0.6))) for _ in range(16)]
    traces = [make_trace(scorer.tokens, length, number) for number, length in enumerate(lengths)]
    requests = [trace.request for trace in traces]
    scores: dict[int, NDArray[np.float64]] = {}
    times: dict[int, list[Timing]] = {0: [], 8192: []}

    def score(batch_tokens: int) -> None:
        scorer.batch_tokens = batch_tokens
        scores[batch_tokens] = np.concatenate([span.logprobs for scored in scorer.score(requests) for span in scored.spans])

    scorer.score(requests[:1])
    for _ in range(int(repeats)):
        for batch_tokens, found in times.items():
            found.append(median_time(partial(score, batch_tokens), 1))
    one, batched = ([statistics.median(t.cpu for t in found), statistics.median(t.wall for t in found)] for found in times.values())
    tokens = [len(trace.ids) for trace in traces]
    difference = float(np.abs(scores[0] - scores[8192]).max())
    counted = {"tokens": sum(tokens), "median": statistics.median(tokens), "runs": len(times[0]), "difference": difference}
    return counted | {"one": one, "batched": batched}


def use(way: str, scorer: HFScorer, trace: Trace) -> Callable[[], Any]:
    """The work of one way."""
    if way == "asap":
        return lambda: np.array([span.logprobs[0] for span in scorer.score([trace.request])[0].spans])
    if way == "body":
        return lambda: run_body(scorer, trace.ids)
    return lambda: naive_scores(scorer, trace.request)


@torch.inference_mode()
def run_body(scorer: HFScorer, ids: NDArray[np.int64]) -> object:
    """The transformer without its head."""
    return scorer.model.base_model(input_ids=torch.from_numpy(ids)[None], use_cache=False)


@torch.inference_mode()
def naive_scores(scorer: HFScorer, request: ScoreRequest) -> NDArray[np.float64]:
    """Log-probability of each step's first token, as the paper's scripts get it: everything, then a few entries of it."""
    ids = scorer.tokens.hf.encode(request.context + request.text, add_special_tokens=False, return_tensors="pt")
    logprobs = torch.log_softmax(scorer.model(input_ids=ids, use_cache=False).logits[0], dim=-1)
    return np.array([logprobs[first - 1, ids[0, first]].item() for first in naive_places(scorer.tokens, request)])


def naive_places(tokens: TokenCounter, request: ScoreRequest) -> list[int]:
    """Where each step's first token stands, as the paper's scripts get it: the text before it is tokenised again."""
    prefixes = (request.context + request.text[: span.start] for span in request.spans)
    return [len(tokens.hf.encode(prefix, add_special_tokens=False)) for prefix in prefixes]


def misplaced(tokens: TokenCounter, request: ScoreRequest) -> NDArray[np.bool_]:
    """Whether the naive way looks at another token than the first that stands in the step."""
    starts = [len(request.context) + span.start for span in request.spans]
    first = np.searchsorted(tokens.encode(request.context + request.text).ends, starts, side="right")
    return np.asarray(first != naive_places(tokens, request))


def make_trace(tokens: TokenCounter, length: int, seed: int) -> Trace:
    """Seeded steps up to about so many tokens, the context included."""
    steps = make_steps(random.Random(seed), 2 + length // 30, characters=STEP_CHARACTERS, indented=0.0)
    text = SEPARATOR.join(steps)
    ends = tokens.encode(CONTEXT + text).ends
    if len(ends) > length:
        text = text[: int(ends[length - 1]) - len(CONTEXT)].rstrip()
    spans: Sequence[Span] = split_steps(text)
    request = ScoreRequest(CONTEXT, text, spans, 1)
    encoded = tokens.encode(CONTEXT + text)
    last = int(np.searchsorted(encoded.ends, len(CONTEXT) + spans[-1].start, side="right"))
    return Trace(request, encoded.ids[:last])  # the last wanted token is predicted, not read


def make_large(folder: Path, tokenizer: str) -> None:
    """A random model with Qwen2.5-0.5B's architecture; its tokenizer is the bundled model's."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for file in Path(tokenizer).glob("*token*"):
        shutil.copy(file, folder)


def enough_memory(tokens: int, scorer: HFScorer) -> bool:
    """Whether two matrices of tokens by vocabulary fit into what is free, with a quarter to spare."""
    needed = 2.5 * tokens * scorer.model.config.vocab_size * scorer.dtype.itemsize
    return float(needed) < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def resident(field: str) -> float:
    """A field of this process's status, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


PARTS: dict[str, Callable[[dict[str, str], argparse.Namespace], None]] = {
    "times": print_times,
    "memory": print_memory,
    "batches": print_batches,
}
WORKERS: dict[str, Callable[..., dict[str, Any]]] = {"times": work_times, "memory": work_memory, "batches": work_batches}


if __name__ == "__main__":
    main()
