"""The data of the review page: an index of all traces, loaded at once, and their texts in pieces, inflated on demand.

For each trace, the index holds the exact tokens left after each removal; from these the page can apply any budget, by the rules of
`asap.prune.fine.removals`. A trace cut inside its steps has no such series and is shown as the run left it.
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from heapq import merge
from itertools import groupby, islice
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

from asap.page.embedded import MOST_CHARACTERS, embedded_json
from asap.prune.decision import Decision
from asap.prune.decision.step_cut import StepDecision
from asap.review.folder import FinishedRun, RowKey
from asap.review.texts import size_of, text_of_trace, title_of
from asap.sample import Sample
from asap.spans import Span

MOST_TRACES = 10_000
_PIECE_CHARACTERS = 200_000
_COUNTS = ("steps", "before", "coarse", "after", "least", "windows", "ms", "gone1", "gone2", "back1")


class ReviewedTrace(NamedTuple):
    """One run's decision about a trace, as the index and the trace view need it (JSON-able, offsets in UTF-16 units)."""

    grade: str | None
    counts: tuple[int, ...]
    left: list[int]
    worth: list[float]
    order: list[int]
    worth_kept: float
    places: list[tuple[int, int]]
    kept: list[Span]
    steps: dict[str, Any]


@dataclass(slots=True)
class _Columns:
    """One run's part of the index."""

    counts: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in _COUNTS})
    series: list[int] = field(default_factory=list)
    worth_kept: list[float] = field(default_factory=list)
    grades: list[str | None] = field(default_factory=list)
    left: "array[int]" = field(default_factory=lambda: array("I"))
    worth: "array[float]" = field(default_factory=lambda: array("f"))
    order: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, decided: ReviewedTrace | None) -> None:
        for name, value in zip(_COUNTS, decided.counts if decided else (-1,) * len(_COUNTS), strict=True):
            self.counts[name].append(value)
        self.grades.append(decided.grade if decided else None)
        self.series.append(len(decided.left) if decided else 0)
        self.worth_kept.append(decided.worth_kept if decided else 0)
        if decided:
            self.left.extend(decided.left)
            self.worth.extend(decided.worth)
            self.order.extend(decided.order)

    def series_bytes(self, *, with_order: bool) -> bytes:
        """Little-endian: tokens left, worth, and with two runs the steps in removal order."""
        return _bytes(self.left) + _bytes(self.worth) + (_bytes(self.order) if with_order else b"")


class PageData(NamedTuple):
    """All embedded data: the index of the overview (JSON-able), the series of each run, and the texts in packed pieces of JSON."""

    overview: dict[str, Any]
    series: list[bytes]
    pieces: list[str]
    shown: int
    total: int


class _Texts:
    """The texts of the traces, packed as soon as a piece is full."""

    def __init__(self) -> None:
        self.pieces = list[str]()
        self._piece = list[dict[str, Any]]()
        self._size = 0

    def add(self, text: dict[str, Any], size: int) -> int:
        """Add the text of a trace and return the number of its piece."""
        if self._size > _PIECE_CHARACTERS:
            self.pack()
        self._piece.append(text)
        self._size += size
        return len(self.pieces)

    def pack(self) -> None:
        """End the piece."""
        self.pieces.append(embedded_json(self._piece))
        self._piece, self._size = [], 0


class _Beside:
    """Another run's traces, found by key. Runs of the same data are in the same order, so that few have to wait."""

    def __init__(self, run: FinishedRun, chosen: Collection[RowKey]) -> None:
        self._decided = {key for key, _, decided in run.known(chosen) if decided}
        self._rows = _reviewed(run, chosen)
        self._waiting = dict[RowKey, tuple[Sample, ReviewedTrace]]()

    def take(self, key: RowKey) -> ReviewedTrace | None:
        """This run's trace of a row; None if it has none."""
        if key not in self._decided:
            return None
        while key not in self._waiting and (row := next(self._rows, None)) is not None:
            self._waiting[row[0]] = row[1:]
        return self._waiting.pop(key, (None, None))[1]

    def rest(self) -> Iterator[tuple[Sample, ReviewedTrace]]:
        """The traces that nobody took."""
        yield from self._waiting.values()
        yield from (row[1:] for row in self._rows)


def page_data(runs: Sequence[FinishedRun], most: int = MOST_TRACES) -> PageData:
    """The data of one run or two. Above `most` traces, or with too much text, it shows those with the smallest content digests."""
    chosen, total = _choose(runs, most)
    others = [_Beside(run, chosen) for run in runs[1:]]
    columns, traces, texts, apart = (
        [_Columns() for _ in runs],
        dict[str, list[Any]](id=[], title=[], whole=[], piece=[]),
        _Texts(),
        list[int](),
    )

    def add(sample: Sample, decisions: list[ReviewedTrace | None]) -> None:
        text = text_of_trace(sample, [decision.steps if decision else None for decision in decisions])
        traces["id"].append(sample.id)
        traces["title"].append(title_of(sample))
        traces["whole"].append(sample.turn.conversation.id if sample.turn else None)
        apart.append(steps_apart(sample.cot, decisions))
        traces["piece"].append(texts.add(text, size_of(sample)))
        for column, decision in zip(columns, decisions, strict=True):
            column.add(decision)

    for key, sample, trace in _reviewed(runs[0], chosen):
        add(sample, [trace, *(other.take(key) for other in others)])
    for other in others:  # rows missing from the first run
        for sample, trace in other.rest():
            add(sample, [None, trace])
    texts.pack()
    shown = len(traces["id"])
    if not any(traces["whole"]):
        del traces["whole"]
    total -= len(chosen) - shown  # rows that no run could decide about
    rejected = ({"run": number, **row} for number, run in enumerate(runs) for row in run.rejected())
    first_rejected = list(islice(rejected, most))
    index = {
        "runs": [_about(run, column) for run, column in zip(runs, columns, strict=True)],
        "traces": traces,
        "apart": apart,
        "total": total,
        "rejected": first_rejected,
        "rejected_total": len(first_rejected) + sum(1 for _ in rejected),
    }
    series = [column.series_bytes(with_order=len(runs) > 1) for column in columns]
    return PageData(index, series, texts.pieces, shown, total)


