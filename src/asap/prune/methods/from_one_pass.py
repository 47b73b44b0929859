"""Scores from one reading of the trace: the paper's own, and three rivals computed from the same numbers."""

import numpy as np

from asap.lm.scorer import Scoring
from asap.prune.fine.surprisal import checked, first_token_surprisals, mean_of
from asap.prune.trace import Steps


def first_token_surprisal(steps: Steps) -> Scoring[list[float]]:
    """The surprisal of a step's first token (paper §3.3, Eq. 2)."""
    return first_token_surprisals((yield from steps.read(1)))


def first_token_entropy(steps: Steps) -> Scoring[list[float]]:
    """The entropy of the prediction of a step's first token (paper §3.3, Eq. 1)."""
    read = yield from steps.read(1, entropy=True)
    return [checked(float(step.entropies[0])) if len(step.entropies) else 0.0 for step in read]


def mean_surprisal(steps: Steps) -> Scoring[list[float]]:
    """The mean surprisal of a step's tokens: the logarithm of its perplexity."""
    read = yield from steps.read()
    return [checked(-mean_of(step.logprobs)) if len(step.logprobs) else 0.0 for step in read]


def step_entropy(steps: Steps) -> Scoring[list[float]]:
    """The summed entropy of the predictions of a step's tokens (arXiv:2508.03346, which marks a gap by [SKIP]; here it is closed)."""
    return [checked(float(np.add.reduce(step.entropies))) for step in (yield from steps.read(entropy=True))]
