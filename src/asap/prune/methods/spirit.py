"""SPIRIT (arXiv:2502.13260), the variant that the paper describes, and leave-one-out: how much the trace loses without a step.

Both leave out each step in turn and have the model read the text after it once more.
"""

from dataclasses import dataclass
from typing import ClassVar

from asap.lm.scorer import Scoring
from asap.prune.checks import check_least
from asap.prune.fine.surprisal import checked
from asap.prune.trace import Size, Steps


@dataclass(frozen=True, slots=True)
class Spirit:
    """Scores a step by the perplexity, as mean surprisal, of the trace without it."""

    suffix_tokens: int | None = None
    """`spirit`: read only N tokens behind a removed step again. [default: all of them]"""

    name: ClassVar[str] = "spirit"

    def __post_init__(self) -> None:
        if self.suffix_tokens is not None:
            check_least("suffix_tokens", self.suffix_tokens, 1)

    def score(self, steps: Steps) -> Scoring[list[float]]:
        """The mean surprisal of the other steps."""
        left_out = yield from steps.leave_out(suffix_tokens=self.suffix_tokens)
        return [checked(remainder.mean) for remainder in left_out.without]

    def reads(self, size: Size) -> float:
        """The trace, plus on average half of it, or the suffix, for each step; all of it for a model that reads anew."""
        if size.anew:
            return size.steps * size.trace
        behind = size.trace / 2 if self.suffix_tokens is None else min(size.trace / 2, self.suffix_tokens)
        return size.trace + (size.steps - 1) * behind


def leave_one_out(steps: Steps) -> Scoring[list[float]]:
    """How much less likely the answer is without the step, in nats (the idea of PIR, arXiv:2505.19187)."""
    left_out = yield from steps.leave_out(answer=True)
    return [checked(remainder.nll - left_out.whole.nll) for remainder in left_out.without]


def leave_one_out_reads(size: Size) -> float:
    """What SPIRIT reads, each time with the answer."""
    return Spirit().reads(size) + (size.steps + 1) * size.answer
