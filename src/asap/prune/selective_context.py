"""Selective Context (Li et al., EMNLP 2023, arXiv:2310.06201): what says little goes first, by sentences, phrases or tokens.

Self-information is -ln p of a token given the sentence before it, each sentence read alone as the authors do (read in one go, later
text would always look less informative); a unit has the mean of its tokens. Unlike the authors' package (`tests/reference` does
what it does): white space is not collapsed, "!" and blank lines end sentences too, and units go until the trace fits its budget
in real tokens, where the package takes a percentile over units. Sentences longer than the scorer's context are read in windows.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Literal

import numpy as np

from asap.characters import Ints, first_shown
from asap.errors import RowError
from asap.lm.scorer import Scored, Scorer, ScoreRequest
from asap.prune.phrases import PhraseChunker, sentences
from asap.prune.surprisal import DECIMALS
from asap.prune.units import Units, means_over, tile
from asap.spans import Span

Unit = Literal["phrase", "sentence", "token"]


class SelectiveContext:
    """Finds the units of a trace and what they say. `chunker` is needed for phrases."""

    def __init__(self, scorer: Scorer, chunker: PhraseChunker, *, unit: Unit = "phrase") -> None:
        self.scorer, self.chunker, self.unit = scorer, chunker, unit
        self.identity = {"phrases": chunker.identity} if unit == "phrase" else {}

    def units(self, text: str) -> tuple[Units, int]:
        """The units with their self-information in nats, and the most windows that a sentence needed. Raises RowError."""
        parts = sentences(text)
        read = self._read([text[start:end] for start, end in parts])
        starts = np.concatenate([part.start + one.spans[0].starts for part, one in zip(parts, read, strict=True)])
        ends = np.concatenate([part.start + one.spans[0].ends for part, one in zip(parts, read, strict=True)])
        information = -np.concatenate([one.spans[0].logprobs for one in read])
        first = first_shown(text)[starts]
        spans = _visible(text, first, ends) if self.unit == "token" else self._inside(text, parts)
        values = means_over(np.array([span.start for span in spans], np.int64), first, information)
        scores = [round(value, DECIMALS) if isfinite(value) else None for value in values.tolist()]
        if all(score is None for score in scores):
            raise RowError("bad_scores", "the scorer gave no number for any unit; the model or its precision is not usable for this row")
        return Units(tile(np.array([span.end for span in spans], np.int64), len(text)), scores), max(one.windows for one in read)

    def _read(self, texts: Sequence[str]) -> list[Scored]:
        """Each sentence alone, after a BOS; a tokenizer that adds none gets its BOS or, as for GPT-2, its end of text."""
        tokens = self.scorer.tokens
        before = "" if tokens.bos_id is not None else str(tokens.hf.bos_token or tokens.hf.eos_token or "\n")
        return self.scorer.score([ScoreRequest(before, text, [Span(0, len(text))]) for text in texts])

    def _inside(self, text: str, parts: Sequence[Span]) -> list[Span]:
        if self.unit == "sentence":
            return list(parts)
        found = []
        for start, end in parts:
            found += [Span(start + chunk.start, start + chunk.end) for chunk in self.chunker(text[start:end])]
        return found


def _visible(text: str, first: Ints, ends: Ints) -> list[Span]:
    """The tokens that show, without white space around them; those that share a character are one."""
    found = list[Span]()
    for start, end in zip(first.tolist(), ends.tolist(), strict=True):
        if start >= end:
            continue
        span = Span(start, start + len(text[start:end].rstrip()))
        if found and span.start < found[-1].end:
            span = Span(found.pop().start, span.end)
        found.append(span)
    return found
