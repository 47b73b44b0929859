"""Scores a text behind each prefix of others: how likely the answer is after no step, the first step, the first two and so on.

All steps are read once (`asap.lm.kept`); behind each of them, from the last to the first, only the tail is read.
"""

import numpy as np

from asap.lm.causal_lm import CausalLM
from asap.lm.kept import Asked, KeptText
from asap.lm.scorer import PrefixRequest, Scored, TokenScores


def prefixes(lm: CausalLM, request: PrefixRequest, context_tokens: int) -> Scored | None:
    """The scores of the tail behind each prefix; None where the longest text cannot be kept (`KeptText.of`)."""
    texts = [request.context + request.text(count) for count in range(len(request.steps) + 1)]
    asked = [Asked.of(lm.tokens, text, len(text) - len(request.tail)) for text in texts]
    kept = KeptText.of(lm, asked[-1].ids, context_tokens)
    return None if kept is None else Scored([_tail(kept, one) for one in reversed(asked)][::-1], 1)


def _tail(kept: KeptText, asked: Asked) -> TokenScores:
    shared = min(kept.shared(asked.ids), asked.first)
    logprobs = kept.logprobs(asked.ids, shared, np.arange(asked.first, len(asked.ids)))
    return TokenScores(asked.starts, asked.ends, logprobs, np.full(len(logprobs), np.nan))
