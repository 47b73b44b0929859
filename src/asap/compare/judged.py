"""What a judge said about one pruned trace: one line of DIR/judged.jsonl."""

from typing import Literal, NamedTuple

View = Literal["as is", "without code"]


class Judged(NamedTuple):
    """The support that a trace gives to the answer of its row, beside what no trace and the full trace give.

    Support is the mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace.
    `view` says whether fenced code was taken out of the traces before, the full one included. `tokens` is what the pruned
    trace has, `tokens_before` what the full one has, both as the run counts them. `ratio` is what was asked for. The last
    three fields are those of `Structure`.
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
