"""TokenSkip (Xia et al., EMNLP 2025, arXiv:2502.12067): traces of many lengths, each with its ratio told in the question.

LLMLingua-2 chooses what goes. Each row draws the share that stays, and the question of its training row ends with a marker that
states it (`asap.ratio_marker`), so that a trained model can be asked for a length. The share 1.0 is the original trace, byte for
byte, without a marker.
"""

import random
from collections.abc import Sequence

from asap.errors import UsageError
from asap.sample import Sample

GAMMAS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def draw_gamma(sample: Sample, seed: int, gammas: Sequence[float] = GAMMAS) -> float:
    """The share of its tokens that a row keeps: a draw that follows from seed and content, wherever the row stands."""
    return random.Random(f"gamma {seed} {sample.digest()}").choice(gammas)


def ratio_of(method: str, sample: Sample, ratio: float | None, seed: int, gammas: Sequence[float]) -> float | None:
    """The ratio that a row is cut to: TokenSkip draws it where none is given."""
    return draw_gamma(sample, seed, gammas) if method == "tokenskip" and ratio is None else ratio


def check_gammas(gammas: Sequence[float]) -> None:
    """Raise UsageError unless these are shares to draw from."""
    if not gammas or len(set(gammas)) != len(gammas):
        raise UsageError(f"gammas are {list(gammas)}; name at least one, each once")
    for gamma in gammas:
        if isinstance(gamma, bool) or not isinstance(gamma, (int, float)) or not 0 < gamma <= 1:
            raise UsageError(f"gamma is {gamma!r}; a number above 0 and at most 1 is expected (0.5 keeps half of the tokens)")
