"""What a scorer is. One primitive: the log-probabilities of the tokens of some spans of a text.

First-token surprisal, alignment, perplexity and self-information are each a few lines on top of it.
"""

from collections.abc import Callable, Generator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from asap.errors import UsageError
from asap.lm.tokens import TokenCounter
from asap.spans import Span
from asap.steps import SEPARATOR
from asap.token_logprobs import TokenLogprobs

if TYPE_CHECKING:
    from asap.lm.causal_lm import CausalLM


class TokenScores(NamedTuple):
    """The scored tokens of one span: character offsets in the text, natural-log probabilities, and the entropies in nats of the
    predictions that they come from (NaN where the request did not ask for them). Arrays of one length.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    entropies: NDArray[np.float64]

    def first(self, count: int | None) -> "TokenScores":
        """The first `count` tokens, or all."""
        if count is None or count >= len(self.starts):
            return self
        return TokenScores(self.starts[:count], self.ends[:count], self.logprobs[:count], self.entropies[:count])


class ScoreRequest(NamedTuple):
    """Score the first `depth` tokens (None: all) of each span of `text`, which follows `context`.

    A token belongs to a span if it overlaps it, so a token that straddles the span's start counts as its first. `shipped` is what the
    row ships about this very text, for the scorer that has no model.
    """

    context: str
    text: str
    spans: Sequence[Span]
    depth: int | None = None
    entropy: bool = False
    shipped: TokenLogprobs | None = None


class Scored(NamedTuple):
    """One TokenScores per span of the request, and the number of windows that the text had to be cut into (1: none).

    `unread` counts the tokens of the context that had no room, at its start.
    """

    spans: list[TokenScores]
    windows: int
    unread: int = 0


class LeaveOutRequest(NamedTuple):
    """Ask what remains of a text, joined `steps` after `context`, when each step in turn is left out.

    With a `tail` behind the steps only its tokens are scored, else those of all steps that are left. The model reads `lead`
    between the steps and the tail without being scored on it. `suffix_tokens`: read only that many tokens behind a gap again,
    and take the others as they are in the whole text (None: all; not with a tail). `between` joins each step to the next (empty:
    blank lines do); of the two around a gap, the one with more line breaks stays. `steps_too`: with a tail, also tell what would
    remain without it, if that takes no further reading (`LeftOut.steps`).
    """

    context: str
    steps: Sequence[str]
    tail: str = ""
    lead: str = ""
    suffix_tokens: int | None = None
    between: Sequence[str] = ()
    steps_too: bool = False

    def text(self, without: int | None = None) -> str:
        """The text, or the text without one step."""
        between = list(self.between or [SEPARATOR] * (len(self.steps) - 1))
        if without is not None and between:
            around = between[max(0, without - 1) : without + 1]
            inner = [max(around, key=lambda one: (one.count("\n"), one.count("\r"), len(one)))] if len(around) == 2 else []
            between[max(0, without - 1) : without + 1] = inner
        left = [step for index, step in enumerate(self.steps) if index != without]
        return "".join(chain.from_iterable(zip(left, [*between, ""], strict=False))) + self.lead + self.tail

    def scored_span(self, text: str) -> Span:
        """The part of a text that is scored."""
        return Span(len(text) - len(self.tail) if self.tail else 0, len(text))


class PrefixRequest(NamedTuple):
    """Ask how likely `tail` is behind no step, the first step, the first two and so on: one more text than there are `steps`.

    Each text is `context`, the steps up to there joined by `between` (empty: by blank lines), `lead` and the tail, whose tokens alone
    are scored. The answer has a span for each text, whose offsets count from the start of the tail.
    """

    context: str
    steps: Sequence[str]
    tail: str
    lead: str = ""
    between: Sequence[str] = ()

    def text(self, count: int) -> str:
        """The text with only the first steps."""
        between = ["", *(self.between or [SEPARATOR] * (len(self.steps) - 1))]
        return "".join(chain.from_iterable(zip(between[:count], self.steps, strict=False))) + self.lead + self.tail


class ModelRequest(NamedTuple):
    """Have `work` done with the model itself, for what the other requests cannot ask; only a model in this process can."""

    work: "Callable[[CausalLM], Any]"


class Remainder(NamedTuple):
    """The summed surprisal, in nats, of the scored tokens, and their number."""

    nll: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token; 0 where no token is left."""
        return self.nll / self.tokens if self.tokens else 0.0


