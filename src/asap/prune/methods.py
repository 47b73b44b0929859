"""The step-level methods by name: what each one says a step is worth. The lowest goes first (`fine.py`).

`asap` is the paper's. The others are its rivals and controls; they have no stage 1. Most read the whole trace once, with
the question before it, and differ in a few lines: what they make of the log-probabilities and entropies of a step's tokens.
`alignment` reads the trace twice, `spirit` and `leave-one-out` read what follows a step once more for each step; the others
come from one pass. `local-surprisal` and `aligned-surprisal` are made of what other methods give.

| method | a step's score | source |
|---|---|---|
| asap | surprisal of its first token | the paper, Eq. 2 |
| local-surprisal | the same, minus the median of the steps around it | ours: normalised by position |
| past-fence-surprisal | the same; for a step that opens a code fence, of the first token in the fence | ours |
| aligned-surprisal | its rank by surprisal plus its rank by alignment | ours |
| first-token-entropy | entropy of the prediction of its first token | the paper, Eq. 1 |
| mean-surprisal | mean surprisal of its tokens | the perplexity of the step, in a logarithm |
| step-entropy | sum of the entropies of the predictions of its tokens | arXiv:2508.03346 (which marks a gap by [SKIP]; here it is closed) |
| alignment | how much the answer makes its tokens likelier, per token | ours: stage 1's `align` as the only score |
| spirit | perplexity of what is left without it (mean surprisal) | arXiv:2502.13260, as the paper describes its variant |
| leave-one-out | how much less likely the answer is without it, in nats | the idea of PIR, arXiv:2505.19187 |
| random | a draw that follows from seed and content | control |
| keep-head, keep-tail | its place: the end goes first, or the start | control: truncation by whole steps |
| longest-first | its length in tokens, negated | control |
| original | nothing goes | the paper's ablation without both stages |
"""

import random
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asap.lm.scorer import Scorer, ScoreRequest, TokenScores
from asap.lm.tokens import TokenCounter
from asap.prune.align import DEPTH, alignments
from asap.prune.surprisal import checked, first_token_surprisals
from asap.sample import Sample
from asap.steps import Span, is_fenced

if TYPE_CHECKING:
    from asap.lm.rest import RestRequest

_NEIGHBOURS = 4  # on each side, that a step's surprisal is held against


class Steps(NamedTuple):
    """The steps of one trace that are left, as a method sees them.

    `read` holds the scored tokens of each step, for methods that need one pass, and `plain` is the request for them all, which has the
    question before the trace. Those that ask more ask `scorer`; `anchored` is the text before the trace that shows the answer too.
    """

    sample: Sample
    texts: Sequence[str]
    read: Sequence[TokenScores]
    tokens: TokenCounter
    scorer: Scorer
    seed: int = 0
    suffix_tokens: int | None = None
    plain: ScoreRequest | None = None
    anchored: str = ""

    def rest(self, *, answer: bool) -> "RestRequest":
        """The steps, with the answer behind them or without it."""
        from asap.lm.rest import RestRequest

        assert self.plain is not None
        return RestRequest(self.plain.context, self.texts, *((self.sample.answer, "\n</think>\n\n") if answer else ()))


class Size(NamedTuple):
    """How long a trace is: its steps, its tokens and those of its answer; `suffix_tokens` as in `Steps`."""

    steps: int
    trace: float
    answer: float
    suffix_tokens: int | None = None


class Method(NamedTuple):
    """`depth` is how many tokens of each step the scorer has to read out before (0: none, None: all of them).

    `asks`: the method asks the scorer itself, and more than one pass over the trace; about how many tokens that makes it read.
    `parts`: the methods whose scores `combine` makes its own of, one list each, so that it needs none that are stored.
    """

    score: Callable[[Steps], list[float]]
    depth: int | None
    entropy: bool = False
    asks: Callable[[Size], float] | None = None
    parts: Sequence[str] = ()
    combine: Callable[..., list[float]] | None = None

    @property
    def one_pass(self) -> bool:
        """Whether one pass over the trace, or none, is all it needs."""
        return self.asks is None

    @property
    def needs_model(self) -> bool:
        """Whether a model has to read the trace."""
        return self.asks is not None or self.depth != 0

    def reads(self, size: Size) -> float:
        """About how many tokens the scorer reads for it."""
        return (self.asks(size) if self.asks else 0.0) + (size.trace if self.depth != 0 else 0.0)


def _first_token_surprisal(steps: Steps) -> list[float]:
    return first_token_surprisals(steps.read)


def _first_token_entropy(steps: Steps) -> list[float]:
    return [checked(float(read.entropies[0])) if len(read.entropies) else 0.0 for read in steps.read]


