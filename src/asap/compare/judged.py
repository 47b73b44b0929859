"""What a judge said about one pruned trace: one line of DIR/judged.jsonl."""

from typing import Literal, NamedTuple

View = Literal["as is", "without code"]


class Judged(NamedTuple):
    """The support that a trace gives to the answer of its row, beside what no trace and the full trace give.

    Support is the mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace.
    `view` says whether fenced code was taken out of the traces before, the full one included. `tokens` is what the pruned
    trace has, `tokens_before` what the full one has, both as the run counts them. `ratio` is what was asked for. The
    three fields before `passed` are those of `Structure`. `passed` says whether an answer that the judge wrote after the
    trace passes the row's tests, `passed_none` and `passed_full` the same without and with the full trace (None: not asked).
    """

    id: str
    method: str
    ratio: float
    view: View
    tokens: int
    tokens_before: int
    support: float
    support_none: float
    support_full: float
    open_fences: int = 0
    dangling: int = 0
    last_kept: float = 1.0
    passed: bool | None = None
    passed_none: bool | None = None
    passed_full: bool | None = None
