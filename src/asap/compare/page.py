"""The page of a comparison: each method's difference as a drawing, its verdict beside it, and the whole table below.

What is drawn is the difference from random removal, or from the full trace where random is not among the methods. It needs no script.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from asap.compare.aggregate import CONTROL, FIXED_POINTS, FULL_TRACE, NO_TRACE, Aggregate, Contrast
from asap.compare.measurement import Measure
from asap.compare.table import INTRO, NO_PROOF, against_words, has_interval, note, p_value, percent, tables, title, with_interval
from asap.page.html import resource
from asap.page.looks import Look, is_stroked, looks_of, mark_path
from asap.revealed import revealed
from asap.tables import number_of

_MOST_NAMED = 4
_BLANKED = " What the trace has copied from that answer is blanked first, in every trace alike."
_SUPPORT = "How likely a model, the judge, finds each row's own answer when it has read the pruned trace instead of the whole one."
_PASSING = "How often an answer that a model, the judge, writes after the pruned trace passes the row's tests or states its gold answer."
_PLAIN: Mapping[Measure, str] = {
    "support without copies": _SUPPORT + _BLANKED,
    "support": _SUPPORT,
    "passing answers without copies": _PASSING + _BLANKED,
    "passing answers": _PASSING,
}


class MethodRow(NamedTuple):
    """A method at a ratio: what the page says of it, and its place in the drawing in percent of the width (None: nothing to draw)."""

    method: str
    look: Look
    kept: str
    said: str
    p: str
    problems: str
    verdict: str
    shown: bool
    at: float | None
    bar: tuple[float, float] | None


class DrawnAxis(NamedTuple):
    """The values at the ends of the drawing."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Where a value lies, in percent of the width."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values between the ends, with their places."""
        step = 10 ** math.floor(math.log10(self.high - self.low))
        step *= next(times for times in (2.0, 1.0, 0.5, 0.2, 0.1) if (self.high - self.low) / (step * times) >= 2)
        numbers = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.place(number * step), f"{number * step:+.{digits}f}" if number else "0") for number in numbers]


def html(aggregates: Sequence[Aggregate], caption: str) -> str:
    """One self-contained page. The numbers of its full tables are those of `markdown`."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.globals.update(mark_path=mark_path, is_stroked=is_stroked, LOOK=looks_of(one.method for one in aggregates))
    style = resource("asap.page", "base.css") + resource("asap.compare", "style.css")
    return environment.from_string(resource("asap.compare", "page.html")).render(
        style=style, caption=caption, no_proof=NO_PROOF, note=note(aggregates), sections=list(_sections(aggregates))
    )


def _sections(aggregates: Sequence[Aggregate]) -> Iterable[dict[str, Any]]:
    """What the page says of each measure."""
    looks = looks_of(one.method for one in aggregates)
    whole = dict(tables(aggregates))
    for measure, of_measure in groupby(aggregates, key=lambda one: one.measure):
        found = list(of_measure)
        control = any(one.method == CONTROL for one in found) and CONTROL in found[0].against
        methods = [one for one in found if one.method not in FIXED_POINTS]
        scale = _scale([_drawn(one, control) for one in methods])
        groups = [
            (percent(ratio), [_row(one, looks[one.method], control, scale) for one in of_ratio])
            for ratio, of_ratio in groupby(methods, key=lambda one: one.ratio)
        ]
        yield {
            "title": title(measure),
            "intro": INTRO[measure],
            "headline": _headline(found, control),
            "plain": _PLAIN[measure],
            "fixed": _fixed(found, measure),
            "against": CONTROL if control else FULL_TRACE,
            "control": control,
            "scale": scale,
            "reading": _reading(found, control),
            "intervals": any(has_interval(one.problems) for one in found),
            "groups": groups,
            "table": whole[measure].html(),
        }


def _drawn(one: Aggregate, control: bool) -> Contrast | Aggregate | None:
    """The difference that is drawn."""
    return one.against[CONTROL] if control else one


def _scale(drawn: Iterable[Contrast | Aggregate | None]) -> DrawnAxis:
    """The ends around zero and all that is drawn, with a margin."""
    values = [0.0, *(value for one in drawn if one for value in (one.mean, *(_ends(one) or ())))]
    low, high = min(values), max(values)
    margin = max(0.001, 0.06 * (high - low))
    return DrawnAxis(low - margin, high + margin)


