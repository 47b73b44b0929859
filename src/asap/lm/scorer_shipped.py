"""A scorer without a model: the log-probabilities that each row ships with its trace (`asap.token_logprobs`).

They are what the model that wrote the trace gave its own tokens, after its own prompt. So they answer one question only: about the
trace as it was written, after its question. Texts that were changed, other contexts and entropies need a model that reads.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from asap.errors import UsageError
from asap.lm.scorer import LeaveOutRequest, LeftOut, PrefixRequest, Scored, ScoreRequest, TokenScores
from asap.lm.tokens import Encoded, TokenCounter, consecutive
from asap.lm.windows import tokens_in_spans
from asap.token_logprobs import TokenLogprobs

SERVES = (
    "shipped log-probabilities are those of the trace as it was written, without entropies: they serve the methods asap (with coarse "
    "none), mean-surprisal and the controls, without rescore, support_floor and scores every"
)


class ShippedScorer:
    """Looks the scores up that `ScoreRequest.shipped` holds. `tokens` only counts the budget."""

    context_tokens = 1 << 30
    batch_tokens = 0
    gives_entropies = False
    causal_lm = None

    def __init__(self, columns: Sequence[str], tokens: TokenCounter) -> None:
        self.tokens = tokens
        spec = f"shipped:{','.join(columns)}"
        self.identity = {"spec": spec, "model": spec, "revision": "none", "dtype": "none"}

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order. Raises UsageError for a text that no row ships the scores of."""
        return [_scored(request) for request in requests]

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """Raises UsageError."""
        raise UsageError(SERVES)

    def prefixes(self, request: PrefixRequest) -> Scored:
        """Raises UsageError."""
        raise UsageError(SERVES)


def _scored(request: ScoreRequest) -> Scored:
    if request.shipped is None:
        raise UsageError(SERVES)
    text, logprobs = _laid(request.text, request.shipped), np.frombuffer(request.shipped.values, "<f8").astype(np.float64)
    first, counts = tokens_in_spans(text, request)
    wanted = consecutive(first, counts)
    starts, ends, values = text.starts[wanted], text.ends[wanted], logprobs[wanted]
    none = np.full(len(wanted), np.nan)
    borders = pairwise([0, *np.cumsum(counts).tolist()])
    return Scored([TokenScores(starts[at:to], ends[at:to], values[at:to], none[at:to]) for at, to in borders], 1)


def _laid(text: str, shipped: TokenLogprobs) -> Encoded:
    """The tokens by the characters that they cover; one that holds a part of a character covers all of it, as in a tokenizer's offsets."""
    data = np.frombuffer(text.encode(), np.uint8)
    begun = np.cumsum((data & 0xC0) != 0x80)  # the characters that begin up to each byte
    ends = np.frombuffer(shipped.ends, "<u4").astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    return Encoded(np.zeros(len(ends), np.int64), begun[starts] - 1, begun[ends - 1])
