"""A sketch of the answer: those of its tokens that the whole trace makes likelier, and that the trace does not just contain.

A line of the answer's program that stands in the trace, and a mathematical result, are left out as `asap compare --strip copies` finds
them. If nothing else is left, all tokens count: a method has to score each row.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.errors import RowError
from asap.lm.scorer import Scoring, TokenScores
from asap.prune.boxed_result import BoxedResult
from asap.prune.code_lines import forms, normal
from asap.prune.fine.surprisal import checked
from asap.prune.support import CODE_LEAD, RESULT_LEAD, target_of
from asap.prune.trace import Steps
from asap.sample import Sample
from asap.spans import Span
from asap.think_tags import CLOSED

TOKENS = 32


class Tail(NamedTuple):
    """What is read behind a trace: words that lead to a text, and the parts of that text that the trace contains."""

    lead: str
    text: str
    copied: Sequence[Span]

    @classmethod
    def of(cls, sample: Sample) -> "Tail":
        """The program in a sample's answer; without one, the whole answer."""
        target = target_of(sample)
        if target.lead == CODE_LEAD:
            traced = {form for line in sample.cot.splitlines() for form in forms(line)}
            lines = (Span(*line.span()) for line in re.finditer(r"[^\r\n]+", target.text))
            return cls(CLOSED + CODE_LEAD, target.text, [line for line in lines if normal(target.text[line.start : line.end]) in traced])
        result = BoxedResult.of(target.text) if target.lead == RESULT_LEAD else None
        return cls(CLOSED, sample.answer, result.spans(sample.answer) if result else [])

    def counts(self, read: TokenScores) -> NDArray[np.bool_]:
        """For each token of the text, whether it counts: it overlaps nothing that the trace contains; all do if none would."""
        copied = np.zeros(len(self.text) + 1, bool)
        for start, end in self.copied:
            copied[start:end] = True
        shown = np.array([not character.isspace() for character in self.text] + [False])
        parts = [slice(max(0, start), end) for start, end in zip(read.starts, read.ends, strict=True)]
        own = np.array([bool((shown[part] & ~copied[part]).any()) for part in parts], bool)
        return own if own.any() else np.ones(len(parts), bool)


class Sketch(NamedTuple):
    """How likely the chosen tokens are: `logprobs[i]` behind the first i steps, natural logarithms. `places`: which tokens of the text
    they are, `read` how many tokens the text has.
    """

    tail: Tail
    places: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    read: int

    @property
    def gains(self) -> NDArray[np.float64]:
        """What each step adds behind all earlier ones: [steps, tokens]."""
        return np.diff(self.logprobs, axis=0)


def sketch(steps: Steps, tokens: int = TOKENS) -> Scoring[Sketch]:
    """The tokens that the whole trace raises most, in the order of the text, behind each prefix of the trace."""
    tail = Tail.of(steps.sample)
    found = yield from steps.prefixes(tail.text, tail.lead)
    if any(one.starts.tolist() != other.starts.tolist() for one, other in pairwise(found)):
        raise RowError("bad_tail", "the answer has other tokens behind some of the steps", steps.sample.id)
    logprobs = np.stack([one.logprobs for one in found])
    checked(float(logprobs.sum()))
    raised = np.where(tail.counts(found[0]), logprobs[-1] - logprobs[0], -np.inf)
    places = np.sort(np.argsort(-raised, kind="stable")[: min(tokens, int(np.isfinite(raised).sum()))])
    return Sketch(tail, places, logprobs[:, places], logprobs.shape[1])
