"""The means of a comparison: each method at each ratio by each measure, against the full trace and against other methods.

Differences are computed per row and then averaged. Values are never scaled by the distance between no trace and full trace, which is
near zero for easy rows.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

import numpy as np

from asap.compare.measurement import Measure, Measurement
from asap.errors import UsageError
from asap.stats import holm, interval, smallest_difference, wilcoxon

NO_TRACE, FULL_TRACE = "no trace", "full trace"
CONTROL = "random"
ALPHA = 0.05
OFF_BY = 0.05
_FORM = ("last_kept", "dangling", "open_fences")


class Contrast(NamedTuple):
    """A method minus a reference at the same ratio and by the same measure, over the rows of both, in the measure's unit.

    `p` is adjusted over all cells of the reference; `smallest` is the difference that the sample could show at Holm's strictest level.
    """

    rows: int
    mean: float
    low: float
    high: float
    p: float
    smallest: float


class Aggregate(NamedTuple):
    """One method at one ratio by one measure; `no trace` and `full trace` (ratio 0 and 1) are the fixed points of the measure.

    `share` is the kept share of all rows' tokens (1 if they had none); `marked`: it is more than 5 points off the ratio; `rows_off`: the
    number of rows that are. `value` is the mean of the measure; `mean`, `low` and `high` are of its difference from the full trace.
    `against` has a key for each reference, with None if nothing can be compared. `last_kept`, `dangling` and `open_fences` are means
    over rows of the counts in `Structure`.
    """

    measure: Measure
    ratio: float
    method: str
    rows: int
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


class _Cell(NamedTuple):
    measure: Measure
    ratio: float
    method: str


_Cells = Mapping[_Cell, Mapping[str, Measurement]]


def summarise(measurements: Iterable[Measurement], *, reference_methods: Sequence[str] = ("asap", CONTROL)) -> list[Aggregate]:
    """The aggregates by measure, ratio (largest first) and mean (best first); the order of `measurements` does not matter.

    Raises UsageError if a row was judged twice in a cell, has no finite value, or has two values of a fixed point. It does not check
    that two methods measured the same rows: it compares those that both have, and `Contrast.rows` counts them.
    """
    cells = _cells(measurements)
    against = {name: _against(cells, name) for name in reference_methods}
    aggregates = [_aggregate(cell, rows, {name: of.get(cell) for name, of in against.items()}) for cell, rows in cells.items()]
    nothing = dict.fromkeys(reference_methods)
    for measure in {cell.measure for cell in cells}:
        aggregates += _fixed(measure, [row for cell, rows in cells.items() if cell.measure == measure for row in rows.values()], nothing)
    return sorted(aggregates, key=lambda one: (get_args(Measure).index(one.measure), -one.ratio, -one.mean, one.method))


def _cells(measurements: Iterable[Measurement]) -> dict[_Cell, dict[str, Measurement]]:
    cells = dict[_Cell, dict[str, Measurement]]()
    for one in measurements:
        cell = cells.setdefault(_Cell(one.measure, one.ratio, one.method), {})
        if one.id in cell:
            raise UsageError(f"row {one.id} was judged twice: method {one.method}, ratio {one.ratio:g}, {one.measure}")
        if not all(map(math.isfinite, (one.value, one.value_none, one.value_full))):
            raise UsageError(f"row {one.id} has a value that is not finite: method {one.method}, ratio {one.ratio:g}, {one.measure}")
        cell[one.id] = one
    # the bootstrap draws by position, which must not depend on the order of the input
    return {key: dict(sorted(cells[key].items())) for key in sorted(cells)}


def _against(cells: _Cells, reference: str) -> dict[_Cell, Contrast]:
    pairs = dict[_Cell, list[float]]()
    for cell, rows in cells.items():
        others = cells.get(cell._replace(method=reference), {})
        both = [(row.value, others[row.id].value) for row in rows.values() if row.id in others]
        if cell.method != reference and both:
            pairs[cell] = _differences(both)
    adjusted = holm([wilcoxon(differences) for differences in pairs.values()])
    return {
        cell: Contrast(
            len(differences),
            float(np.mean(differences)),
            *interval(differences),
            p,
            smallest_difference(differences, alpha=ALPHA / len(pairs)),
        )
        for (cell, differences), p in zip(pairs.items(), adjusted, strict=True)
    }


def _differences(pairs: Iterable[tuple[float, float]]) -> list[float]:
    # without rounding, 0.3 - 0.1 and 0.5 - 0.3 would not tie
    return [round(one - other, 9) for one, other in pairs]


def _aggregate(cell: _Cell, rows: Mapping[str, Measurement], against: Mapping[str, Contrast | None]) -> Aggregate:
    share = _share(rows.values())
    rows_off = sum(_is_off(_share([row]), cell.ratio) for row in rows.values())
    differences = _differences((row.value, row.value_full) for row in rows.values())
    value = float(np.mean([row.value for row in rows.values()]))
    last_kept, dangling, fences = (float(np.mean([getattr(row, name) for row in rows.values()])) for name in _FORM)
    estimate = float(np.mean(differences)), *interval(differences)
    return Aggregate(*cell, len(rows), share, _is_off(share, cell.ratio), rows_off, value, *estimate, against, last_kept, dangling, fences)


def _share(rows: Collection[Measurement]) -> float:
    before = sum(row.tokens_before for row in rows)
    return sum(row.tokens for row in rows) / before if before else 1.0


def _is_off(share: float, ratio: float) -> bool:
    return round(abs(share - ratio), 9) > OFF_BY


def _fixed(measure: Measure, rows: Iterable[Measurement], nothing: Mapping[str, None]) -> list[Aggregate]:
    points = dict[str, tuple[float, float]]()
    for row in rows:
        point = row.value_none, row.value_full
        if points.setdefault(row.id, point) != point:
            raise UsageError(f"row {row.id} has two values for no trace or full trace ({measure}): was there more than one judge?")
    distances = _differences(points.values())
    none, full = (float(np.mean([point[place] for point in points.values()])) for place in (0, 1))
    estimate = float(np.mean(distances)), *interval(distances)
    return [
        Aggregate(measure, 0.0, NO_TRACE, len(points), 0.0, False, 0, none, *estimate, nothing, 0.0, 0.0, 0.0),
        Aggregate(measure, 1.0, FULL_TRACE, len(points), 1.0, False, 0, full, 0.0, 0.0, 0.0, nothing, 1.0, 0.0, 0.0),
    ]
