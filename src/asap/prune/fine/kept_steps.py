"""Which of a trace's steps are kept, and which are the neighbours of any place among them, without a walk over those that are gone."""

from collections.abc import Iterator
from itertools import compress

_BITS = 11
_BLOCK = 1 << _BITS


class KeptSteps:
    """A set of steps, by number; all of them at first. Neighbours are found by searching bytes: a block of them, then a byte per block."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._here = bytearray(b"\1") * count
        self._left = [min(_BLOCK, count - start) for start in range(0, count, _BLOCK)]
        self._blocks = bytearray(b"\1") * len(self._left)

    def __len__(self) -> int:
        return sum(self._left)

    def __iter__(self) -> Iterator[int]:
        return compress(range(self.count), self._here)

    @property
    def are_all(self) -> bool:
        """Whether every step is kept."""
        return len(self) == self.count

    def __contains__(self, step: int) -> bool:
        return bool(self._here[step])

    def remove(self, step: int) -> None:
        """Take a step out that is kept."""
        self._put(step, 0)

    def insert(self, step: int) -> None:
        """Put a step back that is not kept."""
        self._put(step, 1)

    def _put(self, step: int, here: int) -> None:
        assert self._here[step] != here, "the counts of the blocks would be wrong"
        block = step >> _BITS
        self._here[step] = here
        self._left[block] += 1 if here else -1
        self._blocks[block] = self._left[block] > 0

    def before(self, step: int) -> int:
        """The last kept step before a place; -1 if there is none."""
        block = step >> _BITS
        found = self._here.rfind(1, block << _BITS, step)
        if found < 0 and (block := self._blocks.rfind(1, 0, block)) >= 0:
            found = self._here.rfind(1, block << _BITS, (block + 1) << _BITS)
        return found

    def behind(self, step: int) -> int:
        """The first kept step at a place or behind it; the number of all steps if there is none."""
        block = step >> _BITS
        found = self._here.find(1, step, (block + 1) << _BITS)
        if found < 0 and (block := self._blocks.find(1, block + 1)) >= 0:
            found = self._here.find(1, block << _BITS, (block + 1) << _BITS)
        return self.count if found < 0 else found
