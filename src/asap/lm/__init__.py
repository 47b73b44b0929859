"""Everything that talks to a model. One primitive: the log-probabilities of the tokens of some spans of a text.

First-token surprisal, alignment, perplexity and self-information are each a few lines on top of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from asap.errors import UsageError
from asap.steps import Span

if TYPE_CHECKING:
    from asap.lm.tokens import TokenCounter

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

    tokens: "TokenCounter"
    context_tokens: int
    identity: dict[str, str]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order; a request's scores do not depend on the others."""
        ...


class NoModel:
    """A scorer for methods that need no model: it can count tokens, and that is all."""

    context_tokens = 1 << 30

    def __init__(self, tokens: "TokenCounter") -> None:
        self.tokens = tokens
        self.identity = {"spec": "none", "model": "none", "revision": "none", "dtype": "none"}

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Raises UsageError, unless nothing is asked."""
        if not requests:
            return []
        raise UsageError("this needs a model that scores; name one, for example load_scorer('bundled')")


def load_scorer(spec: str = "bundled", *, dtype: Dtype = "auto", device: str = "auto") -> Scorer:
    """The scorer that a spec names: `bundled`, `hf:<hub id or folder>` or `gguf:<file>`."""
    from asap.lm.hf import HFScorer

    return HFScorer(model_folder(spec), spec=spec, dtype=dtype, device=device)


def load_tokens(spec: str) -> "TokenCounter":
    """The tokenizer of a model spec, without the model; a bare Hub id or folder is accepted too."""
    from asap.lm.tokens import TokenCounter

    return TokenCounter.load(model_folder(spec if is_spec(spec) else f"hf:{spec}"), spec)


def is_spec(text: str) -> bool:
    """Whether the text has the form of a model spec."""
    return text == "bundled" or text.partition(":")[0] in ("hf", "gguf", "openai")


def model_folder(spec: str) -> str:
    """The folder or Hub id that a spec stands for; GGUF files are converted once, into the user's cache."""
    kind, _, name = spec.partition(":")
    if spec == "bundled":
        from asap.lm.gguf import bundled_gguf, converted

        return str(converted(bundled_gguf()))
    if kind == "gguf" and name:
        from asap.lm.gguf import converted

        return str(converted(Path(name)))
    if kind == "hf" and name:
        return name
    if kind == "openai":
        raise UsageError(f"model {spec!r} cannot score: servers do not give log-probabilities of a prompt; use bundled, hf:… or gguf:…")
    raise UsageError(f"unknown model {spec!r}; write bundled, hf:<hub id or folder> or gguf:<file>")
