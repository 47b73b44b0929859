"""How much a model would read to prune a trace, before it does: the estimate of `asap prune --dry-run`.

It counts the trace and, where it is shown or asked about, the answer. Left out is what stands before the trace, that stage 1 and
`rescore` leave the later passes steps of uneven length, and that a trace longer than the scorer's context is read in windows.
"""

from math import log2

from asap.prune.method import Size, is_one_pass
from asap.prune.methods import METHODS
from asap.prune.settings import AsapSettings
from asap.prune.token_level import TOKEN_LEVEL


def tokens_read(settings: AsapSettings, size: Size, *, fits: bool) -> float:
    """About how many tokens the model of a method reads of a trace of this size; `fits`: it is within its budget as it is."""
    if settings.method in TOKEN_LEVEL:
        return size.trace
    method = settings.scoring
    stage_1 = METHODS["alignment"].reads(size) if settings.coarse == "align" else 0.0
    lefts = range(size.steps - settings.rescore, 0, -settings.rescore) if settings.rescore else ()
    again = (method.reads(size._replace(steps=left, trace=size.trace * left / size.steps)) for left in lefts)
    floor = 0.0 if fits and settings.coarse == "none" else _for_floor(settings, size)
    return stage_1 + method.reads(size) + sum(again) + _for_scores(settings, size) + floor


def _for_scores(settings: AsapSettings, size: Size) -> float:
    """What `scores` adds: one pass unless the stages read the whole trace, and those that ask more unless the stages have asked already."""
    if settings.stored_scores == "own":
        return 0.0
    known = {settings.method} if not settings.rescore else set()
    known |= {"alignment"} if settings.coarse == "align" else set()
    others = [method for method in settings.stored_methods if not is_one_pass(method) and method.name not in known]
    asked = sum(method.reads(size) for method in others)
    return (0.0 if settings.reads_whole_trace else size.trace) + asked


def _for_floor(settings: AsapSettings, size: Size) -> float:
    """What `support_floor` adds: the whole trace, the cut one, and some halfway, each with the answer's code behind it."""
    return (2 + log2(size.steps)) * (size.trace + size.answer) if settings.support_floor is not None else 0.0
