"""What a trace has copied from the answer, and the trace without it, so that support does not measure copying.

A reasoning model writes its solution while it thinks, and a judge that reads it there only has to copy. With `--strip copies` each copy
is blanked in the whole trace, before the judge reads it, and in every cut of it: of an answer with a program the lines that equal one of
its lines (`code_lines`), fenced or not; of a mathematical answer every statement of its result (`boxed_result`). An answer that is only
text has nothing to blank.

What is blanked is decided once, on the whole trace, so all methods lose the same characters: a cut keeps the same text as without
blanking, less the copies in it. The line break of a line stays, and all other text stays as it is.
What this does not do: find what says the same in other words. `Left` counts what else there is.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from asap.prune.boxed_result import BoxedResult
from asap.prune.code_lines import CodeLines
from asap.prune.decision import Decision
from asap.prune.support import CODE_LEAD, RESULT_LEAD, target_of
from asap.sample import Sample
from asap.spans import Span

_MARK = "\ud800"  # half a surrogate pair, which no sample holds
_SHOWN = re.compile(r"\S")
_SPACE = r"[^\S\r\n]"
_MARKED = re.compile(rf"(?:(?<!{_SPACE}){_SPACE}*{_MARK})+(?:{_SPACE}+(?=[\r\n]|\Z))?")  # looks at white space from its start only


class Copied(Protocol):
    """What a trace can copy of an answer."""

    def spans(self, text: str) -> list[Span]:
        """Where a text copies it."""

    def left(self, text: str) -> float | None:
        """The share of it that stands in a text; None if that says nothing."""

    def near(self, text: str) -> int:
        """The number of near copies in a text."""


class Left(NamedTuple):
    """What a trace holds of the answer: the share of the telling lines (1 or 0 for the result) before blanking, near copies after it.

    None for an answer without program and result, and for a program without a telling line.
    """

    answer_lines: float | None
    near_copies: int | None


@dataclass(frozen=True)
class Copies:
    """A trace with its copies marked."""

    cot: str
    marked: str
    of: Copied | None

    @classmethod
    def find(cls, sample: Sample) -> "Copies":
        """The copies in the trace of a sample."""
        of = _copied(sample)
        parts, at = list[str](), 0
        for start, end in of.spans(sample.cot) if of else []:
            # white space stays, so that a cut is joined as without marks
            parts += [sample.cot[at:start], _SHOWN.sub(_MARK, sample.cot[start:end])]
            at = end
        return cls(sample.cot, "".join([*parts, sample.cot[at:]]), of)

    @property
    def blanked(self) -> str:
        """The whole trace without its copies."""
        return _MARKED.sub("", self.marked)

    def cut(self, decision: Decision) -> str:
        """The trace that a decision leaves, without its copies."""
        return _MARKED.sub("", decision.apply(self.marked))

    def left(self, decision: Decision | None = None) -> Left:
        """What the trace that a decision leaves (None: the whole trace) holds of the answer."""
        if self.of is None:
            return Left(None, None)
        kept, blanked = (decision.apply(self.cot), self.cut(decision)) if decision else (self.cot, self.blanked)
        return Left(self.of.left(kept), self.of.near(blanked))


def _copied(sample: Sample) -> Copied | None:
    target = target_of(sample)
    if target.lead == CODE_LEAD:
        return CodeLines.of(target.text, sample.question)
    return BoxedResult.of(target.text) if target.lead == RESULT_LEAD else None
