"""A trace cut by whole steps: the decision about each step with its reasons. Any other budget is a look-up in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from typing import Any, Literal

from asap.lm.tokens import TokenCounter
from asap.prune.fine.removal import removals, token_budget
from asap.spans import Span
from asap.steps import keep_steps


@dataclass(frozen=True, slots=True)
class StepDecision:
    """One step of the original trace: `cot[start:end]`.

    `tokens` counts its tokens in the joined trace, with the blank line after it. `rank` is its position in the removal order
    (0 is removed first; stage 1's removals precede all others), `tokens_left` the exact tokens of the joined trace after removing
    it and all steps before it in that order. `score` is the method's own, higher = keep. Scores are in nats.
    `match` is the similarity of an LLM's rewritten step to this one, `alignment` how much likelier the answer makes this one.
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
    removed_by: Literal["coarse", "fine", "person"] | None
    scores: Mapping[str, float] | None = None
    """The scores of other step-level methods for this step in the whole trace, if stored."""


def step_as_object(step: StepDecision, *, all_scores: bool) -> dict[str, Any]:
    """A step as a JSON object of decisions.jsonl; with `scores` only if they are asked for and stored."""
    named = dict(zip(_FIELDS, _fields_of(step), strict=True))
    return named if step.scores is None or not all_scores else {**named, "scores": dict(step.scores)}


_FIELDS = ("index", "start", "end", "tokens", "match", "alignment", "surprisal", "score", "rank", "tokens_left", "kept", "removed_by")
_COLUMNS = ("start", "end", "tokens", "match", "alignment", "surprisal", "score", "rank", "tokens_left", "removed_by")
_fields_of, _values_of = attrgetter(*_FIELDS), attrgetter(*_COLUMNS)


def steps_as_columns(steps: Sequence[StepDecision]) -> dict[str, Any]:
    """Steps as a JSON object of columns, without those that have no value; `removed_by` is null for a kept step."""
    columns = dict(zip(_COLUMNS, map(list, zip(*map(_values_of, steps), strict=True)), strict=False))
    made: dict[str, Any] = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    if columns:
        made["removed_by"] = columns["removed_by"]
    if names := dict.fromkeys(name for step in steps for name in step.scores or ()):
        made["scores"] = {name: [(step.scores or {}).get(name) for step in steps] for name in names}
    return made


def steps_from_columns(columns: Any) -> list[StepDecision]:
    """The steps that `steps_as_columns` wrote, or `step_as_object` each of them. Raises KeyError or TypeError for others."""
    if isinstance(columns, list):
        return [StepDecision(**step) for step in columns]
    length = len(columns["start"]) if columns else 0
    values = [columns.get(name, [None] * length) for name in _COLUMNS]
    stored = columns.get("scores", {})
    scores = [{name: of[index] for name, of in stored.items() if of[index] is not None} or None for index in range(length)]
    return list(map(StepDecision, range(length), *values[:-1], [by is None for by in values[-1]], values[-1], scores))


@dataclass(frozen=True, slots=True)
class CoarseReport:
    """Stage 1's report: what decided, the number of replies requested from an LLM, and the reason for each unusable reply.

    `align` with failures means that the LLM gave no usable reply and the alignment decided instead.
    """

    by: Literal["align", "select", "rewrite", "none"]
    attempts: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Floor:
    """The result of `--support-floor`: the support (`support.py`, nats per token) of the whole trace, of the cut, and of the final trace.

    `grade`: `holds` if the cut is within the floor, `mended` if the steps `back` had to be put back, `whole` if all removed steps
    had to. `coarse` lists the steps in `back` that stage 1 had removed.
    """

    full: float
    cut: float
    left: float
    grade: Literal["holds", "mended", "whole"]
    back: list[int]
    coarse: list[int]


@dataclass(frozen=True, slots=True)
class Overruled:
    """What a person decided about a trace (`--overrule`): the steps to `keep` and to `remove`, or to leave the trace `whole`.

    `coarse` and `fine` list the steps that are kept although stage 1 or stage 2 had removed them; `tokens_cut` counts the tokens of the
    cut without the person.
    """

    whole: bool
    keep: list[int]
    remove: list[int]
    coarse: list[int]
    fine: list[int]
    tokens_cut: int


@dataclass(frozen=True, slots=True)
class StepCut:
    """A `Decision` that keeps or removes whole steps.

    `tokens_coarse` counts the tokens after stage 1. `budget` is in tokens (None: stage 1 only). `min_steps` is the number of steps
    kept at any budget. `windows` is the number of overlapping windows that the scorer needed (1: the trace fits its context).
    `gap` is the text that replaces each run of removed steps. `unread` counts the tokens of the text before the trace that the scorer
    had no room for: it read the end of that text.
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
    floor: Floor | None = None
    gap: str = ""
    unread: int = 0
    overruled: Overruled | None = None

    @property
    def gamma(self) -> None:
        """None: only `tokenskip` draws a share of the tokens."""
        return None

    @property
    def changed(self) -> bool:
        """Whether anything was cut."""
        return not all(step.kept for step in self.steps)

    @property
    def kept(self) -> list[Span]:
        """The kept characters of the original: the kept steps."""
        return [Span(step.start, step.end) for step in self.steps if step.kept]

    @property
    def put_back(self) -> list[int]:
        """The steps that stage 1 had removed, and that a floor or a person put back."""
        return [*(self.floor.coarse if self.floor else ()), *(self.overruled.coarse if self.overruled else ())]

    @property
    def survivors(self) -> list[StepDecision]:
        """The steps that stage 1 left, in the order in which stage 2 removes them."""
        put_back = {*self.put_back}
        left = (step for step in self.steps if step.removed_by != "coarse" and step.index not in put_back)
        return sorted(left, key=lambda step: step.rank)

    def kept_with_space(self, length: int) -> list[Span]:
        """The kept steps, each with the white space after it; the first step also with the white space before it."""
        starts = [0, *(step.start for step in self.steps[1:]), length]
        return [Span(start, end) for step, start, end in zip(self.steps, starts, starts[1:], strict=False) if step.kept]

    def apply(self, cot: str) -> str:
        """The pruned trace: the kept steps joined, or the original, byte for byte, if nothing was cut."""
        return keep_steps(cot, [Span(step.start, step.end) for step in self.steps], [step.kept for step in self.steps], self.gap)

    def cut(
        self,
        cot: str = "",
        tokens: Callable[[], TokenCounter] | None = None,
        *,
        budget: int | None = None,
        ratio: float | None = None,
    ) -> "StepCut":
        """The decision at another budget: a look-up that does not use `cot` and `tokens`. What a floor or a person changed is taken back.

        Without budget and ratio only stage 1 removes steps. At least `min_steps` steps are kept, whatever they cost.
        """
        limit = token_budget(self.tokens_before, budget=budget, ratio=ratio)
        if self.overruled is not None:
            return self.as_it_was().cut(budget=limit)
        if self.floor is not None:
            return self.without_floor().cut(budget=limit)
        if limit is None:
            return self.without(set(), tokens_after=self.tokens_coarse, budget=None)
        if limit == self.budget:
            return self
        survivors = self.survivors
        left = [self.tokens_coarse, *(step.tokens_left for step in survivors)]
        removed = removals(left, limit, at_most=len(survivors) - self.min_steps)
        return self.without({step.index for step in survivors[:removed]}, tokens_after=left[removed], budget=limit)

    def without(self, gone: set[int], *, tokens_after: int, budget: int | None) -> "StepCut":
        """The decision in which stage 2 removes exactly the steps `gone`."""
        steps = [
            step
            if step.removed_by == "coarse" or step.kept == (step.index not in gone)
            else replace(step, kept=not step.kept, removed_by="fine" if step.kept else None)
            for step in self.steps
        ]
        return replace(self, steps=steps, tokens_after=tokens_after, budget=budget)

    def without_floor(self) -> "StepCut":
        """The decision before steps were put back; the caller has to repeat the cut of stage 2."""
        if self.floor is None:
            return self
        coarse = set(self.floor.coarse)
        steps = [replace(step, kept=False, removed_by="coarse") if step.index in coarse else step for step in self.steps]
        return replace(self, steps=steps, floor=None, budget=None)

    def as_it_was(self) -> "StepCut":
        """The decision before a person overruled it."""
        if self.overruled is None:
            return self
        stages = {**dict.fromkeys(self.overruled.coarse, "coarse"), **dict.fromkeys(self.overruled.fine, "fine")}
        steps = [
            replace(step, kept=step.index not in stages, removed_by=stages.get(step.index))  # type: ignore[arg-type]
            if step.index in stages or step.removed_by == "person"
            else step
            for step in self.steps
        ]
        return replace(self, steps=steps, tokens_after=self.overruled.tokens_cut, overruled=None)

    def as_row(self) -> dict[str, Any]:
        """The JSON object that the store keeps, without `floor`, `gap`, `unread` and `overruled` if they are empty."""
        fields = ("id", "method", "tokens_before", "tokens_coarse", "tokens_after", "budget", "min_steps", "windows")
        return {
            **{name: getattr(self, name) for name in fields},
            "coarse": asdict(self.coarse),
            "steps": steps_as_columns(self.steps),
            "spans": None,
            **({"floor": asdict(self.floor)} if self.floor else {}),
            **({"gap": self.gap} if self.gap else {}),
            **({"unread": self.unread} if self.unread else {}),
            **({"overruled": asdict(self.overruled)} if self.overruled else {}),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "StepCut":
        """The decision that `as_row` wrote."""
        fields = {name: value for name, value in row.items() if name != "spans"}
        fields["coarse"] = CoarseReport(**fields["coarse"])
        fields["steps"] = steps_from_columns(fields["steps"])
        if fields.get("floor") is not None:
            fields["floor"] = Floor(**fields["floor"])
        if fields.get("overruled") is not None:
            fields["overruled"] = Overruled(**fields["overruled"])
        return cls(**fields)
