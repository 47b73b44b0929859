"""G4: how fast transformers writes here: 164 prompts at once with a 0.5B-shaped random model, with a growing cache (what `hf:` models of
ASAP use) and with a static one, which transformers compiles into CUDA graphs.

Run `python benchmarks/gpu/g4_writing.py` there; `--device cpu --shape tiny --prompts 4 --new-tokens 16 --seconds 60` rehearses it.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from bench import SHAPES, WORDS, Bench, parser_of, peak_mib, random_scorer, reset_peak, synchronize

from asap.lm.transformers import write_tokens

Found = Iterator[dict[str, Any]]


def main() -> None:
    """Run both ways, until the time is up."""
    parser = parser_of(__doc__, out="g4.jsonl")
    parser.add_argument("--shape", default="0.5B", choices=list(SHAPES))
    parser.add_argument("--prompts", type=int, default=164)
    parser.add_argument("--prompt-tokens", type=int, default=200)
    parser.add_argument("--new-tokens", type=int, default=1_024)
    args = parser.parse_args()
    bench = Bench(args)
    with tempfile.TemporaryDirectory() as folder:
        lm = random_scorer(args.shape, Path(folder), args.device).causal_lm
        rng = random.Random(6)
        prompts = [[1 + rng.randrange(WORDS) for _ in range(args.prompt_tokens)] for _ in range(args.prompts)]
        ids = torch.tensor(prompts, device=lm.device)
        options: dict[str, Any] = {"max_new_tokens": args.new_tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}

        def static() -> Any:
            with torch.inference_mode():
                return lm.model.generate(ids, attention_mask=torch.ones_like(ids), cache_implementation="static", **options)

        ways = {"growing": lambda: write_tokens(lm, prompts, args.new_tokens), "static": static}
        parts = {name: lambda way=way, name=name: written(lm.device, name, way, args) for name, way in ways.items()}
        bench.run(parts, args.parts)


def written(device: torch.device, name: str, way: Callable[[], Any], args: argparse.Namespace) -> Found:
    """Two runs: the first compiles."""
    for number in (1, 2):
        reset_peak(device)
        synchronize(device)
        started = time.perf_counter()
        way()
        synchronize(device)
        seconds = time.perf_counter() - started
        tokens = args.prompts * args.new_tokens
        found = {"s": round(seconds, 2), "tokens_per_s": round(tokens / seconds), "peak_mib": peak_mib(device)}
        yield {"cache": name, "run": number, "prompts": args.prompts, **found}


if __name__ == "__main__":
    main()
