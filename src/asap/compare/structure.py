"""The damage of a cut to a trace's structure: fences that no longer close, names without their definition, a cut end of the thinking.

These are counts on the text, not judgements.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from asap.fences import is_open
from asap.prune.decision import Decision
from asap.prune.definitions import definitions
from asap.spans import Span

LAST_STEPS = 3


class Structure(NamedTuple):
    """`open_fences`: 1 if the cut leaves a code fence open that was closed before. `dangling`: the number of names that are still used
    but whose every definition was cut. `last_kept`: the kept share of the characters of the last three steps.
    """

    open_fences: int
    dangling: int
    last_kept: float


def structure(cot: str, decision: Decision) -> Structure:
    """The structure that a decision, cut to its budget, leaves of its trace."""
    kept = decision.kept
    steps = [Span(step.start, step.end) for step in decision.steps][-LAST_STEPS:]
    last = sum(step.end - step.start for step in steps)
    left = sum(max(0, min(step.end, span.end) - max(step.start, span.start)) for step in steps for span in kept)
    opened = is_open(decision.apply(cot)) and not is_open(cot)
    return Structure(int(opened), len(dangling(cot, kept)), left / last if last else 1.0)


def dangling(cot: str, kept: Sequence[Span]) -> list[str]:
    """The names that the kept text uses although all their definitions were cut, in alphabetical order."""
    starts = [span.start for span in kept]

    def is_kept(start: int, end: int) -> bool:
        place = bisect_right(starts, start) - 1
        return place >= 0 and end <= kept[place].end

    defined = dict[str, list[int]]()
    for name, place in definitions(cot):
        defined.setdefault(name, []).append(place)
    lost = {name: min(places) for name, places in defined.items() if not any(is_kept(place, place + len(name)) for place in places)}
    uses = ((name, re.compile(rf"\b{name}\b").finditer(cot, first)) for name, first in sorted(lost.items()))
    return [name for name, found in uses if any(is_kept(use.start(), use.end()) for use in found)]
