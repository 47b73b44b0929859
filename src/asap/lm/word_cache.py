"""The tokens of a text from those of its words, for tokenizers that take each word for itself.

Those of BERT's and XLM-R's kind split at white space before anything else; those of GPT-2's, Qwen's and Llama 3's kind split before a
single space between two characters that show, and the space belongs to the word behind it, and behind a line break before what shows,
and the line break belongs to the word before it. So a word has the same tokens in any place. A trace has three times as many words as
different ones, and most of those were in the trace before.
"""

import json
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from asap.characters import codes
from asap.lm.tokens import Encoded, TokenCounter, consecutive

T = TypeVar("T")
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
_AT_ONCE = 1 << 14  # words that are looked up, and read if they are new, in one go: each takes a hundred bytes meanwhile
_LONGEST = 48  # characters: where words are longer in the mean, such as Chinese sentences, they do not come again


@lru_cache(maxsize=4)
def by_words(tokens: TokenCounter) -> "WordTokens":
    """A tokenizer that gives the same tokens and counts, faster for texts that share words; one for each of the last tokenizers."""
    return WordTokens(tokens)


class _Words(NamedTuple):
    """The words of some texts: their numbers, where each starts in its text, and the first of each text (and the number of all)."""

    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]
    firsts: NDArray[np.int64]


class WordTokens:
    """Gives what a TokenCounter gives, and remembers words. `border` is None where the tokenizer is of another kind."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._added = [token.content.lower() for token in tokens.backend.get_added_tokens_decoder().values()]
        self._longest_added = max(map(len, self._added), default=0)
        self.border = None if any(map(str.isspace, "".join(self._added))) else _border(tokens.backend)
        self._forget()

    def _forget(self) -> None:
        self._numbers = dict[str, int]()
        self._first = np.zeros(1, np.int64)  # of each word's tokens; the last is where the next word's will stand
        self._known = np.empty((3, 1 << 12), np.int64)  # ids, starts and ends in the word; more room than is filled

    def encode(self, text: str, *, whole: int = 0) -> Encoded:
        """The tokens of a text, special tokens that the text spells out included, none added.

        The first `whole` characters are read as they stand, since a chat template spells out special tokens.
        """
        words = self._find([text], whole)
        if words is None:
            return self._tokens.encode(text)
        [encoded] = self._encoded(words)
        if not whole:
            return encoded
        head = self._tokens.encode(text[: int(words.starts[0])])
        return Encoded(*map(np.concatenate, zip(head, encoded, strict=True)))

    def encode_many(self, texts: Sequence[str]) -> list[Encoded]:
        """The tokens of each text; the new words of all of them are read in one call."""
        return self._each(texts, self._encoded, self._tokens.encode_many)

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        words = self._find([text])
        return self._tokens.count(text) if words is None else self._counted(words)[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has; the new words of all of them are read in one call."""
        return self._each(texts, self._counted, self._tokens.count_many)

    def _each(self, texts: Sequence[str], of_words: Callable[[_Words], list[T]], of_texts: Callable[[list[str]], list[T]]) -> list[T]:
        apart = [number for number, text in enumerate(texts) if _is_plain(text[:1]) and _is_plain(text[-1:])]
        words = self._find([texts[number] for number in apart]) if apart else None
        found = {} if words is None else dict(zip(apart, of_words(words), strict=True))
        others = [number for number in range(len(texts)) if number not in found]
        if others:
            found |= zip(others, of_texts([texts[number] for number in others]), strict=True)
        return [found[number] for number in range(len(texts))]

    def _encoded(self, words: _Words) -> list[Encoded]:
        behind = np.append(0, np.cumsum(self._first[words.numbers + 1] - self._first[words.numbers]))
        found = np.empty((3, behind[-1]), np.int64)
        for start in range(0, len(words.numbers), _AT_ONCE):
            numbers = words.numbers[start : start + _AT_ONCE]
            first, counts = self._first[numbers], self._first[numbers + 1] - self._first[numbers]
            own = found[:, behind[start] : behind[start + len(numbers)]]
            own[:] = self._known[:, consecutive(first, counts)]
            own[1:] += np.repeat(words.starts[start : start + _AT_ONCE], counts)
        return [Encoded(*found[:, start:end]) for start, end in pairwise(behind[words.firsts].tolist())]

    def _counted(self, words: _Words) -> list[int]:
        counts = self._first[words.numbers + 1] - self._first[words.numbers]
        found: list[int] = np.add.reduceat(counts, words.firsts[:-1]).tolist()
        return found

    def _find(self, texts: list[str], whole: int = 0) -> _Words | None:
        """The words of texts (of one without the first word to end after `whole` characters); None if they have to be read whole.

        Of several texts each has to begin and end with a plain character.
        """
        text = "\n".join(texts)
        if self.border is None or (self.border and text.endswith("\n")) or (whole and not self.border) or self.may_hold_added(text[whole:]):
            return None
        if len(self._numbers) > _MOST or self._first[-1] > _MOST_TOKENS:
            self._forget()
        begins = np.cumsum([0, *(len(one) + 1 for one in texts[:-1])])
        starts, ends = _between_spaces(text) if self.border == "" else _before_spaces(text, begins[:0] if whole else begins)
        if whole:  # behind a special token that begins before, and not behind a line break, which would be the last of what is read whole
            behind = (starts > whole + self._longest_added) & (codes(text)[starts] == ord(" "))
            after = int(behind.argmax()) if behind.any() else len(starts)
            starts, ends = starts[after:], ends[after:]
        if not len(starts) or ends[-1] - starts[0] > _LONGEST * len(starts):
            return None
        words = text.split() if self.border == "" else []
        is_cut = len(words) == len(starts)  # for there are no other borders than these
        parts = [slice(first, first + _AT_ONCE) for first in range(0, len(starts), _AT_ONCE)]
        numbers = [self._numbered(words[part] if is_cut else _cut(text, starts[part], ends[part])) for part in parts]
        firsts = np.append(np.searchsorted(starts, begins), len(starts))
        return _Words(np.concatenate(numbers), starts - np.repeat(begins, np.diff(firsts)), firsts)

    def borders(self, text: str, encoded: Encoded, after: int) -> NDArray[np.int64]:
        """The places in an encoded text, from `after` on, where a word begins with its space between two ASCII characters that show: what
        stands before has the same tokens whatever follows, and the other way round. None for a tokenizer of another kind.
        """
        if self.border != " ":
            return np.zeros(0, np.int64)
        points = codes(text)
        plain = (points > ord(" ")) & (points < 0x7F)
        spaces = 1 + np.flatnonzero(plain[:-2] & (points[1:-1] == ord(" ")) & plain[2:])
        spaces = spaces[spaces >= after]
        token = np.searchsorted(encoded.starts, spaces)
        spaces, token = spaces[token > 0], token[token > 0]
        starts = np.append(encoded.starts, len(text) + 2)[token]  # of a token that begins with a space, some tokenizers leave it out
        return spaces[(encoded.ends[token - 1] <= spaces) & (starts <= spaces + 1)]

    def _numbered(self, words: list[str]) -> NDArray[np.int32]:
        """The numbers of words, which are read if they are new."""
        numbers = list(map(self._numbers.get, words))
        if None in numbers:
            self._learn(list(dict.fromkeys(word for word, number in zip(words, numbers, strict=True) if number is None)))
            numbers = list(map(self._numbers.get, words))
        return np.array(numbers, np.int32)

    def may_hold_added(self, text: str) -> bool:
        """Whether an added token such as <mask> may stand in the text: it may take the white space beside it along."""
        plain = unicodedata.normalize("NFKC", text).lower()
        return any(content in plain for content in self._added)

    def _learn(self, words: list[str]) -> None:
        """Read all of them as one text, for a call takes as long as ten words; no character merges with a line break.

        Where words begin with their space, the others stand behind a word and a line break of their own, and behind a word that ends with
        a line break there is one that shows, as in every text. A space at the start of a text may have other offsets, so a word stands
        before it. The last word alone may end with something else.
        """
        before = ["", *words[:-1]]
        gaps = ["\n" * bool(one) for one in before] if self.border == "" else [_gap(*pair) for pair in zip(before, words, strict=True)]
        pieces = list(chain.from_iterable(zip(gaps, words, strict=True)))
        read = self._tokens.encode("".join(pieces) + "a" * words[-1].endswith("\n"))
        starts, ends = np.cumsum([*map(len, pieces)]).reshape(-1, 2).T
        first = np.searchsorted(read.starts, starts)
        counts = np.append(np.searchsorted(read.starts, ends[:-1]), len(read.ids) - words[-1].endswith("\n")) - first
        places, shift = consecutive(first, counts), np.repeat(starts, counts)
        end = int(self._first[-1])
        while end + len(places) > self._known.shape[1]:
            self._known = np.concatenate([self._known, np.empty_like(self._known)], axis=1)
        self._known[:, end : end + len(places)] = read.ids[places], read.starts[places] - shift, read.ends[places] - shift
        self._first = np.append(self._first, end + np.cumsum(counts))
        self._numbers |= zip(words, range(len(self._numbers), len(self._numbers) + len(words)), strict=True)


