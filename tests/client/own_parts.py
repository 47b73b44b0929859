"""A program of a user, with a part of each kind of their own. It imports `asap` and nothing inside it.

`test_client.py` runs it, and has mypy check it with --strict against the package as it is installed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import asap

ROW = {"question": "How many?", "reasoning": "One two.\n\nWait, 3 of them.\n\nSo three.\n\nYes.", "answer": "Three."}


def guess(context: str, text: str, tokens: asap.TokenCounter) -> NDArray[np.float64]:
    """The log-probability of each token: the longer, the less likely."""
    encoded: asap.Encoded = tokens.encode(text)
    return -np.log1p(np.asarray(encoded.ends - encoded.starts, np.float64)) - len(context) * 1e-9


class Whole:
    """All that a scorer needs, in a class."""

    context_tokens = 1 << 20
    batch_tokens = 0
    gives_entropies = False
    causal_lm = None

    def __init__(self, tokens: asap.TokenCounter) -> None:
        self.tokens = tokens
        self.identity = {"spec": "whole", "model": "whole", "revision": "1", "dtype": "none"}

    def score(self, requests: Sequence[asap.ScoreRequest]) -> list[asap.Scored]:
        """The scores of each request."""
        return [self._scored(request) for request in requests]

    def _scored(self, request: asap.ScoreRequest) -> asap.Scored:
        encoded, logprobs = self.tokens.encode(request.text), guess(request.context, request.text, self.tokens)
        spans = list[asap.TokenScores]()
        for span in request.spans:
            (inside,) = np.nonzero((encoded.ends > span.start) & (encoded.starts < span.end))
            at = inside[: request.depth]
            spans.append(asap.TokenScores(encoded.starts[at], encoded.ends[at], logprobs[at], np.full(len(at), math.nan)))
        return asap.Scored(spans, windows=1)

    def leave_out(self, request: asap.LeaveOutRequest) -> asap.LeftOut:
        """What remains without each step."""
        return asap.leave_out_anew(self.score, request)

    def prefixes(self, request: asap.PrefixRequest) -> asap.Scored:
        """The scores behind each prefix."""
        return asap.prefixes_anew(self.score, request)


def in_pairs(text: str) -> Iterator[tuple[int, int]]:
    """Steps of a user's own: two paragraphs each."""
    spans: Sequence[asap.Span] = asap.split_steps(text)
    for first in range(0, len(spans), 2):
        yield spans[first].start, spans[first : first + 2][-1].end


def longest(steps: asap.Steps) -> list[float]:
    """A method that asks no model."""
    return [-float(len(text)) for text in steps.texts]


def mean_of_first_two(steps: asap.Steps) -> asap.Scoring[list[float]]:
    """A method that has the scorer read the trace."""
    read: list[asap.TokenScores] = yield from steps.read(2)
    return [-float(step.logprobs.mean()) for step in read]


def pruned_by(scorer: asap.Scorer | str, settings: asap.AsapSettings | Mapping[str, Any]) -> asap.Pruned:
    """The row of this program, pruned."""
    shaped: asap.Shaped = asap.to_sample(ROW, {"question": "question", "cot": "reasoning", "answer": "answer"}, asap.RowRules())
    sample: asap.Sample = shaped.sample
    return asap.Asap(scorer, settings).prune(sample)


def reasons(decision: asap.Decision) -> list[str]:
    """Why each step stayed or went."""
    if isinstance(decision, asap.UnitCut):
        return [f"{step.start}-{step.end}" for step in decision.steps]
    removed: list[asap.StepDecision] = [step for step in decision.steps if not step.kept]
    return [f"{step.index} {step.removed_by} {step.score or math.nan:.2f}" for step in removed]


def at_quarter(decision: asap.Decision) -> asap.StepCut:
    """The same decision with a quarter of the tokens, through the form in which it is stored."""
    again: asap.Decision = asap.decision_from_row(decision.as_row())
    assert isinstance(again, asap.StepCut)
    return asap.cut(again, ratio=0.25)


def refused(row: Mapping[str, object]) -> str | None:
    """Why a row is not read."""
    try:
        asap.to_sample(row)
    except asap.RowError as error:
        return f"{error.reason}: {error.detail}"
    return None


def main(model: str) -> list[asap.Pruned]:
    """Prune with each of the parts."""
    tokens = asap.load_tokens(model)
    function: asap.Scorer = asap.OwnScorer(lambda context, text: guess(context, text, tokens), tokens, "guess")
    whole: asap.Scorer = Whole(tokens)
    return [
        pruned_by(function, {"ratio": 0.5}),
        pruned_by(whole, asap.AsapSettings(ratio=0.5, coarse=None)),
        pruned_by(whole, asap.AsapSettings(ratio=0.5, method=asap.Spirit(suffix_tokens=8))),
        pruned_by(function, asap.AsapSettings(ratio=0.5, method=longest)),
        pruned_by(function, asap.AsapSettings(ratio=0.5, method=mean_of_first_two)),
        pruned_by(function, asap.AsapSettings(ratio=0.7, step_split=in_pairs, coarse="none", scores="own")),
        pruned_by(model, asap.AsapSettings(budget=8, coarse=asap.Align(coarse_share=0.25))),
    ]