class LeftOut(NamedTuple):
    """What remains with all steps, and without each of them. `steps`: the same of the request without its tail, where it asks for
    `steps_too` and the scorer tells it.
    """

    whole: Remainder
    without: list[Remainder]
    steps: "LeftOut | None" = None


class Worked(NamedTuple):
    """What the work of a ModelRequest returned."""

    result: Any


ScorerRequest = ScoreRequest | LeaveOutRequest | PrefixRequest | ModelRequest
ScorerAnswer = Scored | LeftOut | Worked
T = TypeVar("T")
Scoring = Generator[Sequence[ScorerRequest], Sequence[ScorerAnswer], T]
"""Work that needs a scorer: it yields requests, receives their answers, and returns a T. See `asap.prune.together`."""


class Scorer(Protocol):
    """A causal language model that scores texts. All that has these members is one; attributes will do for properties."""

    @property
    def tokens(self) -> TokenCounter:
        """The tokenizer of the model."""
        ...

    @property
    def context_tokens(self) -> int:
        """The largest number of tokens that the model reads at once."""
        ...

    @property
    def batch_tokens(self) -> int:
        """How many tokens it reads in one batch of requests; 0: one request after another."""
        ...

    @property
    def gives_entropies(self) -> bool:
        """Whether it fills the entropies that a request asks for; else they are NaN."""
        ...

    @property
    def identity(self) -> dict[str, str]:
        """What the manifest says of it: `spec`, `model`, `revision`, `dtype`."""
        ...

    @property
    def causal_lm(self) -> "CausalLM | None":
        """The model itself, for who writes with it; None where it is not in this process."""
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order; a request's scores do not depend on the others."""
        ...

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """What remains of the request's text without each step; `leave_out_anew` where nothing is quicker."""
        ...

    def prefixes(self, request: PrefixRequest) -> Scored:
        """The scores of the request's tail behind each prefix; `prefixes_anew` where nothing is quicker."""
        ...


def leave_out_anew(score: Callable[[Sequence[ScoreRequest]], list[Scored]], request: LeaveOutRequest) -> LeftOut:
    """What remains of a text without each step, the plain way: reads each text from its beginning."""
    texts = [request.text(), *(request.text(without) for without in range(len(request.steps)))]
    requests = [ScoreRequest(request.context, text, [request.scored_span(text)]) for text in texts]
    scored = [one.spans[0].logprobs for one in score(requests)]
    whole, *without = [Remainder(-float(np.nansum(logprobs)), int(np.isfinite(logprobs).sum())) for logprobs in scored]
    return LeftOut(whole, without)


def prefixes_anew(score: Callable[[Sequence[ScoreRequest]], list[Scored]], request: PrefixRequest) -> Scored:
    """The scores of a tail behind each prefix, the plain way: reads each text from its beginning."""
    texts = [request.text(count) for count in range(len(request.steps) + 1)]
    starts = [len(text) - len(request.tail) for text in texts]
    scored = score([ScoreRequest(request.context, text, [Span(start, len(text))]) for text, start in zip(texts, starts, strict=True)])
    tails = [one.spans[0] for one in scored]
    moved = [tail._replace(starts=tail.starts - start, ends=tail.ends - start) for tail, start in zip(tails, starts, strict=True)]
    return Scored(moved, max(one.windows for one in scored), max(one.unread for one in scored))


class NoModel:
    """A scorer for methods that need no model: it only counts tokens."""

    context_tokens = 1 << 30
    batch_tokens = 0
    gives_entropies = True
    causal_lm = None

    def __init__(self, tokens: TokenCounter) -> None:
        self.tokens = tokens
        self.identity = {"spec": "none", "model": "none", "revision": "none", "dtype": "none"}

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Nothing for no requests; raises UsageError for any other."""
        if not requests:
            return []
        raise UsageError("this needs a model that scores; name one, for example load_scorer('bundled')")

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """Raises UsageError."""
        return leave_out_anew(self.score, request)

    def prefixes(self, request: PrefixRequest) -> Scored:
        """Raises UsageError."""
        return prefixes_anew(self.score, request)
