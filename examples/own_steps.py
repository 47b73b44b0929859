"""Steps of one's own: a function from a trace to the start and end of each step. docs/plugins.md explains it.

asap prune examples/traces.jsonl --limit 2 --step-split examples.own_steps:paragraph_pairs --method random --ratio 0.5 --out out/pairs
"""

from itertools import pairwise

import asap


def paragraph_pairs(text: str) -> list[tuple[int, int]]:
    """Two paragraphs are one step."""
    spans = asap.split_steps(text)
    first = spans[::2]
    ends = [second.start for _, second in pairwise(first)] + [len(text)]
    return [(one.start, one.start + len(text[one.start : end].rstrip())) for one, end in zip(first, ends, strict=True)]
