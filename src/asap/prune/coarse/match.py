"""Gestalt pattern matching: is a pruned trace made of the steps of the original, in their order (paper §3.2, Algorithm 1)?

Similarity is Ratcliff/Obershelp exactly as `difflib` computes it for (original, candidate) with its `autojunk` heuristic off:
that heuristic ignores common characters in steps of 200 characters and more, so faithful steps fail. Two things make it
fast, neither changes a result: a pair whose longest common subsequence is too short cannot reach the threshold and is never
compared exactly, and common blocks are searched in one wide integer instead of character by character.

What this does not do: it neither splits text into steps nor judges meaning ("a < b" and "a > b" are very similar), and a
reply that kept every step, or only the first one, is valid. `snap` says which original steps a reply stands for.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from asap.errors import UsageError

TAU = 0.6

_LONGEST = 2**13  # characters; the grid of two such strings takes 8 MiB, the search keeps up to 13 copies of it
_UNIT = 2.0**32  # totals are added in whole units: the same similarities give the same total in any order


class Match(NamedTuple):
    """The original step that a coarse step stands for, and how similar the two are."""

    step: int
    similarity: float


def gestalt(original: str, candidate: str) -> float:
    """`difflib.SequenceMatcher(None, original, candidate, autojunk=False).ratio()`, to the last bit."""
    return _ratio(sum(_blocks(original, candidate)), len(original) + len(candidate))


def matches(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float = TAU) -> bool:
    """Whether every coarse step is similar to an original step after the one its predecessor matched (Algorithm 1)."""
    return _first_matches(original_steps, coarse_steps, tau) is not None


def snap(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float = TAU) -> list[Match] | None:
    """The original step of each coarse step, in order and with the highest total similarity; None where `matches` says no.

    Every similarity is at least `tau`; of equal totals the one with the earliest indices wins.
    """
    first = _first_matches(original_steps, coarse_steps, tau)
    if first is None:
        return None
    scores = _upper_bounds(original_steps, coarse_steps, first, tau)
    exact: dict[tuple[int, int], float] = {}
    while True:
        path = _best_path(scores)
        open_pairs = [pair for pair in enumerate(path) if pair not in exact]
        if not open_pairs:  # no other path can be better: what is still a bound elsewhere only overstates
            return [Match(index, exact[row, index]) for row, index in enumerate(path)]
        for row, index in open_pairs:
            similarity = exact[row, index] = gestalt(original_steps[index], coarse_steps[row])
            scores[row, index] = np.rint(similarity * _UNIT) if similarity >= tau else -np.inf


def _first_matches(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float) -> list[int] | None:
    """The index of the original step that Algorithm 1 finds for each coarse step; None where it finds none for one."""
    if not 0 <= tau <= 1:
        raise UsageError(f"tau is {tau}; it must be from 0 to 1.")
    rest = iter(enumerate(original_steps))
    found: list[int] = []
    for step in coarse_steps:
        index = next((index for index, original in rest if _reaches(original, step, tau)), None)
        if index is None:
            return None
        found.append(index)
    return found


def _reaches(original: str, candidate: str, tau: float) -> bool:
    """Whether `gestalt(original, candidate) >= tau`, without finding more than that needs."""
    length = len(original) + len(candidate)
    common: int = LCSseq.similarity(original, candidate, score_cutoff=int(tau * length / 2))
    # Both quotients round as the similarity itself does, and more characters never make one smaller: exact ties stay ties.
    return _ratio(common, length) >= tau and any(
        _ratio(found, length) >= tau for found in accumulate(_blocks(original, candidate), initial=0)
    )


def _ratio(matched: int, length: int) -> float:
    """The similarity of two strings with `length` characters together and `matched` in common, rounded as difflib does."""
    return 2.0 * matched / length if length else 1.0


def _upper_bounds(original_steps: Sequence[str], coarse_steps: Sequence[str], first: Sequence[int], tau: float) -> NDArray[np.float64]:
    """What each pair (coarse step, original step) can reach at most, in units; -inf where that is below `tau`.

    No assignment uses a step before the first match, nor one that leaves too few for the coarse steps that follow.
    """
    originals = list(original_steps)
    lengths = np.array([len(step) for step in originals])
    bounds = np.full((len(coarse_steps), len(originals)), -np.inf)
    for row, (step, start) in enumerate(zip(coarse_steps, first, strict=True)):
        stop = len(originals) - (len(coarse_steps) - 1 - row)
        common = cdist([step], originals[start:stop], scorer=LCSseq.similarity, dtype=np.int64)[0]
        length = lengths[start:stop] + len(step)
        bound = np.where(length == 0, 1.0, 2.0 * common / np.maximum(length, 1))
        bounds[row, start:stop] = np.where(bound >= tau, np.rint(bound * _UNIT), -np.inf)
    return bounds


def _best_path(scores: NDArray[np.float64]) -> list[int]:
    """One column per row, strictly increasing, with the highest total; the first in lexicographic order of equal ones."""
    rest = np.zeros(scores.shape[1] + 1)
    totals: list[NDArray[np.float64]] = []
    for row in scores[::-1]:
        total = row + rest[1:]  # this row at each column, and the best that the later rows can add behind it
        totals.append(total)
        rest = np.append(np.maximum.accumulate(total[::-1])[::-1], -np.inf)
    path: list[int] = []
    start = 0
    for total in reversed(totals):
        path.append(start + int(total[start:].argmax()))
        start = path[-1] + 1
    return path


def _blocks(a: str, b: str) -> Iterator[int]:
    """The sizes of the Ratcliff/Obershelp blocks of two strings: the longest common block, then those on either side of it."""
    if a == b:
        yield len(a)
        return
    if max(len(a), len(b)) > _LONGEST:
        yield from (block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
        return
    places: dict[str, int] = {}
    for position, character in enumerate(b):
        places[character] = places.get(character, 0) | 1 << position
    todo = [(0, len(a), 0, len(b))]
    while todo:
        a_start, a_end, b_start, b_end = todo.pop()
        part, width = a[a_start:a_end], b_end - b_start
        stride = width // 8 + 1  # in bytes; at least one bit of every row stays empty, so that no diagonal runs on in the next
        keep = (1 << width) - 1
        rows = {character: (places.get(character, 0) >> b_start & keep).to_bytes(stride, "little") for character in set(part)}
        grid = int.from_bytes(b"".join([rows[character] for character in part]), "little")
        if not grid:
            continue
        start, size = _longest_diagonal(grid, 8 * stride + 1)
        in_a, in_b = divmod(start, 8 * stride)
        yield size
        todo.append((a_start, a_start + in_a, b_start, b_start + in_b))
        todo.append((a_start + in_a + size, a_end, b_start + in_b + size, b_end))


def _longest_diagonal(grid: int, step: int) -> tuple[int, int]:
    """The lowest bit from which the most bits are set, each `step` above the one before it, and their number.

    Bit order is row order, so of equally long blocks this is the first in `a`, then the first in `b`, as in difflib.
    """
    runs = [grid]  # runs[k]: where at least 2**k bits in a row begin
    while longer := runs[-1] & (runs[-1] >> (step << len(runs) - 1)):
        runs.append(longer)
    size = 1 << len(runs) - 1
    begins = runs.pop()
    while runs:
        more = 1 << len(runs) - 1
        if longer := begins & (runs.pop() >> size * step):
            begins, size = longer, size + more
    return (begins & -begins).bit_length() - 1, size
