"""LLMLingua-2 as the package `llmlingua` 0.2.2 does it, faults included (`--legacy`), so that its results can be compared with.

- Chunks are written out and tokenised again; what is then too long is cut off. They are glued without a space.
- The tokens for start and end are always BERT's; in other vocabularies both are the unknown token.
- Words begin at "▁" or at a sign (BERT: wherever there is no "##"); unknown tokens vanish.
- A word counts as often as the tokens that it has with its "▁", so words outweigh signs. The original counts with OpenAI's cl100k;
  here it is the run's tokenizer (the same with `--tokenizer Xenova/gpt-4`).
- Line breaks and runs of spaces are lost where the classifier's tokenizer loses them.
"""

import string
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asap.errors import RowError
from asap.lm.tokens import TokenCounter
from asap.prune.decision import Units

if TYPE_CHECKING:
    from asap.lm.classifier import TokenClassifier

_CHUNK_ENDS = (".", "\n")


class _Word(NamedTuple):
    """A word as the vocabulary writes it, and its probability."""

    text: str
    value: float


def legacy_units(text: str, classifier: "TokenClassifier", tokens: TokenCounter, *, keep_digits: bool = False) -> Units:
    """The words that the original sees in a text, chunk by chunk."""
    rules = _Rules(classifier.tokens.hf)
    backend = classifier.tokens.backend
    longest = classifier.chunk_tokens + 2
    written = [rules.write(chunk) for chunk in _chunks(backend.encode(text, add_special_tokens=False).tokens, longest)]
    encoded = backend.encode_batch(written, add_special_tokens=False)
    unknown = classifier.tokens.hf.unk_token_id
    start, end = (unknown if found is None else found for found in map(backend.token_to_id, ("[CLS]", "[SEP]")))
    inputs = [np.array([start, *one.ids, end][:longest], np.int64) for one in encoded]
    chunks = [
        rules.words(classifier.tokens.hf.convert_ids_to_tokens(ids[1:].tolist()), values[1:], keep_digits)
        for ids, values in zip(inputs, classifier.read(inputs), strict=True)
    ]
    found = list(chain.from_iterable(chunks))
    if not found:
        raise RowError("bad_scores", "the classifier's tokenizer knows no word of the trace")
    texts = [rules.inside(word.text) for word in found]
    return Units(
        _lengths(text, texts),
        [float(f"{word.value:.9g}") for word in found],
        "words",
        chunks=[len(chunk) for chunk in chunks],
        texts=texts,
        weights=tokens.count_many([word.text for word in found]),
    )


def _chunks(pieces: Sequence[str], longest: int) -> list[list[str]]:
    """The pieces in chunks of up to 511 (`longest` is 512), which end at a full stop or line break if there is one."""
    found, start = [], 0
    while start < len(pieces):
        end = start + longest - 2
        if end > len(pieces) - 1:
            found.append(list(pieces[start:]))
            break
        end = next((place for place in range(end, start, -1) if pieces[place] in _CHUNK_ENDS), end)
        found.append(list(pieces[start : end + 1]))
        start = end + 1
    return found


class _Rules:
    """How a vocabulary marks words: BERT's with "##" inside of them, others with "▁" before them."""

    def __init__(self, hf: Any) -> None:
        self._hf = hf
        self._decoder = hf._tokenizer.decoder
        self._bert = type(self._decoder).__name__ == "WordPiece"
        self._special = {str(token) for name, token in hf.special_tokens_map.items() if isinstance(token, str)}
        self.inside = cache(self._inside)

    def write(self, pieces: Sequence[str]) -> str:
        """The text of pieces."""
        return str(self._decoder.decode(list(pieces)))

    def _inside(self, word: str) -> str:
        """What a word contributes that is not the first of its chunk."""
        return self.write(["x", word])[1:]

    def begins(self, piece: str) -> bool:
        """Whether a piece begins a word. Runs of signs that stand in Python's list of them count as one, as in the original."""
        return not piece.startswith("##") if self._bert else piece in string.punctuation or piece.startswith("▁")

    def words(self, pieces: Sequence[str], values: Any, keep_digits: bool) -> list[_Word]:
        """The words of a chunk with the means of their pieces; special tokens, unknown ones among them, are no words."""
        texts, numbers = list[str](), list[list[Any]]()
        for piece, value in zip(pieces, values, strict=True):
            if piece in self._special:
                continue
            number = 1.0 if keep_digits and any(map(str.isdigit, piece)) else value
            if self.begins(piece) or not texts:
                texts.append(piece)
                numbers.append([number])
            else:
                texts[-1] += piece.lstrip("##") if self._bert else piece.lstrip("▁")  # noqa: B005 (as there: a set of characters)
                numbers[-1].append(number)
        return [_Word(text, float(sum(number) / len(number))) for text, number in zip(texts, numbers, strict=True)]


def _lengths(text: str, words: Sequence[str]) -> list[int]:
    """Where each word ends in the original text, as lengths; a word that the tokenizer has changed ends where the one before does."""
    ends, place = [], 0
    for word in words:
        plain = word.strip()
        at = text.find(plain, place, place + len(plain) + 200) if plain else -1
        place = place if at < 0 else at + len(plain)
        ends.append(place)
    return np.diff([0, *ends[:-1], len(text)]).tolist()  # type: ignore[no-any-return]
