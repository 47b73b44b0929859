"""How much of the batches would be padding, by the lengths of real rows: `python benchmarks/gpu/padding.py`. Arithmetic alone."""

import json
import random
from pathlib import Path

ROWS_AT_ONCE = (16, 64, 128, 256)
BATCH_TOKENS = (16_384, 32_768, 65_536, 131_072)


def padding(lengths: list[int], rows_at_once: int, batch_tokens: int) -> float:
    """The share of padding, rows in drawn order, as `HFScorer` forms batches."""
    read, padded = 0, 0
    for seed in range(3):
        drawn = random.Random(seed).sample(lengths, len(lengths))
        for start in range(0, len(drawn) - rows_at_once + 1, rows_at_once):
            waiting = sorted(drawn[start : start + rows_at_once], reverse=True)
            while waiting:
                batch = waiting[: max(1, batch_tokens // waiting[0])]
                read, padded = read + sum(batch), padded + batch[0] * len(batch)
                waiting = waiting[len(batch) :]
    return 1 - read / padded


rows = json.loads(Path(__file__).with_name("lengths.json").read_text("utf-8"))["rows"]
lengths = [question + trace for question, trace, _, _ in rows]
print(f"| rows at once | {' | '.join(f'{tokens:,} tokens' for tokens in BATCH_TOKENS)} |\n{'|---' * (1 + len(BATCH_TOKENS))}|")
for count in ROWS_AT_ONCE:
    print(f"| {count} | {' | '.join(f'{padding(lengths, count, tokens):.1%}' for tokens in BATCH_TOKENS)} |")
