"""The counts of a finished run, as its manifest and its summary show them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

from asap.prune.decision import Decision
from asap.prune.decision.step_cut import Overruled, StepCut

Key = TypeVar("Key", str, int)


@dataclass(slots=True)
class Totals:
    """Counts and token totals of a finished run: rows = pruned + unchanged + passed + rejected. Each turn that thinks counts as a row."""

    rows: int = 0
    pruned: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejected_by: dict[str, int] = field(default_factory=dict)
    passed: int = 0
    """Rows without thinking that pass through."""
    passed_by: dict[str, int] = field(default_factory=dict)
    turns: int = 0
    """Rows that are turns of conversations."""
    conversations: int = 0
    """The conversations that they are of; each is one row of pruned.jsonl, unless all of its turns were rejected."""
    filtered: int | None = None
    """Rows that `--where` left out, which `rows` does not count; None without it."""
    questions: str | None = None
    """What is wrong with the questions of the source, if anything is."""
    renamed: int = 0
    """Rows with a duplicate id, to which `#2`, `#3`, … was appended."""
    not_finite: int = 0
    """Rows of pruned.jsonl with NaN or infinity in other columns, which are null there."""
    shortened: dict[str, int] = field(default_factory=dict)
    """By training format without flags, the conversations that end there before a turn that must not be learnt."""
    left_out: dict[str, int] = field(default_factory=dict)
    """By training format, the conversations without a turn to learn, which are not in its file."""
    not_rendered: dict[str, int] = field(default_factory=dict)
    """By reason, the rows that training formats lack, since no text for the named model can hold them."""
    over_budget: int = 0
    """Traces that no cut brings under the budget, because the steps that must be kept exceed it."""
    unread: int = 0
    """Traces before which the scorer could not read all: the start of a long question or conversation."""
    windowed: int = 0
    """Traces longer than the scorer's context."""
    coarse_by: dict[str, int] = field(default_factory=dict)
    """Traces by what decided in stage 1; with an LLM, `align` counts those without a usable reply."""
    attempts: int = 0
    """Pruning replies requested from an LLM."""
    failures_by: dict[str, int] = field(default_factory=dict)
    """Unusable replies by reason."""
    floor_grades: dict[str, int] = field(default_factory=dict)
    """Cut traces by their grade under `--support-floor`."""
    kept_all: int = 0
    """Traces whose every step the LLM kept."""
    overruled: dict[str, int] = field(default_factory=dict)
    """What a person decided (`--overrule`): rows left whole or dropped, steps kept or removed, and such rows above their budget."""
    steps: int = 0
    steps_coarse: int = 0
    steps_fine: int = 0
    tokens_before: int = 0
    tokens_coarse: int = 0
    tokens_after: int = 0
    histogram_before: dict[int, int] = field(default_factory=dict)
    """Traces by the smallest power of two not below their token count."""
    histogram_after: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    format_model: str | None = None
    """The model that training formats are rendered for, if they are."""
    written: dict[str, str] = field(default_factory=dict)
    """The files, by the names that they should have: others, where one stays that was edited."""

    @property
    def ratio(self) -> float:
        """Tokens after pruning as a share of the tokens before."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0

    def add(self, decision: Decision) -> None:
        """Count one decided row."""
        removed = Counter(step.removed_by for step in decision.steps)
        self.pruned += decision.changed
        self.unchanged += not decision.changed
        over = decision.budget is not None and decision.floor is None and decision.tokens_after > decision.budget
        self.over_budget += over and decision.overruled is None
        self.windowed += decision.windows > 1
        self.unread += isinstance(decision, StepCut) and decision.unread > 0
        self._count(self.coarse_by, decision.coarse.by)
        for reason in decision.coarse.failures:
            self._count(self.failures_by, reason)
        if decision.floor is not None:
            self._count(self.floor_grades, decision.floor.grade)
        if decision.overruled is not None:
            self._add_overruled(decision.overruled, removed["person"], over)
        self.attempts += decision.coarse.attempts
        self.kept_all += decision.coarse.by in ("select", "rewrite") and not removed["coarse"]
        self.steps += len(decision.steps)
        self.steps_coarse += removed["coarse"]
        self.steps_fine += removed["fine"]
        self.tokens_before += decision.tokens_before
        self.tokens_coarse += decision.tokens_coarse
        self.tokens_after += decision.tokens_after
        for histogram, tokens in ((self.histogram_before, decision.tokens_before), (self.histogram_after, decision.tokens_after)):
            self._count(histogram, 1 << max(0, tokens - 1).bit_length())

    def _add_overruled(self, told: Overruled, removed: int, over: bool) -> None:
        kept = 0 if told.whole else len(told.coarse) + len(told.fine)
        counts = {"rows_whole": told.whole, "steps_kept": kept, "steps_removed": removed, "rows_over_budget": over}
        for name, count in counts.items():
            if count:
                self._count(self.overruled, name, int(count))

    @staticmethod
    def _count(counts: dict[Key, int], key: Key, more: int = 1) -> None:
        counts[key] = counts.get(key, 0) + more