def _mean_surprisal(steps: Steps) -> list[float]:
    return [checked(-float(np.mean(read.logprobs))) if len(read.logprobs) else 0.0 for read in steps.read]


def _step_entropy(steps: Steps) -> list[float]:
    return [checked(float(np.sum(read.entropies))) for read in steps.read]


def _spirit(steps: Steps) -> list[float]:
    from asap.lm.rest import rest_of

    _, without = rest_of(steps.scorer, steps.rest(answer=False), steps.suffix_tokens)
    return [checked(rest.mean) for rest in without]


def _leave_one_out(steps: Steps) -> list[float]:
    from asap.lm.rest import rest_of

    whole, without = rest_of(steps.scorer, steps.rest(answer=True))
    return [checked(rest.nll - whole.nll) for rest in without]


def _alignment(steps: Steps) -> list[float]:
    assert steps.plain is not None
    plain = steps.plain._replace(depth=DEPTH)
    unseen, seen = steps.scorer.score([plain, plain._replace(context=steps.anchored)])
    return alignments(unseen.spans, seen.spans)


def _alignment_reads(size: Size) -> float:
    return 2 * size.trace + size.answer


def _spirit_reads(size: Size) -> float:
    behind = size.trace / 2 if size.suffix_tokens is None else min(size.trace / 2, size.suffix_tokens)
    return size.trace + (size.steps - 1) * behind


def _leave_one_out_reads(size: Size) -> float:
    return size.trace + (size.steps - 1) * size.trace / 2 + (size.steps + 1) * size.answer


def _past_fence_surprisal(steps: Steps) -> list[float]:
    assert steps.plain is not None
    return [checked(_past_fence(*parts)) for parts in zip(steps.texts, steps.plain.spans, steps.read, strict=True)]


def _past_fence(text: str, span: Span, read: TokenScores) -> float:
    opener, _, inside = text.lstrip().partition("\n")
    start = len(opener) + 1 + len(inside) - len(inside.lstrip()) if is_fenced(opener) else 0
    first = int(np.searchsorted(read.ends, span.start + start, side="right")) if start else 0
    first = first if first < len(read.logprobs) else 0  # nothing stands in the fence
    return -float(read.logprobs[first]) if len(read.logprobs) else 0.0


def _against_neighbours(scores: Sequence[float]) -> list[float]:
    near = [scores[max(0, index - _NEIGHBOURS) : index + _NEIGHBOURS + 1] for index in range(len(scores))]
    return [checked(score - median(around)) for score, around in zip(scores, near, strict=True)]


def ranks_added(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The sum of the ranks of two scores, from 0; of equal ones the earlier step ranks lower."""
    ranks = (np.argsort(np.argsort(scores, kind="stable")) for scores in (one, other))
    return sum(ranks, np.zeros(len(one))).tolist()


def _random(steps: Steps) -> list[float]:
    draws = random.Random(f"{steps.seed} {steps.sample.digest()}")
    return [checked(draws.random()) for _ in steps.texts]


def _keep_head(steps: Steps) -> list[float]:
    return [-float(index) for index in range(len(steps.texts))]


def _keep_tail(steps: Steps) -> list[float]:
    return [float(index) for index in range(len(steps.texts))]


def _longest_first(steps: Steps) -> list[float]:
    return [-float(steps.tokens.count(text)) for text in steps.texts]


def _made_of(combine: Callable[..., list[float]], *parts: str, asks: Callable[[Size], float] | None = None) -> Method:
    """A method that makes its scores of what others say of the first tokens of the steps, or ask."""
    return Method(lambda steps: combine(*(METHODS[name].score(steps) for name in parts)), 1, asks=asks, parts=parts, combine=combine)


METHODS = {
    "asap": Method(_first_token_surprisal, 1),
    "local-surprisal": _made_of(_against_neighbours, "asap"),
    "past-fence-surprisal": Method(_past_fence_surprisal, None),
    "aligned-surprisal": _made_of(ranks_added, "asap", "alignment", asks=_alignment_reads),
    "first-token-entropy": Method(_first_token_entropy, 1, entropy=True),
    "mean-surprisal": Method(_mean_surprisal, None),
    "step-entropy": Method(_step_entropy, None, entropy=True),
    "alignment": Method(_alignment, 0, asks=_alignment_reads),
    "spirit": Method(_spirit, 0, asks=_spirit_reads),
    "leave-one-out": Method(_leave_one_out, 0, asks=_leave_one_out_reads),
    "random": Method(_random, 0),
    "keep-head": Method(_keep_head, 0),
    "keep-tail": Method(_keep_tail, 0),
    "longest-first": Method(_longest_first, 0),
    "original": Method(_keep_head, 0),
}
