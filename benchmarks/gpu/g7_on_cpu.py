"""G7's units on a CPU, for those that no GPU came to do: the same rows, recipe, order, and bfloat16 products of the training.

    python benchmarks/gpu/g7_on_cpu.py --units necessary-only-2 --minutes 240 --done docs/results/gpu/g7-*.jsonl --out g7.jsonl

with PYTHONPATH=src:. from the repository's root, and g7_oracle.py's options. A unit takes about an hour of one core that multiplies
in bfloat16. The code of G7 is fixed by its plan, and trains in float32 on a CPU; this script alone changes that. Sums come in another
order than on a GPU, so a unit is another draw of the same training, not its repetition.
"""

import sys

import rounds
import torch
import tuning
from g7_oracle import run


def products_in_bfloat16() -> torch.autocast:
    """What the training's products are made in, as on a GPU."""
    return torch.autocast("cpu", torch.bfloat16)


if __name__ == "__main__":
    tuning.nullcontext = products_in_bfloat16
    tuning.tune.__kwdefaults__["micro_tokens"] = 2048  # 5 GiB instead of 9, and no loss changes by it
    rounds.write.__kwdefaults__["at_once"] = 100  # 500 answers at once would take 10 GiB
    run(["--device", "cpu", *sys.argv[1:]])