def _ends(one: Contrast | Aggregate) -> tuple[float, float] | None:
    return (one.low, one.high) if has_interval(one.problems) else None


def _row(one: Aggregate, look: Look, control: bool, scale: DrawnAxis) -> MethodRow:
    drawn = _drawn(one, control)
    against = one.against[CONTROL] if control else None
    ends = _ends(drawn) if drawn else None
    said = (
        with_interval(drawn.mean, drawn.low, drawn.high, drawn.problems) if drawn else "0 by definition" if one.method == CONTROL else "-"
    )
    return MethodRow(
        one.method,
        look,
        percent(one.share) + (" *" if one.marked else ""),
        said,
        p_value(against.p) if against else "",
        str(drawn.problems if drawn else one.problems),
        "the control" if control and one.method == CONTROL else against_words(against) if control else "",
        bool(against and against.is_shown),
        scale.place(drawn.mean) if drawn else scale.place(0) if control and one.method == CONTROL else None,
        (scale.place(ends[0]), scale.place(ends[1])) if ends else None,
    )


def _headline(aggregates: Sequence[Aggregate], control: bool) -> str:
    """In one sentence: which methods are shown to differ from random removal."""
    if not control:
        return f"Without {CONTROL} among the methods, nothing says which of them is better than chance."
    cells = [(one, contrast) for one in aggregates if (contrast := one.against[CONTROL]) is not None]
    shown = [(one, contrast) for one, contrast in cells if contrast.is_shown]
    if not shown:
        return f"No method is shown to differ from random removal, in {number_of(len(cells), 'comparison')}."
    better, worse = ([one for one, contrast in shown if (contrast.mean > 0) is sign] for sign in (True, False))
    said = [f"{word} than random removal: {_named(found)}." for word, found in (("Better", better), ("Worse", worse)) if found]
    return f"{len(shown)} of {len(cells)} comparisons show{'s' * (len(shown) == 1)} a difference. {' '.join(said)}"


def _named(aggregates: Sequence[Aggregate]) -> str:
    """Methods with the ratios of theirs, the first few of them: `asap at 75, 50 and 25 %, keep-head at 25 % and 2 others`."""
    ratios = dict[str, list[str]]()
    for one in aggregates:
        ratios.setdefault(one.method, []).append(f"{100 * one.ratio:g}")
    said = [f"{method} at {' and '.join(filter(None, (', '.join(at[:-1]), at[-1])))} %" for method, at in ratios.items()]
    rest = len(said) - _MOST_NAMED
    return ", ".join(said[:_MOST_NAMED]) + (f" and {rest} other{'s' * (rest > 1)}" if rest > 0 else "")


def _reading(aggregates: Sequence[Aggregate], control: bool) -> str:
    """How the drawing is read."""
    line = ", the line its 95 % interval" if any(has_interval(one.problems) for one in aggregates) else ""
    said = (
        f"A mark is the mean difference of a method from {CONTROL if control else FULL_TRACE}{line}; to the right of the dashes is better."
    )
    marked = " *: the share of tokens kept is more than 5 points off what was asked, so this method had other lengths to work with."
    return said + marked * any(one.marked for one in aggregates)


def _fixed(aggregates: Sequence[Aggregate], measure: Measure) -> str:
    """In one sentence: the rows, and the measure of the whole trace and of none."""
    of: Mapping[str, Aggregate] = {one.method: one for one in aggregates if one.method in FIXED_POINTS}
    none, full = of[NO_TRACE], of[FULL_TRACE]
    unit = " nats per token" if measure.startswith("support") else ""
    worth = with_interval(-none.mean, -none.high, -none.low, none.problems)
    sizes = f"{full.rows:,} rows on {full.problems:,} problems"
    return f"{sizes}. Whole trace {full.value:.3f}, no trace {none.value:.3f}: the whole trace is worth {worth}{unit}."


def _shown(value: Any) -> Any:
    """A value of the template with its hidden characters in sight; markup stays as it is."""
    return revealed(value) if type(value) is str else value
