"""The decision about a trace, of either kind: one line of decisions.jsonl.

Step-level methods decide with a `StepCut`, token-level methods with a `UnitCut`. Both have the token counts, the steps,
`kept`, `changed`, `apply(cot)`, `cut(cot, tokens, budget=...)` and `as_row()`: all that applying, storing and counting decisions
needs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from asap.prune.decision.step_cut import StepCut
from asap.prune.decision.unit_cut import UnitCut
from asap.sample import Sample

Decision = StepCut | UnitCut


def decision_from_row(row: Mapping[str, Any]) -> Decision:
    """The decision that `as_row` wrote. Raises KeyError or TypeError if another version wrote the row."""
    return StepCut.from_row(row) if row.get("units") is None else UnitCut.from_row(row)


def cut(decision: StepCut, *, budget: int | None = None, ratio: float | None = None) -> StepCut:
    """The decision at another budget (in tokens, or as a share of the original trace), without a tokenizer."""
    return decision.cut(budget=budget, ratio=ratio)


class Pruned(NamedTuple):
    """A pruned sample and the decision that made it."""

    sample: Sample
    decision: Decision
