"""Selective Context (Li et al., EMNLP 2023, arXiv:2310.06201): removes sentences, phrases or tokens with little information.

Self-information is -ln p of a token given its sentence up to it. Each sentence is read alone, as in the original: in one reading,
later text would always look less informative. A unit's score is the mean of its tokens. Unlike the authors' package
(`tests/reference` has a replica), this does not collapse white space, also ends sentences at "!" and blank lines, and removes units
until the trace fits its budget in real tokens instead of cutting at a percentile of units. Sentences longer than the scorer's
context are read in windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal

import numpy as np

from asap.characters import Ints, first_shown
from asap.errors import RowError
from asap.lm.scorer import Scored, ScoreRequest, Scoring
from asap.lm.tokens import TokenCounter
from asap.prune.checks import check_choice
from asap.prune.decision.units import Units, means_over, tile
from asap.prune.fine.surprisal import DECIMALS
from asap.prune.methods.phrases import PhraseChunker, Phrases, sentences
from asap.spans import Span

Unit = Literal["phrase", "sentence", "token"]


@dataclass(frozen=True, slots=True)
class SelectiveContext:
    """Removes the units with the least self-information."""

    unit: Unit = "phrase"
    """`selective-context`: what it removes."""
    phrases: Phrases = "auto"
    """`selective-context`: how it finds phrases; auto: by spaCy where it and its English model are installed, else by a rule."""

    name: ClassVar[str] = "selective-context"

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, ("phrase", "sentence", "token"))
        check_choice("phrases", self.phrases, ("auto", "spacy", "regex"))

    def units(self, text: str, tokens: TokenCounter, chunker: PhraseChunker) -> Scoring[tuple[Units, int]]:
        """The units with their self-information in nats, and the largest number of windows that a sentence needed.

        `tokens` is the scorer's tokenizer; `chunker` finds phrases. Raises RowError if the scorer gives no finite number.
        """
        parts = sentences(text)
        read = yield [ScoreRequest(_before(tokens), text[start:end], [Span(0, end - start)]) for start, end in parts]
        scored = [one for one in read if isinstance(one, Scored)]
        starts = np.concatenate([part.start + one.spans[0].starts for part, one in zip(parts, scored, strict=True)])
        ends = np.concatenate([part.start + one.spans[0].ends for part, one in zip(parts, scored, strict=True)])
        information = -np.concatenate([one.spans[0].logprobs for one in scored])
        first = first_shown(text)[starts]
        if self.unit == "token":
            spans = _visible(text, first, ends)
        else:
            spans = parts if self.unit == "sentence" else _phrases(text, parts, chunker)
        values = means_over(np.array([span.start for span in spans], np.int64), first, information)
        scores = [round(value, DECIMALS) if isfinite(value) else None for value in values.tolist()]
        if all(score is None for score in scores):
            raise RowError("bad_scores", "the scorer gave no number for any unit; the model or its precision is not usable for this row")
        return Units(tile(np.array([span.end for span in spans], np.int64), len(text)), scores), max(one.windows for one in scored)


def _before(tokens: TokenCounter) -> str:
    """The text before each sentence: nothing if the tokenizer adds a BOS, else its BOS or, for GPT-2, its end of text."""
    return "" if tokens.bos_id is not None else str(tokens.hf.bos_token or tokens.hf.eos_token or "\n")


def _phrases(text: str, parts: Sequence[Span], chunker: PhraseChunker) -> list[Span]:
    return [Span(start + chunk.start, start + chunk.end) for start, end in parts for chunk in chunker(text[start:end])]


def _visible(text: str, first: Ints, ends: Ints) -> list[Span]:
    """The visible tokens, without surrounding white space; tokens that share a character are merged."""
    found = list[Span]()
    for start, end in zip(first.tolist(), ends.tolist(), strict=True):
        if start >= end:
            continue
        span = Span(start, start + len(text[start:end].rstrip()))
        if found and span.start < found[-1].end:
            span = Span(found.pop().start, span.end)
        found.append(span)
    return found
