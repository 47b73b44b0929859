"""A trace cut inside its steps: the units of a token-level method with their scores, and the kept characters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.decision.step_cut import CoarseReport, Overruled, StepDecision, steps_as_columns, steps_from_columns
from asap.prune.decision.units import Laid, Units, fitted
from asap.prune.fine.removal import token_budget
from asap.sample import Sample
from asap.spans import Span


@dataclass(frozen=True, slots=True)
class UnitCut:
    """A `Decision` that keeps the characters of `spans`, joined without separators.

    It has no stage 1. Its steps have no order (`rank` is the index, `tokens_left` the tokens before) and no scores; a step counts
    as kept if any part of it is kept. `gamma` is the share of the tokens that TokenSkip states in the question.
    """

    id: str
    method: str
    tokens_before: int
    tokens_after: int
    budget: int | None
    windows: int
    steps: list[StepDecision]
    spans: list[Span]
    units: Units
    gamma: float | None = None
    overruled: Overruled | None = None

    @classmethod
    def whole(
        cls, sample: Sample, method: str, steps: Sequence[Span], units: Units, tokens: TokenCounter, *, windows: int = 1
    ) -> "UnitCut":
        """The decision that keeps everything; `cut` applies a budget to it."""
        encoded = by_words(tokens).encode(sample.cot)
        length = len(encoded.ids)
        first = np.searchsorted(encoded.starts, [step.start for step in steps])
        counts = np.diff([*first.tolist(), length]).tolist()
        listed = [
            StepDecision(number, *span, count, None, None, None, None, number, length, kept=True, removed_by=None)
            for number, (span, count) in enumerate(zip(steps, counts, strict=True))
        ]
        return cls(sample.id, method, length, length, None, windows, listed, [Span(0, len(sample.cot))], units)

    @property
    def tokens_coarse(self) -> int:
        """The tokens before pruning, since stage 1 does not run."""
        return self.tokens_before

    @property
    def coarse(self) -> CoarseReport:
        """The report that stage 1 did not run."""
        return CoarseReport("none")

    @property
    def min_steps(self) -> int:
        """1: at least one unit is kept."""
        return 1

    @property
    def put_back(self) -> list[int]:
        """Nothing: there is no stage 1 before a cut inside steps."""
        return []

    @property
    def floor(self) -> None:
        """None: a floor puts back whole steps only."""
        return None

    @property
    def changed(self) -> bool:
        """Whether anything was cut."""
        return self.spans != [(0, sum(self.units.lengths))]

    @property
    def kept(self) -> list[Span]:
        """The kept characters of the original."""
        return self.spans

    @property
    def survivors(self) -> list[StepDecision]:
        """Empty: these methods do not remove steps in an order."""
        return []

    def kept_with_space(self, length: int) -> list[Span]:
        """The kept characters, which already include white space."""
        return self.spans

    def apply(self, cot: str) -> str:
        """The pruned trace: the kept characters of the original."""
        return "".join([cot[start:end] for start, end in self.spans])

    def cut(self, cot: str, tokens: Callable[[], TokenCounter], *, budget: int | None = None, ratio: float | None = None) -> "UnitCut":
        """The decision at another budget, counted by `tokens`, which is called only if anything changes. Keeps at least one unit."""
        limit = token_budget(self.tokens_before, budget=budget, ratio=ratio)
        gamma = None if self.gamma is None else ratio
        if limit is not None and (limit, gamma, None) == (self.budget, self.gamma, self.overruled):
            return self
        counter = tokens()
        laid = Laid.of(cot, self.units.lengths)
        kept = np.ones(len(self.units.lengths), np.bool_)
        if limit is not None and self.tokens_before > limit:
            kept = fitted(self.units, laid, counter, before=self.tokens_before, limit=limit)
        first = np.searchsorted(laid.ends[kept], [step.start for step in self.steps], side="right")
        last = np.searchsorted(laid.starts[kept], [step.end for step in self.steps], side="left")
        steps = [
            replace(step, kept=touched, removed_by=None if touched else "fine")
            for step, touched in zip(self.steps, (first < last).tolist(), strict=True)
        ]
        made = replace(self, budget=limit, steps=steps, spans=laid.spans(kept), gamma=gamma, overruled=None)
        return replace(made, tokens_after=by_words(counter).count(made.apply(cot)))

    def as_row(self) -> dict[str, Any]:
        """The JSON object that the store keeps, without `gamma` and `overruled` if they are None."""
        fields = ("id", "method", "tokens_before", "tokens_coarse", "tokens_after", "budget", "min_steps", "windows")
        return {
            **{name: getattr(self, name) for name in fields},
            "coarse": asdict(self.coarse),
            "steps": steps_as_columns(self.steps),
            "spans": self.spans,
            **({} if self.gamma is None else {"gamma": self.gamma}),
            **({"overruled": asdict(self.overruled)} if self.overruled else {}),
            "units": self.units.as_row(),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "UnitCut":
        """The decision that `as_row` wrote."""
        columns = dict(row["units"])
        if columns.pop("rule", "fit") != "fit":  # written by a rule that was removed
            raise KeyError("rule")
        fields = ("id", "method", "tokens_before", "tokens_after", "budget", "windows")
        return cls(
            **{name: row[name] for name in fields},
            steps=steps_from_columns(row["steps"]),
            spans=[Span(*span) for span in row["spans"]],
            units=Units(**columns),
            gamma=row.get("gamma"),
            overruled=None if row.get("overruled") is None else Overruled(**row["overruled"]),
        )
