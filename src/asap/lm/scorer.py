"""What a scorer is. One primitive: the log-probabilities of the tokens of some spans of a text.

First-token surprisal, alignment, perplexity and self-information are each a few lines on top of it.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from asap.errors import UsageError
from asap.lm.tokens import TokenCounter
from asap.steps import Span

Dtype = Literal["auto", "float32", "bfloat16"]


class TokenScores(NamedTuple):
    """The scored tokens of one span: character offsets in the text, natural-log probabilities, and the entropies in nats of the
    predictions that they come from (NaN where the request did not ask for them). Arrays of one length.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    entropies: NDArray[np.float64]


class ScoreRequest(NamedTuple):
    """Score the first `depth` tokens (None: all) of each span of `text`, which follows `context`.

    A token belongs to a span if it overlaps it, so a token that straddles the span's start counts as its first.
    """

    context: str
    text: str
    spans: Sequence[Span]
    depth: int | None = None
    entropy: bool = False


class Scored(NamedTuple):
    """One TokenScores per span of the request, and the number of windows that the text had to be cut into (1: none)."""

    spans: list[TokenScores]
    windows: int


class Scorer(Protocol):
    """A causal language model that scores texts."""

    tokens: TokenCounter
    context_tokens: int
    identity: dict[str, str]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order; a request's scores do not depend on the others."""
        ...


class NoModel:
    """A scorer for methods that need no model: it can count tokens, and that is all."""

    context_tokens = 1 << 30

    def __init__(self, tokens: TokenCounter) -> None:
        self.tokens = tokens
        self.identity = {"spec": "none", "model": "none", "revision": "none", "dtype": "none"}

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Raises UsageError, unless nothing is asked."""
        if not requests:
            return []
        raise UsageError("this needs a model that scores; name one, for example load_scorer('bundled')")
