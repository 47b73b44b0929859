"""The decision about a trace, of either kind: one line of decisions.jsonl.

Step-level methods decide with a `StepCut`, token-level methods with a `UnitCut`. Both have the token counts, the steps,
`kept`, `changed`, `apply(cot)`, `cut(cot, tokens, budget=...)` and `as_row()`: all that applying, storing and counting decisions
needs.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from asap.errors import UsageError
from asap.prune.decision.step_cut import StepCut, step_as_object
from asap.prune.decision.unit_cut import UnitCut
from asap.sample import Sample

Decision = StepCut | UnitCut


def decision_from_row(row: Mapping[str, Any]) -> Decision:
    """The decision that `as_row` wrote. Raises KeyError or TypeError if another version wrote the row."""
    return StepCut.from_row(row) if row.get("units") is None else UnitCut.from_row(row)


def decision_line(decision: Decision, *, all_scores: bool = False) -> dict[str, Any]:
    """The JSON object of a line of decisions.jsonl: numbers have six significant digits, as many as float32 scores are worth.

    `all_scores`: with the scores of methods that did not decide.
    """
    steps = [_rounded(step_as_object(step, all_scores=all_scores)) for step in decision.steps]
    about = replace(decision, steps=[]).as_row()  # without the store's columns of all scores, which would be thrown away
    return {name: steps if name == "steps" else _rounded(value) for name, value in about.items()}


def decisions_file(folder: Path) -> Path:
    """The file of an output folder with its decisions, compressed or not."""
    compressed = folder / "decisions.jsonl.zst"
    return compressed if compressed.exists() else folder / "decisions.jsonl"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return list(map(_rounded, value)) if any(isinstance(one, float | list | dict) for one in value) else value
    if isinstance(value, dict):
        return {name: inside if type(inside) in _AS_THEY_ARE else _rounded(inside) for name, inside in value.items()}
    return value


_AS_THEY_ARE = {int, bool, str, type(None)}  # most values of a step; a call for each would take longer than the rest


def cut(decision: StepCut, *, budget: int | None = None, ratio: float | None = None) -> StepCut:
    """The decision at another budget (in tokens, or as a share of the original trace), without a tokenizer.

    Without either only stage 1 removes steps. Raises UsageError for what is no decision about whole steps.
    """
    if isinstance(inside := getattr(decision, "decision", None), StepCut):
        raise UsageError(f"cut takes a decision; give the attribute decision, of {inside.id!r}")
    if isinstance(decision, UnitCut):
        raise UsageError(f"{decision.method} cuts inside steps; decision.cut(cot, load_tokens, ratio=...) counts its tokens again")
    if not isinstance(decision, StepCut):
        raise UsageError(f"cut takes a decision, such as that of Asap(...).prune(sample), and not a {type(decision).__name__}")
    return decision.cut(budget=budget, ratio=ratio)


class Pruned(NamedTuple):
    """A pruned sample and the decision that made it."""

    sample: Sample
    decision: Decision
