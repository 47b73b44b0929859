"""Cut after the answer: what a trace says once the answer is found goes first (the idea of STOP, arXiv:2605.13165).

The answer is found behind the first step after which its code, or its result in maths, is as likely as after the whole trace. Whether
a reader would find it there, and whether the steps up to there derive it, this does not ask.
"""

import numpy as np

from asap.lm.scorer import Scoring
from asap.prune.fine.surprisal import checked
from asap.prune.support import target_of
from asap.prune.trace import Steps
from asap.think_tags import CLOSED

AS_LIKELY = 0.05
"""Nats per token below its support after the whole trace by which the answer counts as likely as there."""


def cut_after_answer(steps: Steps) -> Scoring[list[float]]:
    """The step's position, negated behind the step that finds the answer: what is behind it goes from the end, then the start goes."""
    target = target_of(steps.sample)
    tails = yield from steps.prefixes(target.text, CLOSED + target.lead)
    supports = [checked(float(np.mean(tail.logprobs))) if len(tail.logprobs) else 0.0 for tail in tails]
    found = next(index for index, support in enumerate(supports[1:]) if support >= supports[-1] - AS_LIKELY)
    return [float(index) if index <= found else -float(index) for index in range(len(steps.texts))]
