"""The Pareto plot: what is drawn, the same bytes every time, and nothing of the caller's matplotlib touched."""

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asap.compare.aggregate import Aggregate, summarise
from asap.compare.measurement import Measure, Measurement
from asap.compare.plot import _draw, pareto
from asap.errors import InputError, MissingExtra, UsageError
from asap.install import install_command
from asap.page.looks import LOOKS, looks_in_order, looks_of
from asap.prune.methods import METHODS as METHOD_NAMES

MEASURES: dict[Measure, float] = {"support without copies": -0.4, "support": -0.3}
METHODS = ["random", "keep-tail", "asap", "a$b$"]
CAPTION = "6 rows; pruned by $A$, judged by B " * 8


def lines(rows: int = 12, methods: Sequence[str] = METHODS) -> list[Aggregate]:
    return summarise(
        Measurement(
            f"r{row}", method, ratio, measure, int(100 * ratio) - row, 100, value - (1 - ratio) / 5 - number / 50 - row % 3 / 40, -0.6, -0.3
        )
        for row in range(rows)
        for number, method in enumerate(methods)
        for ratio in (0.75, 0.5)
        for measure, value in MEASURES.items()
    )


@pytest.fixture(scope="module")
def figure_class() -> Any:
    reason = "matplotlib is not installed: the plot was NOT checked"
    return pytest.importorskip("matplotlib.figure", reason=reason).Figure


@pytest.fixture
def drawn(figure_class: Any) -> Any:
    figure = figure_class(layout="constrained")
    _draw(figure, lines(), CAPTION)
    return figure


def test_each_measure_has_a_panel_with_all_methods_and_both_fixed_points(drawn: Any) -> None:
    assert [panel.get_title() for panel in drawn.axes] == [measure.capitalize() for measure in MEASURES]
    [legend] = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == ["asap", r"a\$b\$", "keep-tail", "random"]
    for panel in drawn.axes:
        assert [text.get_text() for text in panel.texts] == ["full trace", "no trace"]
        assert len(panel.containers) == len(METHODS)


@pytest.mark.parametrize("longest", [6, 34, 60])
def test_the_legend_stands_inside_the_figure_however_long_the_names_are(figure_class: Any, longest: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = figure_class(figsize=(7.2, 4.8), layout="constrained")
    _draw(figure, lines(methods=[*METHODS, *(f"{number}".ljust(longest, "m") for number in range(5))]), CAPTION)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    [legend] = figure.legends
    names = [text.get_window_extent(canvas.get_renderer()) for text in legend.get_texts()]
    assert all(name.x0 > 0 and name.x1 < figure.bbox.width for name in names)


def test_points_are_differences_from_the_full_trace_at_the_ratio_and_no_bars_overlap(drawn: Any) -> None:
    found: dict[str, list[tuple[float, float]]] = {line.method: [] for line in lines()}
    for line in sorted(lines(), key=lambda line: line.ratio):
        if line.measure == "support without copies":
            found[line.method].append((100 * line.ratio, line.mean))
    places = list[float]()
    for container, method in zip(drawn.axes[0].containers, ["asap", "a$b$", "keep-tail", "random"], strict=True):
        points = container.lines[0].get_xydata()
        assert points[:, 1] == pytest.approx(np.array(found[method])[:, 1])
        assert np.abs(points[:, 0] - np.array(found[method])[:, 0]).max() < 12.5  # nearer to its own ratio than to the next
        places += points[:, 0].tolist()
        low, high = drawn.axes[0].get_ylim()
        assert all(low < mean < high for _, mean in found[method])
    assert np.diff(sorted(places)).min() > 4


def test_a_method_looks_the_same_whatever_is_beside_it_and_no_two_look_alike(drawn: Any, figure_class: Any) -> None:
    looks = [(line.get_color(), line.get_marker()) for line in (one.lines[0] for one in drawn.axes[0].containers)]
    assert len(set(looks)) == len(METHODS)
    assert (drawn.axes[0].containers[-1].lines[0].get_linestyle(), looks[-1]) == ("--", (LOOKS["random"].light, "x"))
    alone = figure_class()
    _draw(alone, [line for line in lines() if line.method in ("keep-tail", "full trace", "no trace")], CAPTION)
    [line] = [one.lines[0] for one in alone.axes[0].containers]
    assert (line.get_color(), line.get_marker()) == looks[2] == (LOOKS["keep-tail"].light, "^")


def test_no_two_methods_share_their_looks() -> None:
    assert len({(look.light, look.mark) for look in LOOKS.values()}) == len(LOOKS)
    assert {*METHOD_NAMES, "asap-fine"} - {*LOOKS} == set()
    assert len({*looks_of([*(f"own:{number}" for number in range(12)), *LOOKS]).values()}) == len(LOOKS) + 12


def test_a_second_arm_of_a_method_has_its_colour_and_another_mark() -> None:
    looks = looks_in_order(["asap", "mine", "asap", "asap", "spirit"])
    assert [look.light for look in looks if look.light == LOOKS["asap"].light] == [LOOKS["asap"].light] * 3
    assert len({(look.light, look.mark) for look in looks}) == 5
    assert (looks[0], looks[4]) == (LOOKS["asap"], LOOKS["spirit"])


@pytest.mark.parametrize(("ground", "scheme"), [("#fcfbf8", "light"), ("#191816", "dark")])
def test_every_mark_stands_out_from_its_page(ground: str, scheme: str) -> None:
    """WCAG 1.4.11: three to one for what is drawn."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for name, look in LOOKS.items():
        one, other = sorted((light(getattr(look, scheme)), light(ground)))
        assert (other + 0.05) / (one + 0.05) >= 3, name


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".SVG", b"<?xml")])
@pytest.mark.usefixtures("figure_class")
def test_the_suffix_says_the_format_and_the_bytes_are_the_same_every_time(suffix: str, start: bytes, tmp_path: Path) -> None:
    for name in ("one", "two"):
        pareto(lines(), tmp_path / f"{name}{suffix}", CAPTION)
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert first == second
    assert first.startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one{suffix}", f"two{suffix}"]


@pytest.mark.usefixtures("figure_class")
def test_an_svg_is_xml_without_a_date(tmp_path: Path) -> None:
    pareto(lines(), tmp_path / "plot.svg", CAPTION)
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert ET.fromstring(text).tag.endswith("svg")
    assert "<dc:date>" not in text


@pytest.mark.usefixtures("figure_class")
def test_the_callers_settings_change_nothing_and_are_kept(tmp_path: Path) -> None:
    import matplotlib

    pareto(lines(), tmp_path / "one.svg", CAPTION)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        pareto(lines(), tmp_path / "two.svg", CAPTION)
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.usefixtures("figure_class")
def test_few_rows_and_none_can_be_drawn(rows: int, tmp_path: Path) -> None:
    pareto(lines(rows), tmp_path / "plot.png", "")
    assert (tmp_path / "plot.png").stat().st_size > 1000


@pytest.mark.usefixtures("figure_class")
def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        pareto(lines(1), tmp_path / "nowhere" / "plot.png", "")


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"plot\.pdf: a plot is written as \.png or \.svg"):
        pareto([], tmp_path / "plot.pdf", "")


def test_without_matplotlib_the_install_line_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=re.escape(install_command("compare"))):
        pareto([], tmp_path / "plot.png", "")
    assert list(tmp_path.iterdir()) == []
