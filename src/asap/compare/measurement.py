"""One pruned trace measured in one way: a line of judged.jsonl."""

from typing import Literal, NamedTuple

Measure = Literal["support without copies", "support", "passing answers without copies", "passing answers"]
"""The measures, in the order of the tables.

Support is the mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace. An answer
that the judge wrote after the trace counts 1 if it passes the row's tests or states its gold answer, else 0. Without copies: what the
traces, including the full one, have copied from the answer was blanked first (`copies.py`).
"""
Strip = Literal["copies", "none", "both"]
"""Whether copies are blanked; `both` measures with and without them."""


class Measurement(NamedTuple):
    """The value of a pruned trace by one measure, beside those of no trace and of the full trace.

    `tokens` and `tokens_before` are the tokens of the pruned and of the full trace, as the run counts them. `ratio` is the requested
    one. `open_fences`, `dangling` and `last_kept` are those of `Structure`, `answer_lines` and `near_copies` those of `Left` (`_full`: for
    the full trace), `cluster` is the problem that the row is on (None: one of its own); `windowed`: the row exceeded the context of the
    judge or the scorer, which read it in overlapping windows.
    """

    id: str
    method: str
    ratio: float
    measure: Measure
    tokens: int
    tokens_before: int
    value: float
    value_none: float
    value_full: float
    open_fences: int = 0
    dangling: int = 0
    last_kept: float = 1.0
    windowed: bool = False
    answer_lines: float | None = None
    answer_lines_full: float | None = None
    near_copies: int | None = None
    near_copies_full: int | None = None
    cluster: str | None = None
