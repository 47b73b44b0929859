"""First-token surprisal (paper §3.3, Eq. 2): -ln p of a step's first token, given the question and all earlier steps."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from asap.errors import RowError
from asap.lm.scorer import TokenScores

DECIMALS = 6  # scores are rounded before they are compared, so that the stored values decide


def first_token_surprisals(scores: Sequence[TokenScores]) -> list[float]:
    """The surprisal of the first token of each scored span, in nats; 0 for a step without tokens."""
    return [checked(-float(score.logprobs[0])) if len(score.logprobs) else 0.0 for score in scores]


def checked(value: float) -> float:
    """The value rounded. Raises RowError if it is not finite."""
    if not isfinite(value):
        raise RowError("bad_scores", f"the scorer gave {value} for a step; the model or its precision is not usable for this row")
    return round(value, DECIMALS) + 0.0


def mean_of(values: NDArray[np.float64]) -> float:
    """The mean of some values, bit for bit numpy's, which takes three times as long for the few tokens of a step."""
    return float(np.add.reduce(values)) / len(values)
