"""The Pareto plot of a comparison: the support that each method keeps against the tokens that it keeps."""

import io
import math
import textwrap
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from asap.compare.aggregate import CONTROL, FIXED_POINTS, FULL_TRACE, Aggregate
from asap.compare.table import has_interval, title
from asap.errors import InputError, MissingExtra, UsageError
from asap.install import install_command
from asap.page.looks import Look, looks_of

_FORMATS = {".png": {"Software": None}, ".svg": {"Date": None}}  # leaves out metadata that changes with the day or the version
_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "up": "^", "down": "v", "cross": "x", "plus": "+"}
_PAPER, _SOFT, _LINE = "#fcfbf8", "#6b655b", "#e4dfd5"  # of the pages
_WIDTH, _LEGEND_PT = 7.2, 8  # inches, points
_FILLED = 0.8  # of the distance between two ratios, by the methods beside each other


def pareto(aggregates: Sequence[Aggregate], path: Path, caption: str) -> None:
    """Write the plot of `aggregates` (from `summarise`) as PNG or SVG, depending on the suffix of `path`, with a panel for each measure.

    The same aggregates give the same bytes with the same version of matplotlib. Bars are the 95 % intervals, where one is printed; the
    methods of a ratio stand beside each other, so that no bars overlap. The bars do not show differences between methods, because they
    are not paired. Raises MissingExtra without matplotlib, InputError if `path` cannot be written.
    """
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"{path.name}: a plot is written as .png or .svg")
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(f"the plot needs matplotlib; install it with: {install_command('compare')}") from error
    suffix, bytes_ = path.suffix.lower(), io.BytesIO()
    # a separate Figure, and settings that end with the block, leave the caller's pyplot and rcParams alone
    with matplotlib.style.context(["default", {"font.size": 9, "svg.hashsalt": "asap", "axes.unicode_minus": False}]):
        figure = Figure(figsize=(_WIDTH, 4.8), layout="constrained", facecolor=_PAPER)
        _draw(figure, aggregates, caption)
        figure.savefig(bytes_, format=suffix[1:], dpi=200, metadata=_FORMATS[suffix])
    try:
        path.write_bytes(bytes_.getvalue())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def _draw(figure: Any, aggregates: Sequence[Aggregate], caption: str) -> None:
    figure.suptitle("\n".join(textwrap.wrap(_plain(caption), 120)), fontsize=7.5, x=0.01, ha="left")
    measures = [(measure, list(of_measure)) for measure, of_measure in groupby(aggregates, key=lambda one: one.measure)]
    if not measures:
        figure.text(0.5, 0.5, "no rows", ha="center")
        return
    methods = sorted(
        {one.method for one in aggregates if one.method not in FIXED_POINTS}, key=lambda name: (name == CONTROL, name != "asap", name)
    )
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for panel, (measure, of_measure) in zip(panels, measures, strict=True):
        _panel(panel, of_measure, methods)
        panel.set_title(title(measure), fontsize=10)
        panel.set_ylabel("minus that of the full trace" + (" (nats per token)" if measure.startswith("support") else ""))
    handles, labels = panels[0].get_legend_handles_labels()
    look = {"frameon": False, "fontsize": _LEGEND_PT, "handlelength": 3.2}
    figure.legend(handles, labels, loc="outside lower center", ncols=min(_columns(labels), len(labels)), **look)


def _columns(labels: Sequence[str]) -> int:
    """How many columns of the legend fit side by side; at most four."""
    from matplotlib.textpath import TextPath

    widest = max(TextPath((0, 0), label, size=_LEGEND_PT).get_extents().width for label in labels)
    return max(1, min(4, int(72 * _WIDTH / (widest + 6.5 * _LEGEND_PT))))  # 6.5: the mark, and the gaps beside it


def _panel(panel: Any, aggregates: Sequence[Aggregate], methods: Sequence[str]) -> None:
    for one in aggregates:
        if one.method in FIXED_POINTS:
            panel.axhline(one.mean, color=_SOFT, linewidth=0.8, linestyle="-" if one.method == FULL_TRACE else ":")
            panel.annotate(
                one.method, (1, one.mean), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", fontsize=8
            )
    ratios, looks = sorted({100 * one.ratio for one in aggregates if one.method not in FIXED_POINTS}), looks_of(methods)
    room = _FILLED * min((high - low for low, high in pairwise(ratios)), default=25.0)
    for number, method in enumerate(methods):
        points = sorted((one for one in aggregates if one.method == method), key=lambda one: one.ratio)
        aside = room * ((number + 0.5) / len(methods) - 0.5)
        panel.errorbar(
            [100 * one.ratio + aside for one in points],
            [one.mean for one in points],
            yerr=[[_bar(one, one.mean - one.low) for one in points], [_bar(one, one.high - one.mean) for one in points]],
            label=_plain(method),
            **_drawn(looks[method], is_control=method == CONTROL),
        )
    panel.grid(axis="y", color=_LINE, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_facecolor(_PAPER)
    panel.tick_params(colors=_SOFT)
    panel.spines[["left", "bottom"]].set_color(_SOFT)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlabel("tokens asked for (%), methods side by side")
    panel.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    panel.set_xlim(ratios[0] - room, ratios[-1] + room)
    panel.set_ylim(*_limits([number for one in aggregates for number in (one.low, one.mean, one.high)]))


def _limits(numbers: Sequence[float]) -> tuple[float, float]:
    """The limits around all finite numbers, with a margin of a tenth of their range and at least 0.001."""
    finite = [number for number in numbers if math.isfinite(number)]
    low, high = min(finite), max(finite)
    margin = max(0.001, 0.1 * (high - low))
    return low - margin, high + margin


def _drawn(look: Look, *, is_control: bool) -> dict[str, Any]:
    """How the points of a method are drawn; those of the control are joined, so that the others can be read against it."""
    line = {"linestyle": "--", "linewidth": 1.0} if is_control else {"linestyle": "none"}
    return {"color": look.light, "marker": _MARKERS[look.mark], "elinewidth": 0.9, "markersize": 4.0, "zorder": 3, **line}


def _bar(one: Aggregate, length: float) -> float:
    return max(0.0, length) if has_interval(one.problems) and math.isfinite(length) else 0.0


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # matplotlib would typeset the text between two of them as mathematics
