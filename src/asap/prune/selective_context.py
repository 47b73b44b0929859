"""Selective Context (Li et al., EMNLP 2023, arXiv:2310.06201): what says little goes first, by sentences, phrases or tokens.

Self-information is -ln p of a token given the sentence before it, each sentence read alone as the authors do (read in one go, later
text would always look less informative); a unit has the mean of its tokens. Left out of the original on purpose, but for
`faithful`: white space is not collapsed, "!" and blank lines end sentences too, and units go until the trace fits its budget in
real tokens, where the original takes a percentile over units. Sentences longer than the scorer's context are read in windows.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Literal, NamedTuple

import numpy as np

from asap.characters import Ints, first_shown
from asap.errors import RowError
from asap.lm.scorer import Scored, Scorer, ScoreRequest
from asap.prune.decision import Units
from asap.prune.phrases import PhraseChunker, original_sentences, sentences
from asap.prune.surprisal import DECIMALS
from asap.prune.units import means_over, tile
from asap.steps import Span

Unit = Literal["phrase", "sentence", "token"]


class SelectiveContext:
    """Finds the units of a trace and what they say. `chunker` is needed for phrases."""

    def __init__(self, scorer: Scorer, chunker: PhraseChunker, *, unit: Unit = "phrase", faithful: bool = False) -> None:
        self.scorer, self.chunker, self.unit, self.faithful = scorer, chunker, unit, faithful
        self.identity = {"phrases": chunker.identity} if unit == "phrase" else {}

    def units(self, text: str) -> tuple[Units, int]:
        """The units with their self-information in nats, and the most windows that a sentence needed. Raises RowError."""
        if self.faithful:
            return self._original_units(text)
        parts = sentences(text)
        read = self._read([text[start:end] for start, end in parts])
        starts = np.concatenate([part.start + one.spans[0].starts for part, one in zip(parts, read, strict=True)])
        ends = np.concatenate([part.start + one.spans[0].ends for part, one in zip(parts, read, strict=True)])
        information = -np.concatenate([one.spans[0].logprobs for one in read])
        first = first_shown(text)[starts]
        spans = _visible(text, first, ends) if self.unit == "token" else self._inside(text, parts)
        values = means_over(np.array([span.start for span in spans], np.int64), first, information)
        scores = [round(value, DECIMALS) if isfinite(value) else None for value in values.tolist()]
        _check(scores)
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

    def _original_units(self, text: str) -> tuple[Units, int]:
        """Units as the original package has them: texts with collapsed white space and their means, of which None is NaN."""
        flat, places = _collapsed(text)
        parts = original_sentences(flat)
        read = self._read([flat[start:end] for start, end in parts])
        found = list[_Piece]()
        for number, (part, one) in enumerate(zip(parts, read, strict=True)):
            sentence = flat[part.start : part.end]
            pieces = self._original_pieces(sentence, _tokens(sentence, one))
            if number and self.unit == "phrase":
                pieces[0] = pieces[0]._replace(text=" " + pieces[0].text)
            found += [piece._replace(end=places[part.start + piece.end]) for piece in pieces]
        scores = [float(f"{piece.value:.9g}") if isfinite(piece.value) else None for piece in found]
        _check(scores)
        lengths = tile(np.array([piece.end for piece in found], np.int64), len(text))
        glue = " " if self.unit == "sentence" else ""
        units = Units(lengths, scores, "units", texts=[piece.text for piece in found], glue=glue)
        return units, max(one.windows for one in read)

    def _original_pieces(self, sentence: str, tokens: list["_Piece"]) -> list["_Piece"]:
        if self.unit == "token":
            return tokens
        if self.unit == "sentence":
            return [_Piece(sentence, float(np.mean([token.value for token in tokens])), len(sentence))]
        ends = [chunk.end for chunk in self.chunker(sentence)]
        texts = [sentence[start:end] for start, end in pairwise([0, *ends])]
        return list(map(_Piece, texts, _original_means(tokens, texts), ends))


class _Piece(NamedTuple):
    """A token or a unit of the original, its self-information, and where it ends."""

    text: str
    value: float
    end: int


def _check(scores: Sequence[float | None]) -> None:
    if not any(score is not None for score in scores):
        raise RowError("bad_scores", "the scorer gave no number for any unit; the model or its precision is not usable for this row")


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


def _collapsed(text: str) -> tuple[str, list[int]]:
    """The text with one space for each run of white space, and for each place in it, its end included, the place in the original."""
    flat, places, blank = list[str](), list[int](), False
    for place, character in enumerate(text):
        if not (character.isspace() and blank):
            flat.append(" " if character.isspace() else character)
            places.append(place)
        blank = character.isspace()
    return "".join(flat), [*places, len(text)]


def _tokens(sentence: str, read: Scored) -> list[_Piece]:
    """The tokens of a sentence as the original decodes them: together they are the sentence."""
    [scores] = read.spans
    edges = [0, *scores.ends.tolist()]
    return [_Piece(sentence[start:end], -value, end) for (start, end), value in zip(pairwise(edges), scores.logprobs.tolist(), strict=True)]


def _original_means(tokens: Sequence[_Piece], units: Sequence[str]) -> list[float]:
    """The original's alignment: a token belongs to the unit in which it ends; one that reaches over ends of units is shared out
    among those that it completes and gives nothing to the one that it opens.
    """
    values: list[list[float]] = [[] for _ in units]
    at, position = 0, 0
    for token, value, _ in tokens:
        if at >= len(units):
            break
        position += len(token)
        first = at
        while at < len(units) and position >= len(units[at]):
            position -= len(units[at])
            at += 1
        if at > first:
            for unit in range(first, at):
                values[unit].append(value / (at - first))
        elif token != " ":
            values[at].append(value)
    return [float(np.mean(numbers)) if numbers else float("nan") for numbers in values]
