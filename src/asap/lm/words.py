"""The tokens of a text from those of its words, for tokenizers that take each word for itself.

Token classifiers of BERT's and XLM-R's kind split at white space before anything else, so that a word has the same tokens wherever
it stands. A trace has three times as many words as different ones, and most of those stood in the trace before.
"""

import json
import unicodedata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asap.lm.tokens import Encoded, TokenCounter

_SPLIT_FIRST = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
_SPLIT_THEN = (*_SPLIT_FIRST, "Digits", "Punctuation")
_NORMALIZE = ("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Precompiled", "StripAccents")  # none looks across a space
_MOST = 1 << 16  # words that are kept; then it begins anew


class WordTokens:
    """Gives what `TokenCounter.encode` gives, and remembers words. `apart` is whether the tokenizer is of that kind."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._added = [token.content.lower() for token in tokens.backend.get_added_tokens_decoder().values()]
        self.apart = _takes_words_apart(tokens.backend) and not any(character.isspace() for character in "".join(self._added))
        self._forget()

    def _forget(self) -> None:
        self._numbers = dict[str, int]()
        self._first = np.zeros(1, np.int64)  # of each word's tokens; the last is where the next word's will stand
        self._known = np.empty((3, 1 << 12), np.int64)  # ids, starts and ends in the word; more room than is filled

    def encode(self, text: str) -> Encoded:
        """The tokens of a text, special tokens that the text spells out included, none added."""
        if not self.apart or self._may_hold_added(text):
            return self._tokens.encode(text)
        if len(self._numbers) > _MOST:
            self._forget()
        starts, ends = _words(text)
        if not len(starts):
            return self._tokens.encode(text)
        words = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        numbers = list(map(self._numbers.get, words))
        if None in numbers:
            self._learn(list(dict.fromkeys(word for word, number in zip(words, numbers, strict=True) if number is None)))
            numbers = list(map(self._numbers.get, words))
        found = np.array(numbers, np.int64)
        first = self._first[found]
        counts = self._first[found + 1] - first
        behind = np.cumsum(counts)
        places = np.arange(behind[-1]) + np.repeat(first - behind + counts, counts)
        ids, *edges = self._known[:, places]
        return Encoded(ids, *(edges + np.repeat(starts, counts)))

    def _may_hold_added(self, text: str) -> bool:
        """Whether an added token such as <mask> may stand in the text: it may take the white space beside it along."""
        plain = unicodedata.normalize("NFKC", text).lower()
        return any(content in plain for content in self._added)

    def _learn(self, words: list[str]) -> None:
        """Read all of them as one text, for a call takes as long as ten words; no character merges with a line break."""
        read = self._tokens.encode("\n".join(words))
        starts = np.cumsum([0, *(len(word) + 1 for word in words)])
        edges = np.searchsorted(read.starts, starts)
        shift = np.repeat(starts[:-1], np.diff(edges))
        end = int(self._first[-1])
        while end + len(shift) > self._known.shape[1]:
            self._known = np.concatenate([self._known, np.empty_like(self._known)], axis=1)
        self._known[:, end : end + len(shift)] = read.ids, read.starts - shift, read.ends - shift
        self._first = np.append(self._first, end + edges[1:])
        self._numbers |= zip(words, range(len(self._numbers), len(self._numbers) + len(words)), strict=True)


def _words(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words begin and end: between two there are spaces and line breaks alone, and beside these ASCII that shows, with which no
    character merges in any normal form. What stands otherwise is one word; none, if the text begins or ends otherwise.
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    shown = np.concatenate([[False], (points != ord(" ")) & (points != ord("\n")), [False]])
    starts, ends = np.flatnonzero(~shown[:-1] & shown[1:]), np.flatnonzero(shown[:-1] & ~shown[1:])
    plain = (points > ord(" ")) & (points < 0x7F)
    if not (len(starts) and plain[starts[0]] and plain[ends[-1] - 1]):
        return starts[:0], ends[:0]
    apart = plain[ends[:-1] - 1] & plain[starts[1:]]
    return starts[np.append([True], apart)], ends[np.append(apart, [True])]


def _takes_words_apart(backend: Any) -> bool:
    """Whether the parts of a tokenizer are known to treat each word alike wherever it stands, and two words are twice one."""
    splits, normalizers = _parts(backend.pre_tokenizer, "pretokenizers"), _parts(backend.normalizer, "normalizers")
    split = [part["type"] in _SPLIT_THEN or _is_even_metaspace(part) for part in splits]
    if not (splits and splits[0]["type"] in _SPLIT_FIRST and all(split) and all(part["type"] in _NORMALIZE for part in normalizers)):
        return False
    one, *others = (backend.encode(text, add_special_tokens=False).ids for text in ("a", "a a", "a\na", " a\n\na "))
    return bool(one) and others == [one * 2] * 3


def _is_even_metaspace(part: dict[str, Any]) -> bool:
    return bool(part["type"] == "Metaspace" and part["prepend_scheme"] in ("always", "never"))


def _parts(component: Any, plural: str) -> list[dict[str, Any]]:
    """What a tokenizer's component is made of, each part as its tokenizer.json has it."""

    def flat(state: dict[str, Any]) -> list[dict[str, Any]]:
        return [inner for part in state[plural] for inner in flat(part)] if state["type"] == "Sequence" else [state]

    return [] if component is None else flat(json.loads(component.__getstate__()))
