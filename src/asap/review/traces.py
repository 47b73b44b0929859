"""A trace of the review page: one run's decision about it, in the form that the page reads."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, isnan, nan
from typing import Any, NamedTuple

from asap.prune.decision import Decision
from asap.prune.decision.overrule import ruling_digest
from asap.prune.decision.step_cut import StepCut, StepDecision
from asap.sample import Sample
from asap.spans import Span

TRACE_COUNTS = ("steps", "before", "coarse", "after", "least", "windows", "ms", "gone1", "gone2", "back1", "gone3")
_BY = {"coarse": "1", "fine": "2", None: "k"}
"""Which stage removed a step: what a person decided instead stands beside."""


class ReviewedTrace(NamedTuple):
    """One run's decision about a trace, as the index and the trace view need it (JSON-able, offsets in UTF-16 units)."""

    grade: str | None
    counts: tuple[int, ...]
    left: list[int]
    worth: list[float]
    order: list[int]
    worth_kept: float
    places: list[tuple[int, int]]
    kept: list[Span]
    steps: dict[str, Any]


def reviewed(sample: Sample, decision: Decision, seconds: float | None) -> ReviewedTrace:
    """A decision in the form that the page reads. The series follow the removal order of the steps that stage 1 kept."""
    steps, floor, survivors, told = decision.steps, decision.floor, decision.survivors, decision.overruled
    before = decision.as_it_was().steps if isinstance(decision, StepCut) else steps
    counts = {
        "steps": len(steps),
        "before": decision.tokens_before,
        "coarse": decision.tokens_coarse,
        "after": decision.tokens_after,
        "least": decision.min_steps,
        "windows": decision.windows,
        "ms": -1 if seconds is None else round(1000 * seconds),
        "gone1": sum(step.removed_by == "coarse" for step in steps) + len(decision.put_back),
        "gone2": sum(step.removed_by == "fine" for step in steps),
        "back1": len(decision.put_back),
        "gone3": sum(step.removed_by == "person" for step in steps),
    }
    columns = {name: [_rounded(getattr(step, name)) for step in steps] for name in ("score", "surprisal", "alignment", "match")}
    at = Utf16(sample.cot).of
    view = {
        "start": [at(step.start) for step in steps],
        "end": [at(step.end) for step in steps],
        "tokens": [step.tokens for step in steps],
        "rank": [step.rank for step in steps] if survivors else None,
        "by": "".join(_BY[step.removed_by] for step in before),
        **{name: values for name, values in columns.items() if any(value is not None for value in values)},
        "stage1": asdict(decision.coarse),
        "digest": ruling_digest(sample, decision),
        "ruled": {"row": "whole" if told.whole else None, "keep": told.keep, "remove": told.remove} if told else None,
        "floor": asdict(floor) if floor else None,
        "spans": None if survivors else [[at(start), at(end)] for start, end in decision.kept],
    }
    worths_kept = [worth for step in steps if step.kept and not isnan(worth := _worth(step))]
    return ReviewedTrace(
        grade=floor.grade if floor else None,
        counts=tuple(counts[name] for name in TRACE_COUNTS),
        left=[step.tokens_left for step in survivors],
        worth=[_worth(step) for step in survivors],
        order=[step.index for step in survivors],
        places=[(step.start, step.end) for step in steps],
        kept=decision.kept,
        worth_kept=round(sum(worths_kept), 4),
        steps={name: value for name, value in view.items() if value is not None},
    )


def steps_apart(cot: str, decisions: Sequence[ReviewedTrace | None]) -> int:
    """The number of the first run's steps in which two runs keep different characters, ignoring white space."""
    if len(decisions) < 2 or decisions[0] is None or decisions[1] is None:
        return 0
    one, two = decisions[0], decisions[1]
    if one.places == two.places and "spans" not in one.steps and "spans" not in two.steps:
        return len({*one.kept} ^ {*two.kept})
    marks = bytearray(len(cot))
    for mark, decision in ((1, one), (2, two)):
        for start, end in decision.kept:
            marks[start:end] = bytes(value | mark for value in marks[start:end])
    return sum(any(marks[place] in (1, 2) and not cot[place].isspace() for place in range(*step)) for step in one.places)


class Utf16:
    """Converts character offsets of a text to offsets in UTF-16 units, as JavaScript counts them."""

    def __init__(self, text: str) -> None:
        astral = not text.isascii() and max(text, default="") > "\uffff"
        self._wide = [place for place, character in enumerate(text) if character > "\uffff"] if astral else []

    def of(self, offset: int) -> int:
        """The offset of a character in UTF-16 units."""
        return offset + bisect_left(self._wide, offset)


def _worth(step: StepDecision) -> float:
    """A step's first-token surprisal in nats, if stored, even when another method decided; NaN otherwise."""
    value = step.surprisal if step.surprisal is not None else (step.scores or {}).get("asap")
    return nan if value is None else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else round(value, 4)
