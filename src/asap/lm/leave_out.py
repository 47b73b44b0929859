"""Scores what remains of a text once a step is left out, for each of its steps: what SPIRIT and leave-one-out ask.

What stands before a gap is read once (`asap.lm.kept`), and only what follows it is read again, from the last gap to the first. This
takes about half of the work of reading each text anew. Short rests are read side by side, and a rest that ends in a tail is read once
for the tail and for the steps.
"""

from itertools import cycle

import numpy as np

from asap.lm.causal_lm import CausalLM
from asap.lm.kept import Asked, KeptText
from asap.lm.scorer import LeaveOutRequest, LeftOut, Remainder


def leave_out(lm: CausalLM, request: LeaveOutRequest, context_tokens: int, *, beside: bool) -> LeftOut | None:
    """What remains with all steps, and without each of them; None where the text cannot be kept (`KeptText.of`).

    `beside`: the model reads rests side by side (`asap.lm.kept.reads_beside`).
    """
    whole = _asked(lm, request, None)
    kept = KeptText.of(lm, whole.ids, context_tokens)
    if kept is None:
        return None
    parts = [_Part(kept, request, whole)]
    if request.tail and request.steps_too:
        steps_only = request._replace(tail="", lead="", suffix_tokens=None)
        parts.append(_Part(kept, steps_only, _asked(lm, steps_only, None)))
    texts = (part.asked(without) for without in (None, *reversed(range(len(request.steps)))) for part in parts)
    for part, logprobs in zip(cycle(parts), kept.asked_logprobs(texts, beside=beside), strict=False):
        part.surprisals.append(-float(logprobs.sum()))
    found, *steps = [part.left_out() for part in parts]
    return found._replace(steps=steps[0]) if steps else found


def _asked(lm: CausalLM, request: LeaveOutRequest, without: int | None) -> Asked:
    text = request.text(without)
    asked = Asked.of(lm.tokens, request.context + text, len(request.context) + request.scored_span(text).start)
    return asked._replace(first=max(1, asked.first))  # nothing predicts the very first token


class _Part:
    """A request about a kept text. Its texts are asked about in order: the whole one, then those without the last step to the first."""

    def __init__(self, kept: KeptText, request: LeaveOutRequest, whole: Asked) -> None:
        self.kept, self.request, self.whole = kept, request, whole
        self.own = np.zeros(len(kept.ids))
        """The surprisals of the kept ids that are asked about."""
        self.own[whole.first :] = -kept.own_logprobs(np.arange(whole.first, len(kept.ids)))
        self.known = list[Remainder]()
        """What is known of each text without reading: the surprisals in it that the kept text has too, and the number of all."""
        self.surprisals = list[float]()
        """The summed surprisals of what is read of each text."""

    def asked(self, without: int | None) -> Asked:
        """What has to be read of a text."""
        ids, first = (self.whole if without is None else _asked(self.kept.lm, self.request, without))[:2]
        shared, suffix = self.kept.shared(ids), None if self.request.tail else self.request.suffix_tokens
        if self.request.tail and without is not None:  # its surprisals in the whole text are no help: it may have moved to the front
            shared = min(shared, first)
        stop = len(ids) if suffix is None else min(len(ids), shared + suffix)
        unread = len(ids) - stop  # these stand at the end of the whole text too, with about the same surprisal
        after = self.own[len(self.own) - unread :]
        self.known.append(Remainder(float(self.own[first:shared].sum() + after.sum()), max(0, len(ids) - first)))
        return Asked(ids[:stop], max(first, shared), ids[:0], ids[:0])

    def left_out(self) -> LeftOut:
        """What remains of each text."""
        found = [Remainder(one.nll + read, one.tokens) for one, read in zip(self.known, self.surprisals, strict=True)]
        return LeftOut(found[0], found[:0:-1])
