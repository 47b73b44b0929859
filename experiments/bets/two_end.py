"""Two-end Shapley, of which one end is left: a step's worth behind all earlier steps.

With v(X) = mean log p(sketch | question, X) and steps s_1 … s_K:

    f_i = v(s_1 … s_i) - v(s_1 … s_(i-1))        l_i = v(all) - v(all, the keys of s_i hidden)        score_i = f_i

The bet was (f_i + l_i) / 2, the two extreme coalitions of a Shapley value: f pays a fact where it stands first, l what nothing else
replaces. l hides a step's keys from the answer, but later steps have seen it, so it was to be dropped unless it ranks steps as leaving
them out does, with a rank correlation of 0.6 or more. It does not (README.md), so only f is left, which is exact.

Reads the trace once and, for each step, the answer's program.
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
    """f of each step."""
    return (yield from sketch(steps)).gains.mean(axis=1).tolist()


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
