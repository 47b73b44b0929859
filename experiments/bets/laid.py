"""A trace as a model reads it: the ids of question and steps, and where each step begins."""

from typing import NamedTuple

import numpy as np
from experiments.bets.sketch import Tail
from numpy.typing import NDArray

from asap.lm.scorer import PrefixRequest
from asap.lm.tokens import TokenCounter
from asap.prune.trace import Steps


class Laid(NamedTuple):
    """`ids` are those of context, steps, lead and text. `begins` has the first id of each step and, as its last, of the lead; a step
    ends where the next one begins, so the white space between them is the earlier one's. `text` is the first id of the text.
    """

    ids: NDArray[np.int64]
    begins: NDArray[np.int64]
    text: int

    @classmethod
    def of(cls, steps: Steps, tail: Tail, tokens: TokenCounter) -> "Laid":
        """The ids of a trace with a tail behind it, as the scorer's tokenizer makes them."""
        context = steps.request.context
        request = PrefixRequest(context, steps.texts, tail.text, tail.lead, steps.between)
        whole = context + request.text(len(steps.texts))
        places = np.cumsum([len(context), *(len(text) + len(gap) for text, gap in zip(steps.texts, [*_gaps(steps), ""], strict=True))])
        ids, _, ends = tokens.encode(whole)
        begins = np.searchsorted(ends, [*places, len(whole) - len(tail.text)], side="right")
        if tokens.bos_id is not None and ids[:1].tolist() != [tokens.bos_id]:
            ids, begins = np.concatenate([[tokens.bos_id], ids]), begins + 1
        return cls(ids, begins[:-1], int(begins[-1]))


def _gaps(steps: Steps) -> list[str]:
    return list(steps.between or ["\n\n"] * (len(steps.texts) - 1))
