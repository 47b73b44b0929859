"""Tokens a CPU second that a judge writes behind prompts of one length, by how many answers it writes together.

Run `python benchmarks/perf/write_together.py JUDGE`, a folder or Hub id of a model, or bundled. One thread, greedy, prompts of 600 tokens;
reading the prompts is timed apart, by a run that writes one token. CPU seconds of one run each.
"""

import argparse
import os
import platform
import time
from pathlib import Path

import torch
import transformers

from asap.lm.causal_lm import CausalLM
from asap.lm.specs import model_folder
from asap.lm.write import write_tokens


def main() -> None:
    """Print one row for each number of answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("judge")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--prompt", type=int, default=600)
    parser.add_argument("--new", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm = CausalLM(model_folder("bundled") if options.judge == "bundled" else options.judge, dtype=options.dtype, device="cpu")
    text = lm.tokens.input_ids(Path(__file__).read_text() * 5)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}\n")
    print("| together | read, tokens a CPU s | written, tokens a CPU s |\n|---|---|---|")
    seconds(lm, [text[: options.prompt]], 1)  # the first reading costs more
    for together in options.together:
        prompts = [text[start : start + options.prompt] for start in range(together)]
        reading, both = seconds(lm, prompts, 1), seconds(lm, prompts, 1 + options.new)
        print(f"| {together} | {options.prompt * together / reading:.0f} | {options.new * together / (both - reading):.1f} |", flush=True)


def seconds(lm: CausalLM, prompts: list[list[int]], new: int) -> float:
    """CPU seconds to read the prompts and write so many tokens after each."""
    started = time.process_time()
    written = write_tokens(lm, prompts, new)
    assert {*map(len, written)} == {new}, "an answer ended early; take another text"
    return time.process_time() - started


if __name__ == "__main__":
    main()
