"""The data of the review page: an index of all traces, loaded at once, and their texts in pieces, inflated on demand.

For each trace, the index holds the exact tokens left after each removal; from these the page can apply any budget, by the rule of
`removals` in `asap.prune.fine.removal`. A trace cut inside its steps has no such series and is shown as the run left it.
"""

import sys
from array import array
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from asap.page.embedded import MOST_CHARACTERS, embedded_json
from asap.review.folder import FinishedRun, RowKey
from asap.review.texts import size_of, text_of_trace, title_of
from asap.review.traces import TRACE_COUNTS, ReviewedTrace, reviewed, steps_apart
from asap.sample import Sample

MOST_TRACES = 10_000
_PIECE_CHARACTERS = 200_000


@dataclass(slots=True)
class _Columns:
    """One run's part of the index."""

    counts: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in TRACE_COUNTS})
    series: list[int] = field(default_factory=list)
    worth_kept: list[float] = field(default_factory=list)
    grades: list[str | None] = field(default_factory=list)
    ruled: list[bool] = field(default_factory=list)
    left: "array[int]" = field(default_factory=lambda: array("I"))
    worth: "array[float]" = field(default_factory=lambda: array("f"))
    order: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, decided: ReviewedTrace | None) -> None:
        for name, value in zip(TRACE_COUNTS, decided.counts if decided else (-1,) * len(TRACE_COUNTS), strict=True):
            self.counts[name].append(value)
        self.grades.append(decided.grade if decided else None)
        self.ruled.append(decided is not None and "ruled" in decided.steps)
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
        **({"ruled": columns.ruled} if any(columns.ruled) else {}),
    }


def _bytes(values: "array[int] | array[float]") -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()
