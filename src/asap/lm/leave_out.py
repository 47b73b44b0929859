"""Scores what remains of a text once a step is left out, for each of its steps: what SPIRIT and leave-one-out ask.

What stands before a gap is read once (`asap.lm.kept`), and only what follows it is read again, from the last gap to the first. This
takes about half of the work of reading each text anew.
"""

import numpy as np
from numpy.typing import NDArray

from asap.lm.causal_lm import CausalLM
from asap.lm.kept import Asked, KeptText
from asap.lm.scorer import LeaveOutRequest, LeftOut, Remainder


def leave_out(lm: CausalLM, request: LeaveOutRequest, context_tokens: int) -> LeftOut | None:
    """What remains with all steps, and without each of them; None where the text cannot be kept (`KeptText.of`)."""
    whole = _asked(lm, request, None)
    kept = KeptText.of(lm, whole.ids, context_tokens)
    return None if kept is None else _LeavingOut(kept, request, whole).each()


def _asked(lm: CausalLM, request: LeaveOutRequest, without: int | None) -> Asked:
    text = request.text(without)
    asked = Asked.of(lm.tokens, request.context + text, len(request.context) + request.scored_span(text).start)
    return asked._replace(first=max(1, asked.first))  # nothing predicts the very first token


class _LeavingOut:
    """A kept text, and the surprisals of its tokens."""

    def __init__(self, kept: KeptText, request: LeaveOutRequest, whole: Asked) -> None:
        self.kept, self.request, self.first = kept, request, whole.first
        self.nll = np.zeros(len(kept.ids))
        self.nll[self.first :] = -kept.own_logprobs(np.arange(self.first, len(kept.ids)))

    def each(self) -> LeftOut:
        """What remains with all steps, and without each; from the last to the first, so that what is kept only gets shorter."""
        whole = Remainder(float(self.nll.sum()), max(0, len(self.nll) - self.first))
        return LeftOut(whole, [self._without(index) for index in reversed(range(len(self.request.steps)))][::-1])

    def _without(self, index: int) -> Remainder:
        ids, first = _asked(self.kept.lm, self.request, index)[:2]
        shared, suffix = self.kept.shared(ids), None if self.request.tail else self.request.suffix_tokens
        if self.request.tail:  # its surprisals in the whole text are no help: the tail may have moved to the front
            shared = min(shared, first)
        stop = len(ids) if suffix is None else min(len(ids), shared + suffix)
        behind = self._surprisal(ids[:stop], shared, np.arange(max(first, shared), stop)) if shared < len(ids) else 0.0
        unread = len(ids) - stop  # these stand at the end of the whole text too, with about the same surprisal
        after = float(self.nll[len(self.nll) - unread :].sum()) if unread else 0.0
        return Remainder(float(self.nll[first:shared].sum()) + behind + after, max(0, len(ids) - first))

    def _surprisal(self, ids: NDArray[np.int64], shared: int, places: NDArray[np.int64]) -> float:
        return -float(self.kept.logprobs(ids, shared, places).sum())
