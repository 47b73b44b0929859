"""One pruned trace measured in one way: a line of judged.jsonl."""

from typing import Literal, NamedTuple

Measure = Literal["support", "support without code", "passing answers"]
"""The measures, in the order of the tables.

Support is the mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace;
without code: with fenced code taken out of the traces before, the full one included, for rows whose traces have any. An answer
that the judge wrote after the trace is 1 where it passes the row's tests and 0 where it does not.
"""


class Measurement(NamedTuple):
    """The value of a pruned trace by one measure, beside those of no trace and of the full trace.

    `tokens` is what the pruned trace has, `tokens_before` what the full one has, both as the run counts them. `ratio` is what
    was asked for. `open_fences`, `dangling` and `last_kept` are those of `Structure`; `windowed` says whether the row was too long for
    the context of the judge or the scorer, and was read in overlapping windows.
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
