"""Stage 1 without an LLM (`--coarse align`): the answer itself is the anchor.

A step's *alignment* is how much showing the anchor raises the mean log-probability of its tokens:
log p(step | question, anchor, before) - log p(step | question, before), in nats per token. A step is removed if its alignment
is below the `coarse_share` quantile of its trace's alignments and not above zero: at most that share of the steps, and
only steps that the answer does not make more likely. This replaces the paper's LLM (§3.2); it is not the paper's method.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from asap.lm.scorer import Scoring, TokenScores
from asap.prune.checks import check_fraction
from asap.prune.fine.surprisal import checked, mean_of
from asap.prune.trace import Steps

DEPTH = 1024  # tokens; only these count in a longer step


@dataclass(frozen=True, slots=True)
class Align:
    """Settings of stage 1 without an LLM."""

    coarse_share: float = 0.25
    """`align` drops at most this share of the steps, rounded up: the lowest quantile."""

    name: ClassVar[Literal["align"]] = "align"

    def __post_init__(self) -> None:
        check_fraction("coarse_share", self.coarse_share)


def alignment(steps: Steps) -> Scoring[list[float]]:
    """The alignment of each step; reads the steps twice."""
    plain = yield from steps.read(DEPTH)
    return alignments(plain, (yield from steps.read_anchored(DEPTH)))


def alignments(plain: Sequence[TokenScores], anchored: Sequence[TokenScores]) -> list[float]:
    """The alignment of each step, from its scores without and with the anchor; 0 for a step without tokens."""
    return [
        checked(mean_of(seen.logprobs[:DEPTH]) - mean_of(unseen.logprobs[:DEPTH])) if len(unseen.logprobs) else 0.0
        for unseen, seen in zip(plain, anchored, strict=True)
    ]


def unaligned(values: Sequence[float], share: float) -> list[bool]:
    """For each step, whether stage 1 removes it: alignment below the `share` quantile and not above zero. Never removes all."""
    threshold = float(np.quantile(values, share))
    return [value < threshold and value <= 0 for value in values]


def most_unaligned(count: int, share: float) -> int:
    """The most steps that stage 1 removes of so many."""
    return math.ceil(share * (count - 1)) if count > 1 else 0
