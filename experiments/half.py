"""Half of a trace by any score, for the scripts beside this one."""

from collections.abc import Sequence
from typing import Any

from asap.prune.fine.joined_tokens import removal_tokens
from asap.prune.fine.removal import removal_order
from asap.sample import Sample
from asap.spans import Span

SHARE = 0.5


def kept_steps(sample: Sample, spans: Sequence[Span], scores: Sequence[float], tokens: Any) -> list[int]:
    """The steps that are left at half of the tokens; higher = keep."""
    order = removal_order(list(scores))
    left = removal_tokens(sample.cot, spans, order, tokens).tokens_left
    before = tokens.count(sample.cot)
    gone = next((place for place, count in enumerate(left) if count <= SHARE * before), len(order) - 1)
    return sorted(order[gone + 1 :] or order[-1:])
