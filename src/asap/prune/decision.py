"""What was decided about a trace, step by step, and why: one line of decisions.jsonl."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from asap.sample import Sample
from asap.steps import Span, keep_steps


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
class CoarseReport:
    """How stage 1 went: what decided in the end, how many replies of an LLM were asked for, and why each unusable one was.

    With `align` and failures the LLM gave no usable reply and the alignment decided instead.
    """

    by: Literal["align", "select", "rewrite", "none"]
    attempts: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """All that is known about one trace: token counts before, after stage 1 and after stage 2, and each step.

    `budget` is in tokens (None: stage 1 only). `min_steps` is how many steps stay at any budget. `windows` is how many
    overlapping windows the scorer needed (1: the trace fits its context). `spans` is for methods that cut inside steps.
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

    @property
    def changed(self) -> bool:
        """Whether anything was cut."""
        return not all(step.kept for step in self.steps)

    def apply(self, cot: str) -> str:
        """The pruned trace: the kept steps of the original, joined; the original itself where nothing was cut."""
        return keep_steps(cot, [Span(step.start, step.end) for step in self.steps], [step.kept for step in self.steps])

    def as_row(self) -> dict[str, Any]:
        """The JSON object of decisions.jsonl; a step's `scores` are left out where there are none."""
        row = asdict(self)
        for step in row["steps"]:
            if step["scores"] is None:
                del step["scores"]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Decision":
        """The decision that `as_row` wrote."""
        fields = dict(row)
        fields["coarse"] = CoarseReport(**fields["coarse"])
        fields["steps"] = [StepDecision(**step) for step in fields["steps"]]
        if fields.get("spans") is not None:
            fields["spans"] = [tuple(span) for span in fields["spans"]]
        return cls(**fields)


class Pruned(NamedTuple):
    """A pruned sample and the decision that made it."""

    sample: Sample
    decision: Decision
