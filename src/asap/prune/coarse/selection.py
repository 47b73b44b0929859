"""The selection of stage 1's LLM from a trace (paper §3.2): plain data, so that it can be stored and used later.

What this does not do: ask, or remove anything.
"""

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


NOT_ASKED = Selection(None, None, 0, [])
