"""AUC: how often a score puts a positive above a negative of the same trace.

Scores of different traces are never compared, since a cut chooses within one trace. So each trace has one AUC, and intervals over traces
take its steps as one cluster.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def auc(scores: ArrayLike, positive: Sequence[bool]) -> float:
    """The share of pairs of a positive and a negative in which the positive scores higher, ties counting half; NaN without such pairs."""
    values, is_positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    above, below = values[is_positive][:, None], values[~is_positive][None, :]
    if not above.size or not below.size:
        return float("nan")
    return float((above > below).mean() + (above == below).mean() / 2)


def auc_by_fact(scores: ArrayLike, labels: Sequence[str], facts: Sequence[int | None]) -> float:
    """The AUC of needed facts against steps that state none, where the best copy of a fact counts, so that a later one may.

    The copies of a fact are its necessary step and its restatements. The best of k draws is above another draw in k of k + 1 cases; the
    AUC is rescaled linearly so that this is 0.5 and the best possible value stays 1.
    """
    values = np.asarray(scores, dtype=float)
    copies = dict[int, list[float]]()
    others = list[float]()
    for value, label, fact in zip(values.tolist(), labels, facts, strict=True):
        if fact is None or label == "dead-end":
            others.append(value)
        else:
            copies.setdefault(fact, []).append(value)
    found = auc([*map(max, copies.values()), *others], [True] * len(copies) + [False] * len(others))
    chance = float(np.mean([len(of) / (len(of) + 1) for of in copies.values()]))
    return 0.5 + 0.5 * (found - chance) / (1 - chance)
