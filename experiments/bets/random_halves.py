"""Random halves: how much a step adds to the answer when half of the other steps are there, from a regression on such halves.

The other bets see a step at the two ends of a trace's life: behind all earlier steps, or with all others there. A cut to a half is
neither. Here PAIRS random halves of the steps and their complements are read, without what they copy from the answer, and

    y_m = (v(S_m) - v(rest of S_m)) / 2        x_mi = 1 if step i is in S_m, else -1        score = ridge regression of y on x

with v the mean log-probability of the answer's tokens that the trace does not contain. A pair cancels what two steps do together, so the
coefficients estimate Banzhaf values; two copies of a fact share its worth. The idea of a regression on random parts of a context is
ContextCite's (arXiv:2409.00729). Works with every scorer. Draws depend on the seed and the row's content.

Reads about half of the trace, and the answer's program, 2 PAIRS times: somewhat more than leave-one-out on a trace of 40 steps.
"""

import random
from collections.abc import Sequence

import numpy as np
from experiments.bets.sketch import Tail, without_copies
from numpy.typing import NDArray

from asap.lm.scorer import Scored, ScoreRequest, Scoring
from asap.prune.trace import Steps
from asap.spans import Span
from asap.steps import SEPARATOR

PAIRS = 24


def score(steps: Steps) -> Scoring[list[float]]:
    """What each step adds to the answer's log-probability, in nats a token, in the mean over random halves of the others."""
    tail, halves = Tail.of(steps.sample), draws(steps)
    texts = [without_copies(steps.sample, text).strip("\n") for text in steps.texts]
    both = np.stack([halves, ~halves], axis=1).reshape(-1, len(texts))
    asked = [request(steps.request.context, tail, [text for text, kept in zip(texts, half, strict=True) if kept and text]) for half in both]
    found = yield asked
    values = [value(tail, one, answer) for one, answer in zip(asked, found, strict=True) if isinstance(answer, Scored)]
    return effects(halves, np.array(values).reshape(-1, 2))


def draws(steps: Steps) -> NDArray[np.bool_]:
    """For each pair the steps of its first half: [pairs, steps]."""
    count, chance = len(steps.texts), random.Random(f"halves {steps.seed} {steps.sample.digest()}")
    found = np.zeros((PAIRS, count), bool)
    for row in found:
        row[chance.sample(range(count), count // 2)] = True
    return found


def request(context: str, tail: Tail, texts: Sequence[str]) -> ScoreRequest:
    """The request for the answer behind some steps."""
    before = SEPARATOR.join(texts) + tail.lead
    return ScoreRequest(context, before + tail.text, [Span(len(before), len(before) + len(tail.text))])


def value(tail: Tail, asked: ScoreRequest, scored: Scored) -> float:
    """The mean log-probability of the answer's tokens that count."""
    [read], [span] = scored.spans, asked.spans
    counts = tail.counts(read._replace(starts=read.starts - span.start, ends=read.ends - span.start))
    return float(read.logprobs[counts].mean())


def effects(halves: NDArray[np.bool_], values: NDArray[np.float64]) -> list[float]:
    """The coefficients of the steps; `values` of each half and of its complement. The penalty is the number of steps: as if signal and
    noise were alike.
    """
    signs, half_differences = 2.0 * halves - 1, (values[:, 0] - values[:, 1]) / 2
    count = signs.shape[1]
    return (signs.T @ np.linalg.solve(signs @ signs.T + count * np.eye(len(signs)), half_differences)).tolist()