def _reviewed(run: FinishedRun, chosen: Container[RowKey]) -> Iterator[tuple[RowKey, Sample, ReviewedTrace]]:
    return ((key, sample, reviewed(sample, decision, seconds)) for key, sample, decision, seconds in run.rows(chosen))


def reviewed(sample: Sample, decision: Decision, seconds: float | None) -> ReviewedTrace:
    """A decision in the form that the page reads. The series follow the removal order of the steps that stage 1 kept."""
    steps, floor, survivors = decision.steps, decision.floor, decision.survivors
    put_back = floor.coarse if floor else []
    counts = {
        "steps": len(steps),
        "before": decision.tokens_before,
        "coarse": decision.tokens_coarse,
        "after": decision.tokens_after,
        "least": decision.min_steps,
        "windows": decision.windows,
        "ms": -1 if seconds is None else round(1000 * seconds),
        "gone1": sum(step.removed_by == "coarse" for step in steps) + len(put_back),
        "gone2": sum(step.removed_by == "fine" for step in steps),
        "back1": len(put_back),
    }
    columns = {name: [_rounded(getattr(step, name)) for step in steps] for name in ("score", "surprisal", "alignment", "match")}
    at = Utf16(sample.cot).of
    view = {
        "start": [at(step.start) for step in steps],
        "end": [at(step.end) for step in steps],
        "tokens": [step.tokens for step in steps],
        "rank": [step.rank for step in steps] if survivors else None,
        "by": "".join({"coarse": "1", "fine": "2", None: "k"}[step.removed_by] for step in steps),
        **{name: values for name, values in columns.items() if any(value is not None for value in values)},
        "stage1": asdict(decision.coarse),
        "floor": asdict(floor) if floor else None,
        "spans": None if survivors else [[at(start), at(end)] for start, end in decision.kept],
    }
    worths_kept = [worth for step in steps if step.kept and not isnan(worth := _worth(step))]
    return ReviewedTrace(
        grade=floor.grade if floor else None,
        counts=tuple(counts[name] for name in _COUNTS),
        left=[step.tokens_left for step in survivors],
        worth=[_worth(step) for step in survivors],
        order=[step.index for step in survivors],
        places=[(step.start, step.end) for step in steps],
        kept=decision.kept,
        worth_kept=round(sum(worths_kept), 4),
        steps={name: value for name, value in view.items() if value is not None},
    )


def steps_apart(cot: str, decisions: Sequence[ReviewedTrace | None]) -> int:
    """The number of the first run's steps in which two runs keep different characters, ignoring white space."""
    if len(decisions) < 2 or decisions[0] is None or decisions[1] is None:
        return 0
    one, two = decisions[0], decisions[1]
    if one.places == two.places and "spans" not in one.steps and "spans" not in two.steps:
        return sum((a == "k") != (b == "k") for a, b in zip(one.steps["by"], two.steps["by"], strict=True))
    marks = bytearray(len(cot))
    for mark, decision in ((1, one), (2, two)):
        for start, end in decision.kept:
            marks[start:end] = bytes(value | mark for value in marks[start:end])
    return sum(any(marks[place] in (1, 2) and not cot[place].isspace() for place in range(*step)) for step in one.places)


class Utf16:
    """Converts character offsets of a text to offsets in UTF-16 units, as JavaScript counts them."""

    def __init__(self, text: str) -> None:
        astral = not text.isascii() and max(text, default="") > "\uffff"
        self._wide = [place for place, character in enumerate(text) if character > "\uffff"] if astral else []

    def of(self, offset: int) -> int:
        """The offset of a character in UTF-16 units."""
        return offset + bisect_left(self._wide, offset)


def _choose(runs: Sequence[FinishedRun], most: int) -> tuple[set[RowKey], int]:
    """The keys of the rows to show, and the total number of rows. The choice depends on the content alone, not on its order."""
    keys = (key for key, _ in groupby(merge(*(run.keys() for run in runs))))
    first = list(islice(keys, most))
    total = len(first) + sum(1 for _ in keys)
    sizes = {key: size for run in runs for key, size, _ in run.known(first)}
    characters = 0
    for number, key in enumerate(first):
        characters += sizes[key]
        if number and characters > MOST_CHARACTERS:
            return set(first[:number]), total
    return set(first), total


def _worth(step: StepDecision) -> float:
    """A step's first-token surprisal in nats, if stored, even when another method decided; NaN otherwise."""
    value = step.surprisal if step.surprisal is not None else (step.scores or {}).get("asap")
    return nan if value is None else float(value)


def _about(run: FinishedRun, columns: _Columns) -> dict[str, Any]:
    settings, counts = run.manifest["settings"], run.manifest["counts"]
    sources = [Path(name).name if Path(name).is_absolute() else name for name in settings["sources"]]
    return {
        "name": run.folder.resolve().name,
        "path": str(run.folder),
        "settings": {**settings, "sources": sources},
        "counts": counts,
        "llm": run.manifest.get("llm"),
        "versions": run.manifest["versions"],
        "input_hash": run.manifest["input_hash"],
        **columns.counts,
        "series": columns.series,
        "worth_kept": columns.worth_kept,
        **({"grades": columns.grades} if any(columns.grades) else {}),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else round(value, 4)


def _bytes(values: "array[int] | array[float]") -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()
