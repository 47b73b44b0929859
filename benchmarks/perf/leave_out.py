"""SPIRIT's scores of one trace: with kept keys and values (`asap.lm.leave_out`) and reading each text anew.

Run `python benchmarks/perf/leave_out.py`. CPU seconds of one run each, the bundled model in float32. The text is made from a seed.
OMP_WAIT_POLICY=PASSIVE is set where it is unset: threads that spin while they wait would count as CPU time.
"""

import argparse
import os
import platform
import random
import time
from collections.abc import Iterator
from functools import partial

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import transformers
from figures import Figure, at_most

from asap.lm.scorer import LeaveOutRequest, Remainder, Scorer, leave_out_anew
from asap.lm.specs import load_scorer

VOCABULARY = "the of and to in is we have that for it as with be on by this are from or an at not which can if then so let check sum list"
WORDS = VOCABULARY.split()


def main() -> None:
    """Print one row per number of steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 60, 100], help="steps of the trace (default %(default)s)")
    parser.add_argument("--words", type=int, default=18, help="words of a step (default %(default)s)")
    options = parser.parse_args()
    scorer = load_scorer("bundled")
    loads = "/".join(f"{load:.1f}" for load in os.getloadavg())
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{os.cpu_count()} cores, load {loads}; {versions}\n")
    print("| steps | tokens | kept, CPU s (wall) | anew, CPU s (wall) | kept / anew | largest relative difference |")
    print("|---|---|---|---|---|---|")
    for count in options.steps:
        request = request_of(count, options.words)
        (kept, kept_wall, one), (anew, anew_wall, other) = measured(scorer, request)
        difference = max(abs(a.nll - b.nll) / b.nll for a, b in zip(one, other, strict=True))
        tokens = scorer.tokens.count(request.text())
        times = f"{kept:.1f} ({kept_wall:.1f}) | {anew:.1f} ({anew_wall:.1f}) | {kept / anew:.2f}"
        print(f"| {count} | {tokens:,} | {times} | {difference:.0e} |", flush=True)


def figures(quick: bool) -> Iterator[Figure]:
    """The line for `run.py`; the goal is for 60 steps or more."""
    count = 20 if quick else 60
    (kept, _, _), (anew, _, _) = measured(load_scorer("bundled"), request_of(count, 18))
    yield at_most(f"SPIRIT's scores, {count} steps", [kept / anew], 0.65, "reading each text anew", counts=not quick)


def request_of(count: int, words: int) -> LeaveOutRequest:
    """A trace of so many steps, each of so many words."""
    chance = random.Random(count)
    steps = [" ".join(chance.choices(WORDS, k=words)).capitalize() + "." for _ in range(count)]
    return LeaveOutRequest("What is the sum of the list?\n<think>\n", steps)


def measured(scorer: Scorer, request: LeaveOutRequest) -> list[tuple[float, float, list[Remainder]]]:
    """CPU and wall seconds with kept keys and values and anew, and what each finds."""
    found = []
    for way in (scorer.leave_out, partial(leave_out_anew, scorer.score)):
        started, used = time.perf_counter(), time.process_time()
        _, without = way(request)
        found.append((time.process_time() - used, time.perf_counter() - started, without))
    return found


if __name__ == "__main__":
    main()