def _cut(text: str, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[str]:
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _gap(before: str, word: str) -> str:
    """What has to stand between two words, or before the first, so that each has the tokens that it has in any text."""
    known = "a" if before.endswith("\n") else ""
    if word.startswith(" "):
        return known if before else "a"
    return f"{known} a\n" if before else ""


def _is_plain(character: str) -> bool:
    return "!" <= character <= "~"


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


def _before_spaces(text: str, begins: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same where a word begins with its space, one between ASCII that shows; or behind a line break, if with ASCII that shows and is no
    digit (for these are split off first by some, and then line breaks have other tokens); or with one of the texts, which are joined by
    line breaks. None, if a text begins otherwise.
    """
    points = codes(text)
    plain = (points > ord(" ")) & (points < 0x7F)
    if not text or not plain[begins].all():
        return begins[:0], begins[:0]
    spaces = 1 + np.flatnonzero(plain[:-2] & (points[1:-1] == ord(" ")) & plain[2:])
    is_digit = (points >= ord("0")) & (points <= ord("9"))
    lines = 1 + np.flatnonzero((points[:-1] == ord("\n")) & plain[1:] & ~is_digit[1:])
    edges = np.sort(np.concatenate([begins, begins[1:] - 1, spaces, lines, [len(text)]]))
    edges = edges[np.append(True, edges[1:] != edges[:-1])]  # a text begins behind a line break too
    is_word = points[edges[:-1]] != ord("\n")
    return edges[:-1][is_word], edges[1:][is_word]


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
