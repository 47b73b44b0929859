"""What was decided about a trace, step by step or unit by unit, and why: one line of decisions.jsonl."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

from asap.sample import Sample
from asap.spans import Span
from asap.steps import keep_steps


@dataclass(frozen=True, slots=True)
class StepDecision:
    """One step of the original trace: `cot[start:end]`.

    `tokens` is its share of the joined trace, the blank line after it included. `rank` is its place in the removal order
    (0 goes first; stage 1's removals come before all others) and `tokens_left` the exact tokens of the joined trace once it
    and all before it in that order are gone. `score` is the method's own, higher = keep. Scores are natural logs (nats).
    `match` is the similarity of an LLM's rewritten step to this one, `alignment` how much the answer makes this one likelier.
    """

    index: int
    start: int
    end: int
    tokens: int
    match: float | None
    alignment: float | None
    surprisal: float | None
    score: float | None
    rank: int
    tokens_left: int
    kept: bool
    removed_by: Literal["coarse", "fine"] | None
    scores: Mapping[str, float] | None = None
    """What each step-level method makes of this step in the whole trace, if that was asked for."""


@dataclass(frozen=True, slots=True)
class Units:
    """What a token-level method (`units.py`) makes of a trace, in columns: any other budget is cut from it without a model.

    The units follow each other. `lengths` are characters, each from the end of the unit before (the white space between them
    included), and add up to the trace; `scores` say what a unit is worth, higher = keep (None: no number, it goes last). Methods
    that read a trace in `chunks` store how many units each has.
    """

    lengths: list[int]
    scores: list[float | None]
    chunks: list[int] | None = None

    def as_row(self) -> dict[str, Any]:
        """The JSON object, without the column that is not used."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class CoarseReport:
    """How stage 1 went: what decided in the end, how many replies of an LLM were asked for, and why each unusable one was.

    With `align` and failures the LLM gave no usable reply and the alignment decided instead.
    """

    by: Literal["align", "select", "rewrite", "none"]
    attempts: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Floor:
    """What `--support-floor` found: the support (`support.py`, nats per token) of the whole trace, of the cut, and of what is left.

    `grade`: `holds` where the cut is within the floor as it is, `mended` where the steps `back` had to be put back, `whole` where
    everything had to. `coarse` are those of them that stage 1 had removed.
    """

    full: float
    cut: float
    left: float
    grade: Literal["holds", "mended", "whole"]
    back: list[int]
    coarse: list[int]


@dataclass(frozen=True, slots=True)
class Decision:
    """All that is known about one trace: token counts before, after stage 1 and after stage 2, and each step.

    `budget` is in tokens (None: stage 1 only). `min_steps` is how many steps stay at any budget. `windows` is how many
    overlapping windows the scorer needed (1: the trace fits its context).

    Token-level methods cut inside steps: their trace is the characters of `spans`, one after the other; their steps have no order
    (`rank` is the index, `tokens_left` the tokens before) and count as kept where anything of them is. `gamma` is the share of the
    tokens that TokenSkip drew for the row. `gap` is what stands in place of each run of removed steps.
    """

    id: str
    method: str
    tokens_before: int
    tokens_coarse: int
    tokens_after: int
    budget: int | None
    min_steps: int
    windows: int
    coarse: CoarseReport
    steps: list[StepDecision]
    spans: list[tuple[int, int]] | None = None
    gamma: float | None = None
    units: Units | None = None
    floor: Floor | None = None
    gap: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was cut."""
        if self.spans is not None and self.units is not None:
            return self.spans != [(0, sum(self.units.lengths))]
        return not all(step.kept for step in self.steps)

    def apply(self, cot: str) -> str:
        """The pruned trace: what is kept of the original; the original itself, byte for byte, where nothing was cut."""
        if self.spans is not None:
            return "".join(cot[start:end] for start, end in self.spans)
        return keep_steps(cot, [Span(step.start, step.end) for step in self.steps], [step.kept for step in self.steps], self.gap)

    def as_row(self) -> dict[str, Any]:
        """The JSON object of decisions.jsonl; a step's `scores`, and what only some methods have, are left out where there are none."""
        row = asdict(self)
        for step in row["steps"]:
            if step["scores"] is None:
                del step["scores"]
        row["units"] = self.units and self.units.as_row()
        optional = ("gamma", "units", "floor", "gap")
        return {name: value for name, value in row.items() if value not in (None, "") or name not in optional}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Decision":
        """The decision that `as_row` wrote."""
        fields = dict(row)
        fields["coarse"] = CoarseReport(**fields["coarse"])
        fields["steps"] = [StepDecision(**step) for step in fields["steps"]]
        if fields.get("spans") is not None:
            fields["spans"] = [tuple(span) for span in fields["spans"]]
        if fields.get("units") is not None:
            columns = dict(fields["units"])
            if columns.pop("rule", "fit") != "fit":  # those of --faithful and --legacy, which are gone
                raise KeyError("rule")
            fields["units"] = Units(**columns)
        if fields.get("floor") is not None:
            fields["floor"] = Floor(**fields["floor"])
        return cls(**fields)

    def without_floor(self) -> "Decision":
        """The decision as it was before steps were put back; what stage 2 removed is to be cut again."""
        if self.floor is None:
            return self
        coarse = set(self.floor.coarse)
        steps = [replace(step, kept=False, removed_by="coarse") if step.index in coarse else step for step in self.steps]
        return replace(self, steps=steps, floor=None, budget=None)


class Pruned(NamedTuple):
    """A pruned sample and the decision that made it."""

    sample: Sample
    decision: Decision
