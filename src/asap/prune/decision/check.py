"""Whether a decision fits its trace. Those that are read from files of a run may have been edited, cut off or made by another program.

What this does not do: find out whether the scores are those of a model.
"""

from collections.abc import Iterable
from itertools import pairwise
from math import isfinite
from typing import Any

from asap.prune.decision.step_cut import Floor, Overruled, StepCut
from asap.prune.decision.unit_cut import UnitCut
from asap.spans import Span

_LARGEST = 2**31
_WHOLE = ("index", "start", "end", "tokens", "rank", "tokens_left")
_NUMBERS = ("match", "alignment", "surprisal", "score")
_REMOVERS = (None, "coarse", "fine", "person")


def check_decision(decision: StepCut | UnitCut, length: int) -> None:
    """Raise ValueError, which says what is wrong, unless a decision fits a trace of this many characters."""
    for name in ("tokens_before", "tokens_coarse", "tokens_after", "min_steps", "windows"):
        _check_whole(name, [getattr(decision, name)])
    _check_whole("budget", [] if decision.budget is None else [decision.budget])
    _check_steps(decision, length)
    if decision.overruled is not None:
        _check_overruled(decision.overruled, len(decision.steps))
    if isinstance(decision, StepCut):
        report = decision.coarse
        _check_whole("attempts", [report.attempts])
        _check(isinstance(report.by, str) and isinstance(report.failures, list), "coarse", report.by)
        _check(isinstance(decision.gap, str), "gap", decision.gap)
        _check_whole("unread", [decision.unread])
        if decision.floor is not None:
            _check_floor(decision.floor, len(decision.steps))
    else:
        _check_units(decision, length)


def _check_steps(decision: StepCut | UnitCut, length: int) -> None:
    steps = decision.steps
    for name in _WHOLE:
        _check_whole(f"{name} of a step", [getattr(step, name) for step in steps])
    for name in _NUMBERS:
        _check_numbers(f"{name} of a step", [getattr(step, name) for step in steps])
    _check([step.index for step in steps] == [*range(len(steps))], "the indexes of the steps", "not 0, 1, 2, …")
    _check_places("step", [Span(step.start, step.end) for step in steps], length)
    for step in steps:
        _check(step.kept is (step.removed_by is None) and step.removed_by in _REMOVERS, "removed_by", step.removed_by)
        _check_numbers("scores of a step", list((step.scores or {}).values()))


def _check_floor(floor: Floor, steps: int) -> None:
    _check_numbers("floor", [floor.full, floor.cut, floor.left])
    for name in ("back", "coarse"):
        _check_indexes(f"floor.{name}", getattr(floor, name), steps)


def _check_overruled(overruled: Overruled, steps: int) -> None:
    _check(isinstance(overruled.whole, bool), "overruled.whole", overruled.whole)
    _check_whole("overruled.tokens_cut", [overruled.tokens_cut])
    for name in ("keep", "remove", "coarse", "fine"):
        _check_indexes(f"overruled.{name}", getattr(overruled, name), steps)


def _check_indexes(name: str, indexes: list[int], steps: int) -> None:
    _check_whole(name, indexes)
    _check(all(index < steps for index in indexes), name, indexes)


def _check_units(decision: UnitCut, length: int) -> None:
    units, spans = decision.units, [Span(*span) for span in decision.spans]
    _check_whole("lengths of the units", units.lengths)
    _check_numbers("scores of the units", units.scores)
    _check(len(units.lengths) == len(units.scores), "the units", f"{len(units.lengths)} lengths and {len(units.scores)} scores")
    _check(sum(units.lengths) == length, "the units", f"{sum(units.lengths)} characters long in all, the trace has {length}")
    _check_whole("chunks of the units", units.chunks or [])
    for ends in zip(*spans, strict=True):
        _check_whole("spans", ends)
    _check_places("span", spans, length)
    _check_numbers("gamma", [decision.gamma])


def _check_places(what: str, places: list[Span], length: int) -> None:
    """Raise ValueError unless places follow each other inside a trace."""
    for one in places:
        _check(0 <= one.start <= one.end <= length, f"a {what} at {one.start} to {one.end}", f"outside of the trace's {length} characters")
    for one, other in pairwise(places):
        _check(one.end <= other.start, f"a {what} at {other.start}", f"inside of the one before, which ends at {one.end}")


def _check_whole(name: str, values: Iterable[Any]) -> None:
    for value in values:
        _check(type(value) is int and 0 <= value < _LARGEST, name, value)


def _check_numbers(name: str, values: Iterable[Any]) -> None:
    for value in values:
        _check(value is None or (type(value) in (int, float) and isfinite(value)), name, value)


def _check(holds: bool, name: str, found: object) -> None:
    if not holds:
        raise ValueError(f"{name} is {found if isinstance(found, str) else repr(found)[:80]}")
