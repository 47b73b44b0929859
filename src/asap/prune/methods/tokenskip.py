"""TokenSkip (Xia et al., EMNLP 2025, arXiv:2502.12067): traces of many lengths, with the ratio stated in the question.

LLMLingua-2 chooses the words to remove. Each row draws the share of tokens to keep, and the question of its training row ends with a
marker that states it (`asap.ratio_marker`), so that the trained model can be asked for a length. The share 1.0 leaves the trace as it
is, byte for byte, without a marker.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from asap.errors import UsageError
from asap.prune.methods.llmlingua2 import LLMLingua2
from asap.ratio_marker import MARKER, check_marker
from asap.sample import Sample

GAMMAS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True)
class TokenSkip:
    """Removes words like LLMLingua-2, down to a share that each row draws."""

    words: LLMLingua2 = field(default_factory=LLMLingua2)
    """How words are chosen."""
    gammas: tuple[float, ...] = GAMMAS
    """`tokenskip` without a ratio: the shares that rows draw from, with commas between them."""
    marker: str = MARKER
    """`tokenskip`: the end of the question in training rows, with {gamma} for the share; none for nothing. [default: a line
    [Compression ratio: {gamma}]]"""

    name: ClassVar[str] = "tokenskip"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gammas", tuple(self.gammas))
        if not self.gammas or len(set(self.gammas)) != len(self.gammas):
            raise UsageError(f"gammas are {list(self.gammas)}; name at least one, each once")
        for gamma in self.gammas:
            if isinstance(gamma, bool) or not isinstance(gamma, (int, float)) or not 0 < gamma <= 1:
                raise UsageError(f"gamma is {gamma!r}; a number above 0 and at most 1 is expected (0.5 keeps half of the tokens)")
        check_marker(self.marker)


def draw_gamma(sample: Sample, seed: int, gammas: Sequence[float] = GAMMAS) -> float:
    """The share of its tokens that a row keeps: a draw that depends on seed and content, not on the row's position."""
    return random.Random(f"gamma {seed} {sample.digest()}").choice(gammas)
