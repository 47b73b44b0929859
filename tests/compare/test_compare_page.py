"""The page of a comparison in a real browser: verdicts in view, hostile names, keys, both themes, a phone, and a lot of methods."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from asap.compare.aggregate import summarise
from asap.compare.measurement import Measurement
from asap.compare.page import html
from asap.page.looks import LOOKS
from browsing import CONTRAST

Visit = Callable[..., Any]
METHODS = {"asap": -0.3, "keep-head": -0.9, "spirit": -0.41, "random": -0.4, "keep-tail": -0.4}
HOSTILE = "<img src=x onerror=alert(1)>\"'{{ 7 * 7 }}</style><script>alert(2)</script>\u202ecba"
LONG = "a_method_of_my_own_whose_name_is_eighty_characters_long_as_somebody_will_call_it"
MOST_ELEMENTS, MOST_BYTES = 45, 1_800  # for a method at a ratio: its row, and its line among all columns


def measured(values: Mapping[str, float], ratios: Sequence[float] = (0.5, 0.25), rows: int = 12) -> list[Measurement]:
    return [
        Measurement(f"r{row}", method, ratio, "support", int(100 * ratio), 100, value + row % 3 / 100, -1.0, -0.3)
        for row in range(rows)
        for method, value in values.items()
        for ratio in ratios
    ]


@pytest.fixture
def opened(visit: Visit, tmp_path: Path) -> Callable[..., Any]:
    def write_and_open(values: Mapping[str, float], *, caption: str = "12 rows on 12 problems.", **view: Any) -> Any:
        (tmp_path / "table.html").write_text(html(summarise(measured(values)), caption), "utf-8")
        return visit(tmp_path / "table.html", drawn="main", **view)

    return write_and_open


def test_the_verdict_of_each_method_stands_beside_its_drawing(opened: Callable[..., Any]) -> None:
    page = opened(METHODS)
    rows = page.locator(".methods tbody tr:not(.of)")
    found = {(row.split("\t")[0].strip(), row.split("\t")[-1].strip()) for row in rows.all_inner_texts()}
    assert found == {
        ("asap", "better"),
        ("keep-head", "worse"),
        ("spirit", "worse"),
        ("random", "the control"),
        ("keep-tail", "no difference shown"),
    }
    centre = "row => { const box = row.querySelector('.strip .mark').getBoundingClientRect(); return box.left + box.width / 2; }"
    places = dict(
        zip(page.locator(".methods tbody th span").all_inner_texts(), rows.evaluate_all(f"rows => rows.map({centre})"), strict=True)
    )
    assert places["keep-head"] < places["spirit"] < places["random"] < places["asap"]
    weights = page.locator("td.verdict").evaluate_all("all => all.map(one => [one.textContent, getComputedStyle(one).fontWeight])")
    assert {text for text, weight in weights if weight == "650"} == {"better", "worse"}
    assert page.locator(".big").inner_text() == (
        "6 of 8 comparisons show a difference. Better than random removal: asap at 50 and 25 %. "
        "Worse than random removal: spirit at 50 and 25 %, keep-head at 50 and 25 %."
    )
    zero = page.locator(".zero").first.bounding_box()
    assert abs(places["random"] - zero["x"]) < 1.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_have_contrast(opened: Callable[..., Any], scheme: str) -> None:
    page = opened(METHODS, scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")
    queries = ["h1", "h2", ".note", ".big", ".plain", ".fixed", ".caption", "thead .drawn span", ".methods tbody th span", "td.kept"]
    queries += ["td.said", "td.p", "td.verdict", ".shown .verdict", "summary"]
    assert {name: round(ratio, 2) for name, ratio in page.evaluate(CONTRAST, queries).items() if ratio < 4.5} == {}
    inks = page.locator(".methods tbody th").evaluate_all(
        "all => Object.fromEntries(all.filter(th => th.title).map(th => [th.title, getComputedStyle(th).color]))"
    )
    wanted = {name: LOOKS[name].dark if scheme == "dark" else LOOKS[name].light for name in METHODS}
    assert inks == {name: f"rgb({', '.join(str(int(ink[at : at + 2], 16)) for at in (1, 3, 5))})" for name, ink in wanted.items()}


@pytest.mark.parametrize("width", [390, 768, 1000, 1280])
def test_verdicts_need_no_sideways_scroll(opened: Callable[..., Any], width: int) -> None:
    page = opened({**METHODS, LONG: -0.5, "first-token-entropy": -0.39}, width=width, height=800)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.locator("td.verdict").evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())"):
        assert 0 <= box["left"] <= box["right"] <= width
    assert page.locator(f'th[title="{LONG}"]').count() == 2
    cut = page.locator("tbody th[title]").evaluate_all("all => all.filter(th => th.scrollWidth > th.clientWidth).map(th => th.title)")
    assert {*cut} <= {LONG}
    page.locator("details").first.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # the whole table scrolls in its own box


def test_everything_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened(METHODS, height=400)
    whole = page.locator(".whole table")
    assert not whole.is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "All columns"
    page.keyboard.press("Enter")
    whole.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "All columns of Support"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("details").last.locator(".caption").is_visible()
    links = "[...document.querySelectorAll('a')].filter(a => !document.getElementById(a.hash.slice(1)))"
    assert page.evaluate(f"{links}.length") == 0


def test_no_name_does_anything(opened: Callable[..., Any]) -> None:
    page = opened({**METHODS, HOSTILE: -0.5}, caption=f"pruned by {HOSTILE}", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("img, script").count() == 0
    shown = HOSTILE.replace("\u202e", "\\u202e")
    assert page.locator(".methods tbody th span", has_text="onerror").first.text_content() == shown
    assert page.locator(".note").text_content() == f"pruned by {shown}"
    assert "\u202e" not in page.content()


def test_a_hundred_methods_are_still_a_page() -> None:
    """Elements and bytes grow with the cells alone."""
    sizes = {}
    for count in (20, 120):
        values = {f"{LONG}-{number}": -0.4 - number / 1000 for number in range(count)} | {"random": -0.4}
        text = html(summarise(measured(values, rows=10)), "caption")
        sizes[count] = (len(re.findall(r"<\w", text)), len(text))
    elements, size = ((large - small) / (2 * 100) for small, large in zip(*sizes.values(), strict=True))
    assert elements < MOST_ELEMENTS
    assert size < MOST_BYTES
