"""CPU seconds of answers of different lengths that are written together, with those that have ended leaving the batch and without.

Run `python benchmarks/perf/write_leaving.py MODEL`, a folder or Hub id of a chat model, or bundled. One thread, greedy, float32; both
ways in one process, one run each after a short one. The answers of both are compared. `--prompts FILE` takes questions of one's own, a
JSON string on each line.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from asap.lm.causal_lm import CausalLM
from asap.lm.prompt import render_prompt
from asap.lm.specs import model_folder
from asap.lm.write import Watch, write_tokens

QUESTIONS = [
    "What is 17 + 25? Answer with the number only.",
    "Write a Python function that reverses a string.",
    "Name three fruits.",
    "Explain in two paragraphs why the sky is blue.",
    "Is 91 a prime number? Say yes or no, and why.",
    "Write a Python function that merges two sorted lists, with a test of it.",
    "A train goes 120 km in one and a half hours. How fast is it?",
    "Say hello.",
    "Write a haiku about the sea.",
    "List the months with 30 days.",
    "What does the word 'pruning' mean?",
    "Write a Python class for a stack with push, pop and peek, each with a docstring.",
    "How many legs do three spiders and two cats have together?",
    "Give the capital of France.",
    "Describe how to make tea, step by step.",
    "What comes after Wednesday?",
]


class Together(Watch):
    """A watch under which no text leaves its batch."""

    def let_leave(self, stops: Sequence[int]) -> None:
        """Nothing."""


def main() -> None:
    """Print a table with a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--new", type=int, default=512, help="tokens at most (default %(default)s)")
    parser.add_argument("--prompts", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm = CausalLM(model_folder("bundled") if options.model == "bundled" else options.model, dtype="float32", device="cpu")
    questions = [json.loads(line) for line in options.prompts.read_text("utf-8").splitlines()] if options.prompts else QUESTIONS
    prompts = [render_prompt(lm.tokens, [{"role": "user", "content": question}]).ids for question in questions]
    write_tokens(lm, prompts, 2)
    found = {}
    for way, watch in (("together to the end", Together), ("those that have ended leave", Watch)):
        started = time.process_time()
        written = write_tokens(lm, prompts, options.new, watch=watch())
        found[way] = written, time.process_time() - started
    lengths = sorted(map(len, written))
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}")
    print(f"{len(prompts)} answers of {lengths[0]} to {lengths[-1]} tokens, {sum(lengths) / len(lengths):.0f} in the mean;", end=" ")
    [(one, _), (other, _)] = found.values()
    print(f"{sum(map(list.__eq__, one, other))} equal both ways\n")
    print("| way | CPU s | written, tokens a CPU s |\n|---|---:|---:|")
    for way, (texts, seconds) in found.items():
        print(f"| {way} | {seconds:.1f} | {sum(map(len, texts)) / seconds:.1f} |")


if __name__ == "__main__":
    main()
