"""What stage 1's LLM said about a trace (paper §3.2): plain data, so that it can be stored and stage 1 can take it later.

What this does not do: ask, or remove anything.
"""

from typing import NamedTuple


class Selection(NamedTuple):
    """The steps that an LLM selected from a trace.

    `kept` are their indices, increasing (None: no reply was usable), `match` is the similarity of the reply's step to each of
    them (`rewrite` only). `attempts` counts the pruning replies asked for, `failures` holds why each unusable reply was unusable.
    """

    kept: list[int] | None
    match: list[float] | None
    attempts: int
    failures: list[str]


NOT_ASKED = Selection(None, None, 0, [])
