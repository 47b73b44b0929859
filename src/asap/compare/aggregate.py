"""The means of a comparison: each method at each ratio by each measure, against the full trace and against other methods.

The rows of one problem are a cluster (`cluster.py`). What is estimated is the mean over problems: values and differences are computed for
each row, averaged within each cluster, and then over clusters, which are the units of intervals and tests. With one row on each problem
this is the mean over rows. Shares of tokens and the counts of `Structure` and `Left` are over rows. Values are never scaled by the distance
between no trace and full trace, which is near zero for easy rows. Of each measurement only its numbers are kept, in columns.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from asap.compare.measurement import Measure, Measurement
from asap.errors import UsageError
from asap.stats import ALPHA, holm, interval, smallest_difference, wilcoxon

NO_TRACE, FULL_TRACE = FIXED_POINTS = "no trace", "full trace"
CONTROL = "random"
OFF_BY = 0.05
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_FORM = ("last_kept", "dangling", "open_fences", "answer_lines", "near_copies")
_OF_FULL = ("value_none", "value_full", "answer_lines_full", "near_copies_full")
_COLUMNS = {"tokens": "i", "tokens_before": "i", "dangling": "i", "open_fences": "i"} | dict.fromkeys(
    ("value", "value_none", "value_full", "last_kept", "answer_lines", "answer_lines_full", "near_copies", "near_copies_full"), "d"
)


class Contrast(NamedTuple):
    """A method minus a reference at the same ratio and by the same measure, over the problems of the rows of both, in the measure's unit.

    `p` is adjusted over all cells of the reference; `smallest` is the difference that the sample could show at Holm's strictest level.
    """

    rows: int
    problems: int
    mean: float
    low: float
    high: float
    p: float
    smallest: float

    @property
    def is_shown(self) -> bool:
        """Whether it counts as a difference: the rank test and the mean agree."""
        return self.p < ALPHA and not self.low <= 0 <= self.high


class Aggregate(NamedTuple):
    """One method at one ratio by one measure; `no trace` and `full trace` (ratio 0 and 1) are the fixed points of the measure.

    `share` is the kept share of all rows' tokens (1 if they had none); `marked`: it is more than 5 points off the ratio; `rows_off`: the
    number of rows that are. `value` is the mean of the measure; `mean`, `low` and `high` are of its difference from the full trace.
    `against` has a key for each reference, with None if nothing can be compared. `last_kept`, `dangling` and `open_fences` are means
    over rows of the counts in `Structure`, `answer_lines` and `near_copies` of those in `Left`, over the rows that have them (None: no
    row has).
    """

    measure: Measure
    ratio: float
    method: str
    rows: int
    problems: int
    share: float
    marked: bool
    rows_off: int
    value: float
    mean: float
    low: float
    high: float
    against: Mapping[str, Contrast | None]
    last_kept: float
    dangling: float
    open_fences: float
    answer_lines: float | None
    near_copies: float | None


class _Cell(NamedTuple):
    measure: Measure
    ratio: float
    method: str


@dataclass(frozen=True)
class _Column:
    """The numbers of one cell by name, one for each of its rows, in the order of their ids.

    `places` says which of all sorted ids each row has, `clusters` which cluster it is in.
    """

    places: _Ints
    clusters: _Ints
    numbers: Mapping[str, _Floats]

    def __getitem__(self, name: str) -> _Floats:
        return self.numbers[name]


_Cells = Mapping[_Cell, _Column]


def summarise(measurements: Iterable[Measurement], *, reference_methods: Sequence[str] = ("asap", CONTROL)) -> list[Aggregate]:
    """The aggregates by measure, ratio (largest first) and mean (best first); the order of `measurements` does not matter.

    Raises UsageError if a row was judged twice in a cell, has no finite value, or has two values of a fixed point or two clusters. It does
    not check that two methods measured the same rows: it compares those that both have, and `Contrast.rows` counts them.
    """
    ids, clusters, cells = _cells(measurements)
    against = {name: _against(cells, name) for name in reference_methods}
    aggregates = [_aggregate(cell, column, {name: of.get(cell) for name, of in against.items()}) for cell, column in cells.items()]
    nothing = dict.fromkeys(reference_methods)
    for measure in {cell.measure for cell in cells}:
        aggregates += _fixed(measure, [column for cell, column in cells.items() if cell.measure == measure], ids, clusters, nothing)
    return sorted(aggregates, key=lambda one: (get_args(Measure).index(one.measure), -one.ratio, -one.mean, one.method))


def _cells(measurements: Iterable[Measurement]) -> tuple[list[str], _Ints, dict[_Cell, _Column]]:
    """All ids in their order, the number of the cluster of each, and the numbers of each cell."""
    numbers = dict[str, int]()  # ids, by the order of their arrival
    named = dict[str, tuple[str | None, str]]()
    cells: dict[_Cell, tuple[array[int], dict[str, array[float]]]] = {}
    for one in measurements:
        if not all(map(math.isfinite, (one.value, one.value_none, one.value_full))):
            raise UsageError(f"row {one.id} has a value that is not finite: method {one.method}, ratio {one.ratio:g}, {one.measure}")
        cluster = one.cluster, "" if one.cluster else one.id
        if named.setdefault(one.id, cluster) != cluster:
            raise UsageError(f"row {one.id} is in two clusters: {named[one.id][0]} and {one.cluster}")
        cell = _Cell(one.measure, one.ratio, one.method)
        if cell not in cells:
            cells[cell] = array("i"), {name: array(code) for name, code in _COLUMNS.items()}
        arrived, columns = cells[cell]
        arrived.append(numbers.setdefault(one.id, len(numbers)))
        for name, column in columns.items():
            number = getattr(one, name)
            column.append(math.nan if number is None else number)
    ids = sorted(numbers)
    places = np.empty(len(ids), dtype=np.int64)
    places[[numbers[row_id] for row_id in ids]] = np.arange(len(ids))
    # the bootstrap draws by position, which must not depend on the order of the input
    first = {cluster: number for number, cluster in enumerate(dict.fromkeys(named[row_id] for row_id in ids))}
    clusters = np.array([first[named[row_id]] for row_id in ids], dtype=np.int64)
    found = {cell: _column(cell, ids, clusters, places[np.asarray(cells[cell][0])], cells.pop(cell)[1]) for cell in sorted(cells)}
    return ids, clusters, found


def _column(cell: _Cell, ids: Sequence[str], clusters: _Ints, places: _Ints, columns: "Mapping[str, array[float]]") -> _Column:
    order = np.argsort(places, kind="stable")
    places = places[order]
    twice = np.flatnonzero(places[1:] == places[:-1])
    if len(twice):
        raise UsageError(f"row {ids[places[twice[0]]]} was judged twice: method {cell.method}, ratio {cell.ratio:g}, {cell.measure}")
    return _Column(places, clusters[places], {name: np.asarray(column)[order] for name, column in columns.items()})


def _against(cells: _Cells, reference: str) -> dict[_Cell, Contrast]:
    pairs, rows = dict[_Cell, list[float]](), dict[_Cell, int]()
    for cell, column in cells.items():
        other = cells.get(cell._replace(method=reference))
        if other is None or cell.method == reference:
            continue
        _, ours, theirs = np.intersect1d(column.places, other.places, assume_unique=True, return_indices=True)
        if len(ours):
            pairs[cell] = _differences(column["value"][ours], other["value"][theirs], column.clusters[ours])
            rows[cell] = len(ours)
    adjusted = holm([wilcoxon(differences) for differences in pairs.values()])
    return {
        cell: Contrast(
            rows[cell],
            len(differences),
            float(np.mean(differences)),
            *interval(differences),
            p,
            smallest_difference(differences, alpha=ALPHA / len(pairs)),
        )
        for (cell, differences), p in zip(pairs.items(), adjusted, strict=True)
    }


def _differences(ours: _Floats, theirs: _Floats, clusters: _Ints) -> list[float]:
    """The mean difference of each cluster."""
    # without rounding, 0.3 - 0.1 and 0.5 - 0.3 would not tie
    return [round(difference, 9) for difference in _within(ours - theirs, clusters).tolist()]


def _within(numbers: _Floats, clusters: _Ints) -> _Floats:
    """The mean of each cluster, in the order of their numbers."""
    _, owner, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(owner, numbers) / sizes, dtype=np.float64)


def _aggregate(cell: _Cell, column: _Column, against: Mapping[str, Contrast | None]) -> Aggregate:
    after, before = column["tokens"], column["tokens_before"]
    share = _share(int(after.sum()), int(before.sum()))
    rows_off = sum(_is_off(_share(*row), cell.ratio) for row in zip(after.tolist(), before.tolist(), strict=True))
    differences = _differences(column["value"], column["value_full"], column.clusters)
    form = {name: _mean(column[name]) for name in _FORM}
    estimate = float(np.mean(differences)), *interval(differences)
    value, sizes = float(np.mean(_within(column["value"], column.clusters))), (len(column.places), len(differences))
    return Aggregate(*cell, *sizes, share, _is_off(share, cell.ratio), rows_off, value, *estimate, against, **form)


def _mean(numbers: _Floats) -> Any:
    """The mean of the numbers that are known; None without any."""
    known = numbers[~np.isnan(numbers)]
    return float(np.mean(known)) if len(known) else None


def _share(after: float, before: float) -> float:
    return after / before if before else 1.0


def _is_off(share: float, ratio: float) -> bool:
    return round(abs(share - ratio), 9) > OFF_BY


def _fixed(
    measure: Measure, columns: Iterable[_Column], ids: Sequence[str], clusters: _Ints, nothing: Mapping[str, None]
) -> list[Aggregate]:
    values = np.full((4, len(ids)), np.nan)  # of no trace and of the full one, and what the full one holds of the answer, by row
    for column in columns:
        points, known = np.stack([column[name] for name in _OF_FULL]), values[:, column.places]
        wrong = np.flatnonzero(~np.isnan(known[0]) & (known[:2] != points[:2]).any(axis=0))
        if len(wrong):
            row_id = ids[column.places[wrong[0]]]
            raise UsageError(f"row {row_id} has two values for no trace or full trace ({measure}): was there more than one judge?")
        values[:, column.places] = points
    met = ~np.isnan(values[0])
    none, full, lines, near = values[:, met]
    distances = _differences(none, full, clusters[met])
    estimate = float(np.mean(distances)), *interval(distances)
    means = [float(np.mean(_within(of, clusters[met]))) for of in (none, full)]
    sizes = len(none), len(distances)
    in_none, in_full = ((_mean(times * lines), _mean(times * near)) for times in (0, 1))
    return [
        Aggregate(measure, 0.0, NO_TRACE, *sizes, 0.0, False, 0, means[0], *estimate, nothing, 0.0, 0.0, 0.0, *in_none),
        Aggregate(measure, 1.0, FULL_TRACE, *sizes, 1.0, False, 0, means[1], 0.0, 0.0, 0.0, nothing, 1.0, 0.0, 0.0, *in_full),
    ]
