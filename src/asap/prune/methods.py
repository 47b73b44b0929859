"""The step-level methods by name: what each one says a step is worth. The lowest goes first (`fine.py`).

`asap` is the paper's. The others are its rivals and controls; they have no stage 1. Most read the whole trace once, with
the question before it, and differ in a few lines: what they make of the log-probabilities and entropies of a step's tokens.
`alignment` reads the trace twice, `spirit` and `leave-one-out` read what follows a step once more for each step; the others
come from one pass.

| method | a step's score | source |
|---|---|---|
| asap | surprisal of its first token | the paper, Eq. 2 |
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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asap.lm import Scorer, ScoreRequest, TokenScores
from asap.lm.tokens import TokenCounter
from asap.prune.align import DEPTH, alignments
from asap.prune.surprisal import checked, first_token_surprisals
from asap.sample import Sample

if TYPE_CHECKING:
    from asap.lm.rest import RestRequest


class Steps(NamedTuple):
    """The steps of one trace that are left, as a method sees them.

    `read` holds the scored tokens of each step, for methods that need one pass. Those that ask more ask `scorer`: `plain` is the
    request that has the question before the trace, `anchored` is the text before it that shows the answer too.
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
    """

    score: Callable[[Steps], list[float]]
    depth: int | None
    entropy: bool = False
    asks: Callable[[Size], float] | None = None

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
        return self.asks(size) if self.asks else size.trace if self.needs_model else 0.0


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


def _random(steps: Steps) -> list[float]:
    draws = random.Random(f"{steps.seed} {steps.sample.digest()}")
    return [checked(draws.random()) for _ in steps.texts]


def _keep_head(steps: Steps) -> list[float]:
    return [-float(index) for index in range(len(steps.texts))]


def _keep_tail(steps: Steps) -> list[float]:
    return [float(index) for index in range(len(steps.texts))]


def _longest_first(steps: Steps) -> list[float]:
    return [-float(steps.tokens.count(text)) for text in steps.texts]


METHODS = {
    "asap": Method(_first_token_surprisal, 1),
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
