"""Names that mean something to HTML, Markdown, LaTeX or a spreadsheet mean nothing in a report, and what is not compared is said."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asap.cli import run
from asap.report.layout import points

Scored = Callable[..., Path]
NAMES = (
    "=HYPERLINK(1)",
    "</script><script>window.acted=1</script><img src=x onerror=window.acted=1>",
    "[base](javascript:alert(1)) ![p](http://127.0.0.1/p)",
    "*a & b_c % # $ ^ ~ \\ {x}|y--z",
)


@pytest.fixture
def words(scored: Scored) -> list[str]:
    return [f"{name}={scored(f'named{number}', range(number, 9))}" for number, name in enumerate(NAMES[1:])]


def test_names_mean_nothing_in_any_file(visit: Callable[..., Any], words: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["report", *words, "--title", NAMES[1], "--out", str(out)]) == 0
    page = visit(out / "report.html")
    assert page.evaluate("window.acted") is None
    assert NAMES[1] in page.locator(".results").inner_text()
    told, latex = (out / "report.md").read_text(), (out / "report.tex").read_text()
    assert "<script" not in told.replace(r"\<", "")
    assert "](" not in told.replace(r"\](", "")
    assert "\n{}[base](javascript:alert(1)) ![p](http://127.0.0.1/p) & " in latex
    assert "\n{}*a \\& b\\_c \\% \\# \\$ \\textasciicircum{} \\textasciitilde{} \\textbackslash{} \\{x\\}\\textbar{}y-{}-z & " in latex
    with (out / "report.csv").open(newline="") as file:
        assert {row["arm"] for row in csv.DictReader(file)} == set(NAMES[1:])


def test_a_name_may_hold_an_equals_sign(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = words[0].rpartition("=")[2]
    assert run(["report", f"ratio=0.5={folder}", "--out", str(tmp_path / "out")]) == 0
    assert "| ratio=0.5 |" in (tmp_path / "out" / "report.md").read_text()
    capsys.readouterr()
    assert run(["report", "ratio=0.5=nowhere"]) == 2
    assert "nowhere is not there" in capsys.readouterr().err


def test_a_benchmark_that_the_reference_lacks_is_said(scored: Scored, capsys: pytest.CaptureFixture[str]) -> None:
    base, other = scored("named0", range(9)), scored("lacking", [0], problems=3)
    assert run(["report", f"base={base}", f"lacking={other}"]) == 0
    assert "nothing is compared on maths:sums-3.jsonl, since base, the reference, has no run of it" in capsys.readouterr().out


def test_no_difference_is_not_minus_zero() -> None:
    assert [points(value) for value in (-0.0001, 0.0, -0.0006, float("-inf"))] == ["+0.0", "+0.0", "-0.1", "-inf"]
