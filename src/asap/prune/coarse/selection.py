"""The selection of stage 1's LLM from a trace (paper §3.2): plain data, so that it can be stored and used later.

What this does not do: ask, or remove anything.
"""

from operator import index
from typing import NamedTuple


class Selection(NamedTuple):
    """The steps that an LLM selected from a trace.

    `kept` holds their indices, increasing (None: no usable reply), `match` the similarity of each to the reply's step
    (`rewrite` only). `attempts` counts the pruning replies requested, `failures` lists the reason of each unusable reply.
    """

    kept: list[int] | None
    match: list[float] | None
    attempts: int
    failures: list[str]


def checked_selection(kept: list[int] | None, match: list[float] | None, attempts: int, failures: list[str]) -> Selection:
    """A selection of values that were stored. Raises TypeError or ValueError for such as none has."""
    if kept is not None and (kept != sorted({*map(index, kept)}) or min(kept, default=0) < 0):
        raise ValueError(f"kept is {kept!r:.60}")
    if match is not None and (kept is None or len(match) != len(kept) or not all(isinstance(one, int | float) for one in match)):
        raise ValueError(f"match is {match!r:.60}")
    if index(attempts) < 0 or not all(isinstance(one, str) for one in failures):
        raise ValueError(f"attempts is {attempts!r:.60}, failures is {failures!r:.60}")
    return Selection(kept, match, attempts, failures)


NOT_ASKED = Selection(None, None, 0, [])
