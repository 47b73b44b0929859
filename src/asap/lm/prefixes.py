"""Scores a text behind each prefix of others: how likely the answer is after no step, the first step, the first two and so on.

All steps are read once (`asap.lm.kept`), and behind each of them only the tail: all tails side by side, or one after another.
"""

import numpy as np

from asap.lm.causal_lm import CausalLM
from asap.lm.kept import Asked, KeptText
from asap.lm.scorer import PrefixRequest, Scored, TokenScores


def prefixes(lm: CausalLM, request: PrefixRequest, context_tokens: int, *, beside: bool) -> Scored | None:
    """The scores of the tail behind each prefix; None where the longest text cannot be kept (`KeptText.of`).

    `beside`: the model reads tails side by side (`asap.lm.kept.reads_beside`).
    """
    texts = [request.context + request.text(count) for count in range(len(request.steps) + 1)]
    asked = [Asked.of(lm.tokens, text, len(text) - len(request.tail)) for text in texts]
    kept = KeptText.of(lm, asked[-1].ids, context_tokens)
    if kept is None:
        return None
    logprobs = [*kept.asked_logprobs(asked[::-1], beside=beside)][::-1]  # the longest first
    found = zip(asked, logprobs, strict=True)
    return Scored([TokenScores(one.starts, one.ends, values, np.full(len(values), np.nan)) for one, values in found], 1)
