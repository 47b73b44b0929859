"""Coverage: each token of the answer is paid for once, by the step that helps it most.

    W_it = max(0, log p(A_t | s_1 … s_i) - log p(A_t | s_1 … s_(i-1)))        F(S) = sum over t of max over i in S of W_it

The tokens A_t are those of the answer's sketch (`answer_tokens`). Steps are taken one by one, always the one with the largest gain in F
for each of its tokens. A step that uses a name takes along the last step before it that defines the name (`asap.prune.definitions`), and
those that this one needs. Steps that add nothing follow by sum over t of W_it for each token, the later one first among equals.

The score is the place in that order, so what is kept at a smaller budget is kept at a larger one; greedy choices are nested, and
nothing is lost by it. What a step needs stands before it: no budget keeps the step and not its definition. The rule of the budget differs
a little from the greedy one: it stops at the first step that does not fit.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asap.lm.scorer import Scoring
from asap.lm.word_cache import by_words
from asap.prune.definitions import definitions
from asap.prune.methods.answer_tokens import sketch
from asap.prune.trace import Steps


def answer_coverage(steps: Steps) -> Scoring[list[float]]:
    """The negated place of each step in the greedy order."""
    gains = (yield from sketch(steps)).gains
    lengths = by_words(steps.tokens).count_many(steps.texts)
    order = greedy(np.maximum(gains, 0), np.maximum(lengths, 1), needs(steps.texts))
    place = {step: float(-number) for number, step in enumerate(order)}
    return [place[index] for index in range(len(steps.texts))]


def greedy(gains: NDArray[np.float64], lengths: NDArray[np.int64], needed: Sequence[Sequence[int]]) -> list[int]:
    """The steps in the order in which they are taken. gains [steps, tokens]."""
    order, covered = list[int](), np.zeros(gains.shape[1])
    spare = np.round(gains.sum(axis=1) / lengths, 9)
    left = np.ones(len(gains), bool)
    while left.any():
        places = np.flatnonzero(left)
        added = np.maximum(gains[places] - covered, 0).sum(axis=1) / lengths[places]
        best = places[np.lexsort((places, spare[places], np.round(added, 9)))[-1]]
        for step in _with_needs(int(best), needed):
            if left[step]:
                order.append(step)
                left[step] = False
                covered = np.maximum(covered, gains[step])
    return order


def needs(texts: Sequence[str]) -> list[list[int]]:
    """For each step, the last earlier steps that define the names which it uses and does not define."""
    found, last = list[list[int]](), dict[str, int]()
    for number, text in enumerate(texts):
        own = {name for name, _ in definitions(text)}
        used = {*re.findall(r"\b[^\W\d]\w+\b", text)} - own
        found.append(sorted({last[name] for name in used if name in last}))
        last |= dict.fromkeys(own, number)
    return found


def _with_needs(step: int, needed: Sequence[Sequence[int]]) -> list[int]:
    """What a step needs, directly or by way of others, in the order of the trace, then itself."""
    found, waiting = {step}, [step]
    while waiting:
        new = [other for other in needed[waiting.pop()] if other not in found]
        found.update(new)
        waiting += new
    return sorted(found)
