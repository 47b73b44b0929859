"""A scoring request as token ids: tokenised once, laid into windows of the model's context, and put together again.

Texts longer than the model's context are scored in overlapping windows. Every scorer that reads ids, here or behind a server, asks by
these windows, so they all score the same tokens.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.lm.scorer import Scored, ScoreRequest, TokenScores
from asap.lm.tokens import Encoded, TokenCounter, consecutive
from asap.lm.word_cache import by_words


class Window(NamedTuple):
    """One reading: its input ids, and for each wanted target the row that predicts it and its place in the result."""

    ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    places: NDArray[np.int64]


class Windowed(NamedTuple):
    """A request, tokenised: the tokens of the text that its spans want, how many each wants, and the windows that give them.

    `unread` counts the tokens of the context that no window holds.
    """

    encoded: Encoded
    wanted: NDArray[np.int64]
    counts: NDArray[np.int64]
    windows: list[Window]
    unread: int = 0

    @classmethod
    def of(cls, request: ScoreRequest, tokens: TokenCounter, context_tokens: int) -> "Windowed":
        """Tokenise a request once and lay its windows; a text token with nothing before it keeps the score NaN."""
        full = by_words(tokens).encode(request.context + request.text, whole=len(request.context))
        offset = len(request.context)
        first = int(np.searchsorted(full.ends, offset, side="right"))  # the first token that reaches into the text
        text = Encoded(full.ids[first:], full.starts[first:] - offset, full.ends[first:] - offset)
        bos = tokens.bos_id
        prefix = full.ids[:first]
        if bos is not None and full.ids[:1].tolist() != [bos]:
            prefix = np.concatenate([[bos], prefix])
        begins, counts = tokens_in_spans(text, request)
        wanted = consecutive(begins, counts)
        unread = max(0, len(prefix) - context_tokens // 2)
        return cls(text, wanted, counts, list(_lay_windows(prefix, text.ids, wanted, context_tokens)), unread)

    def scored(self, values: NDArray[np.float64]) -> Scored:
        """The answer to the request; `values` holds log-probability and entropy of each wanted token, in the order of `wanted`."""
        starts, ends = self.encoded.starts[self.wanted], self.encoded.ends[self.wanted]
        logprobs, entropies = np.ascontiguousarray(values.T)
        borders = pairwise([0, *np.cumsum(self.counts).tolist()])
        scores = [TokenScores(starts[at:to], ends[at:to], logprobs[at:to], entropies[at:to]) for at, to in borders]
        return Scored(scores, max(1, len(self.windows)), self.unread)


def tokens_in_spans(text: Encoded, request: ScoreRequest) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first token that overlaps each span, and how many do, at most `depth`."""
    spans = np.array(request.spans, np.int64).reshape(-1, 2)
    first = np.searchsorted(text.ends, spans[:, 0], side="right")
    counts = np.maximum(np.searchsorted(text.starts, spans[:, 1]) - first, 0)
    return first, counts if request.depth is None else np.minimum(counts, request.depth)


def _lay_windows(prefix: NDArray[np.int64], text: NDArray[np.int64], wanted: NDArray[np.int64], limit: int) -> Iterator[Window]:
    """The windows that hold every wanted token: the prefix, then a stretch of the text.

    The first window starts at the text's first token; each later one starts half a stretch further on and gives the scores of
    its second half, so a token always sees at least half a stretch before it. A prefix over half the context keeps its first
    token, the BOS that models lean on, and its end.
    """
    if len(prefix) > limit // 2:
        prefix = np.concatenate([prefix[:1], prefix[len(prefix) - limit // 2 + 1 :]])
    stretch = limit - len(prefix) + 1  # the last target of a window is predicted, not read
    half = max(1, stretch // 2)
    number = np.where(wanted < stretch, 0, (wanted - stretch) // half + 1)
    for window in np.unique(number):
        places = np.flatnonzero(number == window)
        start = int(window) * half
        targets = wanted[places]
        ids = np.concatenate([prefix, text[start : int(targets.max())]])
        rows = targets - start + len(prefix) - 1
        predictable = rows >= 0  # without BOS and context, nothing predicts the very first token
        if predictable.any():
            yield Window(ids, rows[predictable], text[targets[predictable]], places[predictable])
