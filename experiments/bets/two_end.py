"""Two-end Shapley: a step's worth behind all earlier steps, and its worth to the whole trace, halved.

With v(X) = mean log p(sketch | question, X) and steps s_1 … s_K:

    f_i = v(s_1 … s_i) - v(s_1 … s_(i-1))        l_i = v(all) - v(all, the keys of s_i hidden)        score_i = (f_i + l_i) / 2

These are the two extreme coalitions of a Shapley value: f pays a fact where it stands first, l what nothing else replaces. f is exact.
l hides a step's keys from the answer, but later steps have seen it: `sanity.py` says how near it is to leaving the step out.

Reads the trace twice and, for each step, the answer's program twice.
"""

from itertools import pairwise

import numpy as np
from experiments.bets.laid import Laid
from experiments.bets.prefill import Prefill, Probe
from experiments.bets.sketch import Tail, sketch
from numpy.typing import NDArray

from asap.lm.causal_lm import CausalLM
from asap.lm.scorer import Scoring
from asap.prune.trace import Steps


def score(steps: Steps) -> Scoring[list[float]]:
    """(f + l) / 2 of each step."""
    drawn = yield from sketch(steps)
    lost = yield from steps.ask_model(lambda lm: losses(lm, steps, drawn.tail, drawn.places))
    return ((drawn.gains.mean(axis=1) + lost) / 2).tolist()


def forward(steps: Steps) -> Scoring[list[float]]:
    """f of each step alone."""
    return (yield from sketch(steps)).gains.mean(axis=1).tolist()


def hidden(steps: Steps) -> Scoring[list[float]]:
    """l of each step alone."""
    drawn = yield from sketch(steps)
    lost = yield from steps.ask_model(lambda lm: losses(lm, steps, drawn.tail, drawn.places))
    return lost.tolist()


def losses(lm: CausalLM, steps: Steps, tail: Tail, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much less likely the tokens of the text at `places` are, in the mean, with the keys of each step hidden."""
    laid = Laid.of(steps, tail, lm.tokens)
    kept = Prefill.of(lm, laid.ids[: laid.begins[-1]])
    wanted = laid.text + places
    read = laid.ids[kept.length : int(wanted.max()) + 1]
    own = np.arange(kept.length)
    seen = [np.ones(kept.length, bool), *((own < start) | (own >= end) for start, end in pairwise(laid.begins.tolist()))]
    found = kept.logprobs([Probe(read, sees, kept.length) for sees in seen])
    means = np.array([logprobs[wanted - kept.length - 1].mean() for logprobs in found])
    return means[0] - means[1:]
