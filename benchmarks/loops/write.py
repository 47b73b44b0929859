"""Texts that a small model writes greedily until it ends or its tokens run out, which often is a loop: the real loops of `roc.py`.

    python benchmarks/loops/write.py TRACES... --out written.jsonl [--minutes 20]

TRACES are files of traces with `question` and `response`. Every other text begins as a real trace does, with its first 150 words, so that
the loop comes after healthy thinking; the others begin with the question alone. A line keeps the token ids, by which `roc.py` tells a loop.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asap.dataset.jsonl import jsonl_rows
from asap.lm.causal_lm import CausalLM
from asap.lm.prompt import render_prompt
from asap.lm.specs import model_folder
from asap.lm.write import write_tokens, written_text

_WORDS = 150
_BATCH = 24
_TOKENS = 480
_LONGEST = 600  # tokens of a prompt


def main() -> None:
    """Write in batches until the CPU time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20, help="of CPU time")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--skip", type=int, default=0, help="so many questions, written before")
    args = parser.parse_args()
    lm = CausalLM(model_folder(args.model), spec=args.model, dtype="float32", device="cpu")
    prompts = [prompt for prompt in _prompts(lm, args.traces) if len(prompt["prompt"]) <= _LONGEST][args.skip :]
    with args.out.open("a") as file:
        for at in range(0, len(prompts), _BATCH):
            if time.process_time() > 60 * args.minutes:
                break
            batch = sorted(prompts[at : at + _BATCH], key=lambda one: len(one["prompt"]))
            for one, ids in zip(batch, write_tokens(lm, [one["prompt"] for one in batch], _TOKENS), strict=True):
                ended = bool(ids) and ids[-1] in lm.stop_ids
                row = {"id": one["id"], "start": one["start"], "text": written_text(lm, ids), "ended": ended, "ids": ids}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()


def _prompts(lm: CausalLM, files: list[Path]) -> Iterator[dict[str, Any]]:
    """Each question once, in an order drawn with a fixed seed."""
    found = dict[str, dict[str, Any]]()
    for file in files:
        for at, raw in enumerate(jsonl_rows(file)):
            row = raw.value or {}
            found.setdefault(row["question"], {"id": f"{file.name}:{at}", **row})
    order = list(found.values())
    random.Random(0).shuffle(order)
    for at, row in enumerate(order):
        start = " ".join(row["response"].removeprefix("<think>").strip().split(" ")[:_WORDS]) if at % 2 else ""
        prompt = render_prompt(lm.tokens, [{"role": "user", "content": row["question"] + "\nThink step by step."}])
        ids = [*prompt.ids, *(lm.tokens.encode(start).ids.tolist() if start else [])]
        yield {"id": row["id"], "start": start, "prompt": ids}


if __name__ == "__main__":
    main()
