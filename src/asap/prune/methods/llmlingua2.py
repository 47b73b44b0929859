"""LLMLingua-2 (Pan et al., ACL 2024 Findings, arXiv:2403.12968): a trained classifier decides which tokens to keep.

It reads the text in chunks of up to 510 of its tokens, which end at a full stop or a line break if possible. A word's score is the
mean probability of its tokens, and each chunk loses the same share of its characters: the words with the lowest probability. Unlike
the authors' package (`tests/reference` has a replica), this keeps the positions and the white space of words, never tokenises chunks
again, and removes words until the trace fits its budget in real tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from asap.characters import DIGIT, Ints, codes, first_shown, kinds
from asap.errors import RowError
from asap.lm.tokens import Encoded
from asap.lm.word_cache import by_words
from asap.prune.decision.units import Units, means_over, tile
from asap.prune.fine.surprisal import DECIMALS
from asap.prune.methods.phrases import words

if TYPE_CHECKING:
    from asap.lm.classifier import TokenClassifier

CLASSIFIER = "microsoft/llmlingua-2-xlm-roberta-large-meetingbank"


@dataclass(frozen=True, slots=True)
class LLMLingua2:
    """Removes the words that a token classifier would drop."""

    classifier: str = CLASSIFIER
    """`llmlingua2`, `tokenskip`: a token classifier with two labels (Hub id or folder)."""
    keep_digits: bool = False
    """`llmlingua2`, `tokenskip`: words with a digit go last."""

    name: ClassVar[str] = "llmlingua2"

    def units(self, text: str, importance: "Importance") -> Units:
        """The words of a text with their scores. Raises RowError if a word has none."""
        return word_units(text, importance, keep_digits=self.keep_digits)


class Importance(NamedTuple):
    """The tokens of a text as a classifier reads them: character offsets, the probability of keeping each, and the number of its chunk.
    Arrays of equal length.
    """

    starts: Ints
    ends: Ints
    keep: NDArray[np.float64]
    chunks: Ints


class TokenImportance(Protocol):
    """Estimates the importance of each token of texts. `batch_tokens` is how many tokens it reads at once (0: one text after another)."""

    identity: Mapping[str, str]

    @property
    def batch_tokens(self) -> int:
        """How many tokens it reads at once."""
        ...

    def __call__(self, texts: Sequence[str]) -> "list[Importance]":
        """The importance of each token, in order, of each text."""
        ...


class ClassifierImportance:
    """The importance of tokens according to a token classifier, chunk by chunk."""

    def __init__(self, classifier: "TokenClassifier") -> None:
        self.classifier = classifier
        self.identity: Mapping[str, str] = classifier.identity

    @property
    def batch_tokens(self) -> int:
        """How many tokens the classifier reads at once."""
        return self.classifier.batch_tokens

    def __call__(self, texts: Sequence[str]) -> list[Importance]:
        """The importance of each token, in order, of each text. On a GPU the chunks of all texts share batches."""
        if self.batch_tokens == 0 and len(texts) > 1:
            return [one for text in texts for one in self([text])]
        encoded = [by_words(self.classifier.tokens).encode(text) for text in texts]
        edges = [
            chunk_edges(ends_here(text, one.starts, one.ends), self.classifier.chunk_tokens)
            for text, one in zip(texts, encoded, strict=True)
        ]
        chunks = [one.ids[start:end] for one, places in zip(encoded, edges, strict=True) for start, end in pairwise(places)]
        keep = iter(self.classifier.keep(chunks))
        return [_importance(one, places, list(islice(keep, len(places) - 1))) for one, places in zip(encoded, edges, strict=True)]


def _importance(encoded: Encoded, edges: Sequence[int], keep: Sequence[NDArray[np.float64]]) -> Importance:
    """The importance of the tokens of a text, from its chunks."""
    numbers = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    return Importance(encoded.starts, encoded.ends, np.concatenate([np.empty(0), *keep]), numbers)


def ends_here(text: str, starts: Ints, ends: Ints) -> NDArray[np.bool_]:
    """For each token whether a chunk may end after it: it is a full stop, or a line break follows."""
    shown, points = first_shown(text), codes(text)
    lines = np.concatenate([[0], np.cumsum(points == ord("\n"))])
    stops = (np.append(points, 0)[shown[starts]] == ord(".")) & (ends - shown[starts] == 1)
    may_end: NDArray[np.bool_] = stops | (lines[shown[ends]] > lines[ends])
    return may_end


def chunk_edges(may_end: NDArray[np.bool_], longest: int) -> list[int]:
    """The edges of chunks of at most `longest` tokens: each ends after the last token that may end one, else when it is full."""
    last = np.maximum.accumulate(np.where(may_end, np.arange(len(may_end)), -1))
    edges = [0]
    while edges[-1] + longest < len(may_end):
        full = edges[-1] + longest
        end = int(last[full - 1]) + 1
        edges.append(end if end > edges[-1] else full)
    return [*edges, len(may_end)] if len(may_end) else [0]


def word_units(text: str, importance: Importance, *, keep_digits: bool = False) -> Units:
    """The words of a text with the mean probability of their tokens, chunk by chunk. Raises RowError if a word has none."""
    starts, ends = words(text)
    first = first_shown(text)[importance.starts]
    values = means_over(starts, first, importance.keep)
    if not len(values) or not np.isfinite(values).all():
        raise RowError("bad_scores", "the classifier gave no number for a word; it is not usable for this row")
    if keep_digits:
        digits = np.concatenate([[0], np.cumsum(kinds(text) == DIGIT)])
        values[digits[ends] > digits[starts]] = 1.0
    chunk = importance.chunks[np.clip(np.searchsorted(first, starts, side="right") - 1, 0, None)]
    sizes = np.diff(np.flatnonzero(np.concatenate([[True], chunk[1:] != chunk[:-1], [True]]))).tolist()
    return Units(tile(ends, len(text)), _rounded(values), chunks=sizes)


def _rounded(values: NDArray[np.float64]) -> "list[float | None]":
    rounded: Sequence[float] = np.round(values.astype(np.float64), DECIMALS).tolist()
    return list(rounded)
