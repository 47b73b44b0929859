"""SPIRIT's and leave-one-out's scores of one trace: from kept keys and values (`asap.lm.leave_out`), and reading each text anew.

Run `python benchmarks/perf/leave_out.py`. One run of each way, the bundled model in float32 unless told otherwise; CPU seconds on a CPU,
seconds on a GPU. *both* asks SPIRIT's and leave-one-out's question in one reading. The text is made from a seed.
OMP_WAIT_POLICY=PASSIVE is set where it is unset: threads that spin while they wait would count as CPU time.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from budget import print_header
from figures import Figure, at_most

from asap.lm.leave_out import leave_out
from asap.lm.scorer import LeaveOutRequest, leave_out_anew
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer

T = TypeVar("T")
VOCABULARY = "the of and to in is we have that for it as with be on by this are from or an at not which can if then so let check sum list"
WORDS = VOCABULARY.split()
ANSWER = "The sum of the list is 12."


def main() -> None:
    """Print one row per number of steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", default="bundled", help="a model spec: bundled, hf:… or gguf:… (default %(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 60], help="steps of the trace (default %(default)s)")
    parser.add_argument("--words", type=int, default=18, help="words of a step (default %(default)s)")
    parser.add_argument("--date", default="", help="shown in the header")
    options = parser.parse_args()
    scorer = load_scorer(options.scorer, dtype=options.dtype, device=options.device)
    assert isinstance(scorer, HFScorer)
    print_header(options.date, ["torch", "transformers"])
    print("| steps | tokens | SPIRIT, s | one after another | anew | leave-one-out, s | both, s | largest relative difference |")
    print("|---|---|---|---|---|---|---|---|")
    for count in options.steps:
        print(row_of(scorer, request_of(count, options.words)), flush=True)


def figures(quick: bool) -> Iterator[Figure]:
    """The line for `run.py`; the goal is for 60 steps or more."""
    count, scorer = 20 if quick else 60, load_scorer("bundled")
    assert isinstance(scorer, HFScorer)
    request = request_of(count, 18)
    (_, kept), (_, anew) = (
        timed(scorer, way) for way in (partial(scorer.leave_out, request), partial(leave_out_anew, scorer.score, request))
    )
    yield at_most(f"SPIRIT's scores, {count} steps", [kept / anew], 0.65, "reading each text anew", counts=not quick)


def request_of(count: int, words: int) -> LeaveOutRequest:
    """A trace of so many steps, each of so many words."""
    chance = random.Random(count)
    steps = [" ".join(chance.choices(WORDS, k=words)).capitalize() + "." for _ in range(count)]
    return LeaveOutRequest("What is the sum of the list?\n<think>\n", steps)


def row_of(scorer: HFScorer, request: LeaveOutRequest) -> str:
    """A row of the table."""
    kept = partial(leave_out, scorer.causal_lm, context_tokens=scorer.context_tokens)
    answered = request._replace(tail=ANSWER, lead="\n</think>\n\n")
    found, beside = timed(scorer, partial(kept, request, beside=scorer._reads_beside))
    _, alone = timed(scorer, partial(kept, request, beside=False))
    expected, anew = timed(scorer, partial(leave_out_anew, scorer.score, request))
    _, answers = timed(scorer, partial(kept, answered, beside=scorer._reads_beside))
    _, both = timed(scorer, partial(kept, answered._replace(steps_too=True), beside=scorer._reads_beside))
    assert found is not None
    far = max(abs(one.nll - other.nll) / other.nll for one, other in zip(found.without, expected.without, strict=True))
    ways = " | ".join(f"{seconds:.2f} ({seconds / beside:.2f}x)" for seconds in (alone, anew))
    tokens = scorer.tokens.count(request.text())
    return f"| {len(request.steps)} | {tokens:,} | {beside:.2f} | {ways} | {answers:.2f} | {both:.2f} | {far:.0e} |"


def timed(scorer: HFScorer, work: Callable[[], T]) -> tuple[T, float]:
    """What the work returns, and its seconds."""
    on_gpu = scorer.device.type == "cuda"
    if on_gpu:
        work()  # kernels are made with their first use
        torch.cuda.synchronize()
    clock = time.perf_counter if on_gpu else time.process_time
    begun = clock()
    found = work()
    if on_gpu:
        torch.cuda.synchronize()
    return found, clock() - begun


if __name__ == "__main__":
    main()
