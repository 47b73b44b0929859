"""Whether a text ends in a loop, as models do that say the same again and again until their tokens run out.

The measure is how often the end says the same: of the last characters, the number of places where a run of 24 characters starts, divided
by how many different runs these are. Text that goes on says nothing twice, which is 1; a sentence said twelve times over comes to nearly
12, and code that is drafted three times to less than 3. A number or a word that changes breaks the runs around it and leaves the others,
so a loop may vary, while a table or a list of steps, whose every line has numbers of its own, is none. docs/loops.md: how often it errs.

What this does not do: find a loop that the text left again, thinking that was cut off without one, or one that says the same in new words.
"""

import re
from collections import Counter
from typing import NamedTuple

_NUMBERING = re.compile(r"(?:^|(?<=[.!?] ))[^\w\n]{0,8}(?:[^\W\d]{1,12} )?\d{1,6}[.:)]", re.MULTILINE)
"""What numbers a line or a sentence: 12., (12), Step 12:"""
_RUN = 24
_LEAST, _MOST = 240, 1 << 16
_APART = 60  # characters from one end that is looked at to the next longer one
_TIMES = 3.0
_SHOWN = 80


class Repetition(NamedTuple):
    """The end of a text that repeats itself most: `text`, white space as one space, says the same `times` over in the mean."""

    text: str
    times: float

    @property
    def is_loop(self) -> bool:
        """Whether it is a loop."""
        return self.times >= _TIMES

    def __str__(self) -> str:
        """What is said again and again."""
        [(run, _)] = Counter(_runs(self.text, 0, len(self.text))).most_common(1)
        piece = self.text[(start := self.text.index(run)) : start + _SHOWN]
        return f"its last {len(self.text):,} characters say the same {self.times:.0f} times over, such as {piece!r}"


def repetition(text: str) -> Repetition:
    """How much the end of a text repeats itself. At most the last 65,536 characters are looked at, each once."""
    tail = " ".join(_NUMBERING.sub("", text.rstrip()[-2 * _MOST :]).split())[-_MOST:]  # a line of a table may have many spaces
    seen, most = set[str](), Repetition(tail, 1.0)
    for start in range(len(tail) - _APART, -_APART, -_APART):
        seen.update(_runs(tail, max(0, start), start + _APART))
        length = len(tail) - max(0, start)
        if length >= _LEAST and (times := (length - _RUN + 1) / len(seen)) > most.times:
            most = Repetition(tail[-length:], times)
    return most


def looping(text: str) -> bool:
    """Whether a text ends in a loop."""
    return repetition(text).is_loop


def _runs(text: str, start: int, end: int) -> list[str]:
    """The runs that begin between two places."""
    return [text[at : at + _RUN] for at in range(start, min(end, len(text) - _RUN + 1))]
