"""The tokens of a text from those of its words, for tokenizers that take each word for itself.

Those of BERT's and XLM-R's kind split at white space before anything else; those of GPT-2's, Qwen's and Llama 3's kind split before a
single space between two characters that show, and the space belongs to the word behind it. So a word has the same tokens in
any place. A trace has three times as many words as different ones, and most of those were in the trace before.
"""

import json
import unicodedata
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asap.characters import codes
from asap.lm.tokens import Encoded, TokenCounter

Border = Literal["", " "]  # what stands before a word and is its own: nothing, for the white space has no tokens; or its space

_SPLIT_FIRST = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
_SPLIT_THEN = (*_SPLIT_FIRST, "Digits", "Punctuation")
_NORMALIZE = ("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Precompiled", "StripAccents")  # none looks across a space
_PATTERNS = {  # in none of them a space stands behind what shows, unless more white space follows; the second is Llama 3's
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in ("", "{1,3}")
}
_MOST = 1 << 16  # words that are kept; then it begins anew
_MOST_TOKENS = 1 << 20  # the same, where words are long
_LONGEST = 48  # characters: where words are longer in the mean, such as Chinese sentences, they do not come again


@lru_cache(maxsize=4)
def by_words(tokens: TokenCounter) -> "WordTokens":
    """A tokenizer that gives the same tokens and counts, faster for texts that share words; one for each of the last tokenizers."""
    return WordTokens(tokens)


class WordTokens:
    """Gives what a TokenCounter gives, and remembers words. `border` is None where the tokenizer is of another kind."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._added = [token.content.lower() for token in tokens.backend.get_added_tokens_decoder().values()]
        self.border = None if any(map(str.isspace, "".join(self._added))) else _border(tokens.backend)
        self._forget()

    def _forget(self) -> None:
        self._numbers = dict[str, int]()
        self._first = np.zeros(1, np.int64)  # of each word's tokens; the last is where the next word's will stand
        self._known = np.empty((3, 1 << 12), np.int64)  # ids, starts and ends in the word; more room than is filled

    def encode(self, text: str) -> Encoded:
        """The tokens of a text, special tokens that the text spells out included, none added."""
        found = self._find(text)
        if found is None:
            return self._tokens.encode(text)
        numbers, starts = found
        first = self._first[numbers]
        counts = self._first[numbers + 1] - first
        behind = np.cumsum(counts)
        places = np.arange(behind[-1]) + np.repeat(first - behind + counts, counts)
        ids, *edges = self._known[:, places]
        return Encoded(ids, *(edges + np.repeat(starts, counts)))

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        found = self._find(text)
        return self._tokens.count(text) if found is None else int((self._first[found[0] + 1] - self._first[found[0]]).sum())

    def _find(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """The numbers of the words and where they start; None for a text that has to be read whole."""
        if self.border is None or self._may_hold_added(text):
            return None
        if len(self._numbers) > _MOST or self._first[-1] > _MOST_TOKENS:
            self._forget()
        starts, ends = _between_spaces(text) if self.border == "" else _before_spaces(text)
        if not len(starts) or len(text) > _LONGEST * len(starts):
            return None
        words = text.split() if self.border == "" else []
        if len(words) != len(starts):  # else there are no other borders than these
            words = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        numbers = list(map(self._numbers.get, words))
        if new := [place for place, number in enumerate(numbers) if number is None]:
            self._learn(list(dict.fromkeys(words[place] for place in new)))
            for place in new:
                numbers[place] = self._numbers[words[place]]
        return np.array(numbers, np.int64), starts

    def _may_hold_added(self, text: str) -> bool:
        """Whether an added token such as <mask> may stand in the text: it may take the white space beside it along."""
        plain = unicodedata.normalize("NFKC", text).lower()
        return any(content in plain for content in self._added)

    def _learn(self, words: list[str]) -> None:
        """Read all of them as one text, for a call takes as long as ten words; no character merges with a line break.

        A space at the start of a text may have other offsets, so a known word stands before it.
        """
        gap, before = ("\n", "") if self.border == "" else ("", "a" if words[0].startswith(" ") else "")
        read = self._tokens.encode(before + gap.join(words))
        starts = np.cumsum([len(before), *(len(word) + len(gap) for word in words)])[:-1]
        edges = np.append(np.searchsorted(read.starts, starts), len(read.ids))
        shift, new = np.repeat(starts, np.diff(edges)), slice(edges[0], None)
        end = int(self._first[-1])
        while end + len(shift) > self._known.shape[1]:
            self._known = np.concatenate([self._known, np.empty_like(self._known)], axis=1)
        self._known[:, end : end + len(shift)] = read.ids[new], read.starts[new] - shift, read.ends[new] - shift
        self._first = np.append(self._first, end + edges[1:] - edges[0])
        self._numbers |= zip(words, range(len(self._numbers), len(self._numbers) + len(words)), strict=True)


def _between_spaces(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words begin and end: between two there are spaces and line breaks alone, and beside these ASCII that shows, with which no
    character merges in any normal form. What stands otherwise is one word; none, if the text begins or ends otherwise.
    """
    points = codes(text)
    shown = np.concatenate([[False], (points != ord(" ")) & (points != ord("\n")), [False]])
    starts, ends = np.flatnonzero(~shown[:-1] & shown[1:]), np.flatnonzero(shown[:-1] & ~shown[1:])
    plain = (points > ord(" ")) & (points < 0x7F)
    if not (len(starts) and plain[starts[0]] and plain[ends[-1] - 1]):
        return starts[:0], ends[:0]
    apart = plain[ends[:-1] - 1] & plain[starts[1:]]
    return starts[np.append([True], apart)], ends[np.append(apart, [True])]


