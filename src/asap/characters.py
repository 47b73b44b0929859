"""The kind of each character of a text, for all characters at once."""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BLANK, SIGN, WORD, DIGIT = range(4)
_TABLE_SIZE = 0x3000  # Latin, Greek, Cyrillic, Arabic, Indic scripts, punctuation


@lru_cache(maxsize=1)
def codes(text: str) -> NDArray[np.uint32]:
    """The code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@lru_cache(maxsize=1)
def kinds(text: str) -> NDArray[np.uint8]:
    """BLANK, SIGN, WORD or DIGIT for each character, as Python's regular expressions see them (a digit is a word character)."""
    points, table = codes(text), _table()
    found = table[np.minimum(points, _TABLE_SIZE - 1)]
    far = np.flatnonzero(points >= _TABLE_SIZE)
    found[far] = [_kind(text[place]) for place in far.tolist()]
    return found


@lru_cache(maxsize=1)
def first_shown(text: str) -> Ints:
    """For each position in the text, including its end, the first position from there on without white space."""
    places = np.where(kinds(text) == BLANK, len(text), np.arange(len(text)))
    return np.minimum.accumulate(np.append(places, len(text))[::-1])[::-1]


@cache
def _table() -> NDArray[np.uint8]:
    return np.array([_kind(chr(point)) for point in range(_TABLE_SIZE)], np.uint8)


def _kind(character: str) -> int:
    if character.isspace():
        return BLANK
    if character.isdecimal():
        return DIGIT
    return WORD if character.isalnum() or character == "_" else SIGN
