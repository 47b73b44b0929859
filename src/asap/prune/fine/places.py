"""Where in a joined text the tokens of a step can be counted from, and where its last words begin: the places at which a token starts
whatever stands before it.

What this does not do: count anything.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.lm.tokens import Encoded
from asap.spans import Span

_LAST_WORDS = 32  # minimum characters, so that the text after a step cannot change the first token of its last words
_MOST_BEFORE = 160  # characters of a step before the place from which it is counted
_WORD = re.compile("(?<=[a-z]) (?=[a-z])")  # a space that starts a token
_NEVER_CLEAN = "/"  # o200k, Llama 4 and Mistral's Tekken take slashes together with the punctuation before the blank line


class Places(NamedTuple):
    """For each step, in characters of it, -1 where there is no such place, and in tokens of the whole joined text.

    `within`: where counting may begin, 0 for a clean start. `tails`: where the last words begin.
    """

    within: "array[int]"
    tokens: "array[int]"
    tails: "array[int]"
    tail_tokens: "array[int]"

    def first_token(self, step: int) -> int:
        """The token of the whole text from which a step is counted; the first step is from its start."""
        return self.tokens[step] if step else 0


def places_in(joined: str, laid: Sequence[Span], encoded: Encoded, first: NDArray[np.int64], clean: NDArray[np.bool_]) -> Places:
    """The places of the steps at `laid`; `first` is the token at the start of each, `clean` says whether it starts there."""
    visible = np.fromiter((joined[start] not in _NEVER_CLEAN and not joined[start].isspace() for start, _ in laid), np.bool_, len(laid))
    clean = clean & visible
    starts = np.fromiter((start for start, _ in laid), np.int64, len(laid))
    inner = _places(_first_words(joined, span) if not is_clean else -1 for span, is_clean in zip(laid, clean.tolist(), strict=True))
    tails = _places(_last_words(joined, span) for span in laid)
    inner_tokens, inner_here = tokens_at(encoded, inner, within=1)
    tail_tokens, tails_here = tokens_at(encoded, tails, within=1)
    within = np.where(clean, 0, np.where((inner >= 0) & inner_here, inner - starts, -1))
    arrays = (within, np.where(clean, first, inner_tokens), np.where((tails >= 0) & tails_here, tails - starts, -1), tail_tokens)
    return Places(*(array("q", values.astype(np.int64).tobytes()) for values in arrays))


def tokens_at(encoded: Encoded, positions: NDArray[np.int64], *, within: int = 0) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first token that starts at or after each position, and whether it starts there, with no token crossing the position.

    A space at the position may be left out of the offsets of its token, which then start `within` 1 character.
    """
    at = np.searchsorted(encoded.starts, positions)
    if not len(encoded.starts):
        return at, np.zeros(len(at), np.bool_)
    starts, is_free = encoded.starts[np.minimum(at, len(encoded.starts) - 1)], (at == 0) | (encoded.ends[at - 1] <= positions)
    return at, is_free & (at < len(encoded.starts)) & (starts >= positions) & (starts <= positions + within)


def _places(found: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(found, np.int64)


def _first_words(text: str, step: Span) -> int:
    found = _WORD.search(text, step.start + 1, min(step.end, step.start + _MOST_BEFORE))
    return found.start() if found else -1


def _last_words(text: str, step: Span) -> int:
    start, end = max(step.start + 1, step.end - 3 * _LAST_WORDS), step.end - _LAST_WORDS
    return max((found.start() for found in _WORD.finditer(text, start, end)), default=-1) if start < end else -1