def _before_spaces(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same where a word begins with its space, one between ASCII that shows; none, if the text begins otherwise."""
    points = codes(text)
    plain = (points > ord(" ")) & (points < 0x7F)
    if not plain[:1].any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    inner = 1 + np.flatnonzero(plain[:-2] & (points[1:-1] == ord(" ")) & plain[2:])
    edges = np.concatenate([[0], inner, [len(text)]])
    return edges[:-1], edges[1:]


def _border(backend: Any) -> Border | None:
    """Whether the parts of a tokenizer are known to treat each word alike wherever it stands, and two words are twice one."""
    splits, normalizers = _parts(backend.pre_tokenizer, "pretokenizers"), _parts(backend.normalizer, "normalizers")
    if not splits or any(part["type"] not in _NORMALIZE for part in normalizers):
        return None
    border: Border
    gaps: tuple[str, ...]
    if splits[0]["type"] in _SPLIT_FIRST and all(part["type"] in _SPLIT_THEN or _is_even_metaspace(part) for part in splits):
        border, gaps = "", (" ", "\n", "\n\n")
    elif any(map(_splits_before_spaces, splits)) and all(part["type"] == "Digits" or _is_of_bytes(part) for part in splits):
        border, gaps = " ", (" ",)
    else:
        return None
    first, *texts = (backend.encode(text, add_special_tokens=False).ids for text in (f"{border}a", *(f"{border}a{gap}a" for gap in gaps)))
    return border if first and all(ids == first * 2 for ids in texts) else None


def _splits_before_spaces(part: dict[str, Any]) -> bool:
    if part["type"] == "ByteLevel":
        return bool(part["use_regex"])
    return part["type"] == "Split" and part["behavior"] == "Isolated" and part["pattern"].get("Regex") in _PATTERNS


def _is_of_bytes(part: dict[str, Any]) -> bool:
    return _splits_before_spaces(part) if part["type"] != "ByteLevel" else not part["add_prefix_space"]


def _is_even_metaspace(part: dict[str, Any]) -> bool:
    return bool(part["type"] == "Metaspace" and part["prepend_scheme"] in ("always", "never"))


def _parts(component: Any, plural: str) -> list[dict[str, Any]]:
    """What a tokenizer's component is made of, each part as its tokenizer.json has it."""

    def flat(state: dict[str, Any]) -> list[dict[str, Any]]:
        return [inner for part in state[plural] for inner in flat(part)] if state["type"] == "Sequence" else [state]

    return [] if component is None else flat(json.loads(component.__getstate__()))
