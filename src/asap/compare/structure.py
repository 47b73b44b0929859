"""What a cut does to the form of a trace: fences that no longer close, names without their definition, the end of the thinking.

These are counts on the text, no judgement: a name counts as defined where it is assigned (`name =`, `name: type =`), follows
`def`, `class` or `for`, or is imported by itself, in code and in prose alike. Names of one letter are left out.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from asap.prune.decision import Decision
from asap.steps import Span, is_fenced

LAST_STEPS = 3
_DEFINED = re.compile(r"\b(?:(?:def|class|for|import)[ \t]+([^\W\d]\w+)|([^\W\d]\w+)[ \t]*(?::[^=\n]{1,40})?=(?![=~]))")


class Structure(NamedTuple):
    """`open_fences`: 1 where the cut leaves a code fence open that was closed before. `dangling`: names that are still used and whose
    every definition was cut. `last_kept`: the share of the characters of the last three steps that is kept.
    """

    open_fences: int
    dangling: int
    last_kept: float


def structure(cot: str, decision: Decision) -> Structure:
    """The structure that a decision, cut to its budget, leaves of its trace."""
    kept = kept_spans(decision)
    steps = [Span(step.start, step.end) for step in decision.steps][-LAST_STEPS:]
    last = sum(step.end - step.start for step in steps)
    left = sum(max(0, min(step.end, span.end) - max(step.start, span.start)) for step in steps for span in kept)
    opened = is_fenced(decision.apply(cot)) and not is_fenced(cot)
    return Structure(int(opened), len(dangling(cot, kept)), left / last if last else 1.0)


def kept_spans(decision: Decision) -> list[Span]:
    """What is kept of the original trace, in characters."""
    if decision.spans is not None:
        return [Span(*span) for span in decision.spans]
    return [Span(step.start, step.end) for step in decision.steps if step.kept]


def dangling(cot: str, kept: Sequence[Span]) -> list[str]:
    """The names that kept text uses although every place that defines them was cut; in alphabetical order."""
    starts = [span.start for span in kept]

    def stands(start: int, end: int) -> bool:
        place = bisect_right(starts, start) - 1
        return place >= 0 and end <= kept[place].end

    defined = dict[str, list[int]]()
    for found in _DEFINED.finditer(cot):
        name = 1 if found[1] else 2
        defined.setdefault(found[name], []).append(found.start(name))
    lost = {name: places[0] for name, places in defined.items() if not any(stands(place, place + len(name)) for place in places)}
    uses = ((name, re.compile(rf"\b{name}\b").finditer(cot, first)) for name, first in sorted(lost.items()))
    return [name for name, found in uses if any(stands(use.start(), use.end()) for use in found)]
