"""Stage 1 without an LLM (`--coarse align`): the answer itself is the anchor.

A step's *alignment* is how much showing the anchor raises the mean log-probability of its tokens:
log p(step | question, anchor, before) - log p(step | question, before), in nats per token. A step goes when its alignment
is below the `coarse_share` quantile of its trace's alignments and not above zero: at most that share of the steps, and
only steps that the answer does not make likelier. This replaces the paper's LLM (§3.2); it is not the paper's method.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from asap.lm.scorer import Scoring, TokenScores
from asap.prune.checks import check_fraction
from asap.prune.surprisal import checked
from asap.prune.trace import Steps

DEPTH = 1024  # of a longer step the first 1,024 tokens speak for it


@dataclass(frozen=True, slots=True)
class Align:
    """Stage 1 without an LLM."""

    coarse_share: float = 0.25
    """`align` drops at most this share of the steps: the lowest quantile."""

    name: ClassVar[Literal["align"]] = "align"

    def __post_init__(self) -> None:
        check_fraction("coarse_share", self.coarse_share)


def alignment(steps: Steps) -> Scoring[list[float]]:
    """The alignment of each step; the steps are read twice."""
    plain = yield from steps.read(DEPTH)
    return alignments(plain, (yield from steps.read_anchored(DEPTH)))


def alignments(plain: Sequence[TokenScores], anchored: Sequence[TokenScores]) -> list[float]:
    """The alignment of each step, from its scores without and with the anchor in sight; 0 for a step without tokens."""
    return [
        checked(float(np.mean(seen.logprobs[:DEPTH]) - np.mean(unseen.logprobs[:DEPTH]))) if len(unseen.logprobs) else 0.0
        for unseen, seen in zip(plain, anchored, strict=True)
    ]


def unaligned(values: Sequence[float], share: float) -> list[bool]:
    """Which steps stage 1 removes: alignment below the `share` quantile and not above zero. Never all of them."""
    threshold = float(np.quantile(values, share))
    return [value < threshold and value <= 0 for value in values]
