"""The page of a report in a real browser: its figures, its keys, hostile generations, both themes, and a phone."""

import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from asap.cli import run
from asap.page.looks import LOOKS, mark_path
from run_fixtures import prune, row, write_rows

Scored = Callable[..., Path]
Visit = Callable[..., Any]
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`${alert(3)}</textarea></script><!--"
    "<think>\n\u202ereversed\u202c\n</think>\n\njavascript:alert(4) \\boxed{<svg onload=alert(5)>}"
)


def page_of(out: Path, *words: object) -> Path:
    assert run(["report", *map(str, words), "--out", str(out)]) == 0
    return out / "report.html"


def settle(page: Any) -> None:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


@pytest.fixture
def arms(scored: Scored) -> list[str]:
    hostile, twice = scored("hostile", range(3, 12), {4: HOSTILE}), scored("twice", [1, 2], samples=2)
    return [f"base={scored('base', range(6))}", f"asap={hostile}", f"two={twice}"]


def test_the_page_says_what_the_report_says(visit: Visit, arms: list[str], tmp_path: Path) -> None:
    file = page_of(tmp_path / "out", *arms)
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    page = visit(file, height=4000)
    settle(page)
    told = page.locator(".verdict .told").all_inner_texts()
    assert len(told) == len(made["differences"])
    for text, one in zip(told, made["differences"], strict=True):
        assert f"{100 * one['passed']['difference']:+.1f}".replace("-", "−") in text
        assert f"p {one['passed']['p_holm']:.2f}" in text or f"p {one['passed']['p_holm']:.3f}" in text
    cells = page.locator(".results td:nth-child(2)").all_inner_texts()
    assert cells == [f"{100 * one['passed']:.2f}" for one in made["results"]]
    assert page.locator(".label").inner_text() == "Figures of a model whose size is not known"
    assert page.locator(".plot").count() >= 1
    assert page.locator(".matrix .item").count() == 12


def test_a_generation_cannot_act(visit: Visit, arms: list[str], tmp_path: Path) -> None:
    page = visit(page_of(tmp_path / "out", *arms, "--title", HOSTILE), "#benchmark=maths%3Asums.jsonl&problem=sum%2F4")
    page.locator('[data-side="b"] .part').first.wait_for()
    shown = page.locator('[data-side="b"]').inner_text()
    for text in ("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "202E", "\\boxed{<svg onload=alert(5)>}"):
        assert text in shown
    assert page.evaluate("document.querySelectorAll('script:not([type])').length") == 1
    assert page.locator("img").count() == 0


def asked_otherwise(folder: Path, name: str, questions: dict[int, str]) -> Path:
    """Score answers whose rows say what was asked, as those of asap evaluate do."""
    rows = [{"task_id": f"sum/{n}", "generation": f"\\boxed{{{2 * n}}}", "asked": asked} for n, asked in questions.items()]
    (folder / f"{name}-asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [
        "score",
        str(folder / f"{name}-asked.jsonl"),
        "--benchmark",
        f"maths:{folder / 'sums.jsonl'}",
        "--out",
        str(folder / f"{name}-asked"),
    ]
    assert run(words) == 0
    return folder / f"{name}-asked"


def test_a_problem_shows_what_was_asked(visit: Visit, scored: Scored, tmp_path: Path) -> None:
    base = scored("base", range(6))
    long = HOSTILE + "\n" + "".join(f"Line {line} of a long question.\n" for line in range(400)) + "Its end."
    stored = asked_otherwise(base.parent, "stored", {1: long, 2: "Double two."})
    file = page_of(tmp_path / "out", f"a={stored}", f"b={base}")
    page = visit(file, "#benchmark=maths%3Asums.jsonl&problem=sum%2F1")
    asked = page.get_by_role("region", name="Question")
    asked.get_by_role("button", name=re.compile("show all [0-9,]+ characters")).wait_for()
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in asked.inner_text()
    assert "202E" in asked.inner_text()
    assert "Line 100" not in asked.inner_text()
    asked.get_by_role("button").click()
    assert asked.inner_text().endswith("Its end.")
    page.keyboard.press("j")
    page.locator(".problem h1", has_text="sum/2").wait_for()
    asked.get_by_text("Double two.").wait_for()
    page.evaluate("location.hash = '#benchmark=maths%3Asums.jsonl&problem=sum%2F3'")
    page.locator(".problem h1", has_text="sum/3").wait_for()
    asked.get_by_text("What is 3 + 3?").wait_for()  # of the benchmark's file, since no attempt tells it
    other = asked_otherwise(base.parent, "other", {2: "Two and two?"})
    page = visit(page_of(tmp_path / "two", f"a={stored}", f"b={other}"), "#benchmark=maths%3Asums.jsonl&problem=sum%2F2")
    page.locator('[data-side="b"] summary', has_text="Asked otherwise: 12 characters").click()
    page.locator('[data-side="b"]').get_by_text("Two and two?").wait_for()
    assert page.locator('[data-side="a"] summary').count() == 0


@pytest.mark.parametrize("samples", [1, 2])
def test_one_problem_in_common_leaves_what_is_not_known_out(visit: Visit, scored: Scored, tmp_path: Path, samples: int) -> None:
    """Nothing is known about the spread then, which is infinite; JSON has no infinity."""
    base = scored("base", range(6))
    answer = {"task_id": "sum/2", "generation": "\\boxed{4}"}
    (base.parent / f"one{samples}.jsonl").write_text((json.dumps(answer) + "\n") * samples)
    words = ["score", str(base.parent / f"one{samples}.jsonl"), "--benchmark", f"maths:{base.parent / 'sums.jsonl'}"]
    assert run([*words, "--out", str(tmp_path / "one")]) == 0
    page = visit(page_of(tmp_path / "out", f"base={base}", f"one={tmp_path / 'one'}"))
    assert page.locator(".verdict .told").count() == 1
    assert "Infinity" not in (tmp_path / "out" / "report.json").read_text()
    assert run(["compare-runs", str(base), str(tmp_path / "one"), "--common", "--out", str(tmp_path / "c.json")]) == 0
    assert "Infinity" not in (tmp_path / "c.json").read_text()


def test_a_question_that_is_nowhere_leaves_no_gap(visit: Visit, scored: Scored, tmp_path: Path) -> None:
    base = scored("own-gone", range(6))
    (base.parent / "sums.jsonl").rename(tmp_path / "sums.jsonl")
    try:
        page = visit(page_of(tmp_path / "out", base), "#benchmark=maths%3Asums.jsonl&problem=sum%2F1")
        page.locator('[data-side="a"] .part').first.wait_for()
        assert page.get_by_role("region", name="Question").inner_text() == ""
    finally:
        (tmp_path / "sums.jsonl").rename(base.parent / "sums.jsonl")


def test_everything_by_keyboard(visit: Visit, arms: list[str], tmp_path: Path) -> None:
    page = visit(page_of(tmp_path / "out", *arms))
    press, focused = page.keyboard.press, "document.activeElement.closest('[data-at]')?.dataset.problem"
    press("/")
    page.locator(".search:focus").wait_for()
    page.keyboard.type("sum/1")
    page.locator(".found", has_text="3 of 12 problems").wait_for()  # 1, 10, 11
    press("Enter")
    press("j")
    assert page.evaluate(focused) == "10"
    press("ArrowUp")
    press("Enter")
    page.locator(".problem h1", has_text="sum/1").wait_for()
    press("j")
    page.locator(".problem h1", has_text="sum/10").wait_for()
    press("k")
    page.locator(".problem h1", has_text=re.compile("^sum/1$")).wait_for()
    right = page.locator('[data-side="b"] select')
    assert right.input_value() == "1"
    press("ArrowRight")
    page.locator('[data-side="b"] .chip').first.wait_for()
    assert right.input_value() == "2"
    press("]")
    page.locator('[data-side="b"] .chip[aria-pressed="true"]', has_text="sample 2").wait_for()
    press("?")
    assert page.get_by_role("dialog").is_visible()
    press("Escape")
    press("Escape")
    page.locator(".overview").wait_for()
    settle(page)
    assert page.evaluate(focused) == "1"
    before = page.evaluate("getComputedStyle(document.body).color")
    press("t")
    assert page.evaluate("getComputedStyle(document.body).color") != before


def test_filters_find_where_arms_differ(visit: Visit, arms: list[str], tmp_path: Path) -> None:
    page = visit(page_of(tmp_path / "out", *arms), height=4000)
    page.get_by_role("button", name=re.compile("^Better than base")).click()
    settle(page)
    better = page.evaluate("[...document.querySelectorAll('.matrix .item')].map(item => item.dataset.problem)")
    assert sorted(map(int, better)) == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways(visit: Visit, arms: list[str], tmp_path: Path, scheme: str) -> None:
    file = page_of(tmp_path / "out", *arms, "--title", "A_very_long_name_without_any_space_" * 3)
    for address in ("", "#benchmark=maths%3Asums.jsonl&problem=sum%2F4"):
        page = visit(file, address, width=390, height=800, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator('[data-side="b"]').is_hidden()
    page.locator(".sides button").nth(1).click()
    assert page.locator('[data-side="b"]').is_visible()


def test_a_problem_links_to_its_trace(visit: Visit, scored: Scored, tmp_path: Path) -> None:
    """An arm that was trained on a pruned row with the id of a problem leads to that row in the review page."""
    source = write_rows(tmp_path / "rows.jsonl", [{**row(number), "id": f"sum/{number}"} for number in range(3)])
    pruned = prune(source, tmp_path / "pruned", "--ratio", "0.5", "--review")
    trained = tmp_path / "trained"
    trained.mkdir()
    settings = {"model": "hf:m/x-135M", "recipe": "laptop", "template_hash": "x", "values": {}, "sources": [str(pruned)]}
    (trained / "settings.json").write_text(json.dumps(settings))
    (trained / "rows.jsonl").write_text('{"id": "sum/0", "tokens": 5, "response_tokens": 3}\n')
    step = {"step": 1, "seconds": 1.5, "tokens": 5, "peak_mib": 3, "peak_of": "cpu"}
    (trained / "steps.jsonl").write_text(json.dumps(step) + "\n")
    file = page_of(tmp_path / "out", f"a={scored('base', range(6))}", f"a={trained}")
    page = visit(file, "#benchmark=maths%3Asums.jsonl&problem=sum%2F2")
    link = page.locator(".links a").get_attribute("href")
    assert link == "../pruned/review.html#id=sum%2F2"
    page = visit(file, "#benchmark=maths%3Asums.jsonl&problem=sum%2F7")
    assert page.locator(".links").inner_text().startswith("Review pages of what was trained on: ")
    assert page.locator(".links a").get_attribute("href") == "../pruned/review.html"
    review = visit(pruned / "review.html", "#id=sum%2F2")
    review.locator(".trace h1", has_text="sum/2").wait_for()


def test_a_training_alone_is_a_report(visit: Visit, tmp_path: Path) -> None:
    arm = tmp_path / "arm"
    arm.mkdir()
    (arm / "settings.json").write_text('{"model": "m", "values": {}}')
    (arm / "rows.jsonl").write_text('{"id": "a", "tokens": 5, "response_tokens": 3}\n')
    (arm / "steps.jsonl").write_text('{"step": 1, "seconds": 1.5, "tokens": 5, "peak_mib": 3, "peak_of": "cpu"}\n')
    page = visit(page_of(tmp_path / "out", arm))
    assert page.locator(".costs tbody th").all_inner_texts() == ["arm"]
    assert page.locator(".results, .matrix, .verdict").count() == 0


LONG = "a_method_of_my_own_whose_name_is_eighty_characters_long_as_somebody_will_call_it"


def test_a_thousand_problems_and_a_name_of_eighty_characters(visit: Visit, scored: Scored, tmp_path: Path) -> None:
    long = "<think>\n" + "So I look again at what was said before. " * 3000 + "\n</think>\n\n\\boxed{0}"  # about 30,000 tokens
    one, other = (scored(name, right, {0: long}, problems=1000) for name, right in (("many", range(900)), ("few", range(500))))
    file = page_of(tmp_path / "out", one, f"{LONG}={other}")
    assert file.stat().st_size < 600_000
    problem = "#" + urlencode({"benchmark": "maths:sums-1000.jsonl", "problem": "sum/0"})
    for width, address in product((390, 1280), ("", problem)):
        page = visit(file, address, width=width, height=800)
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        over = """query => [...document.querySelectorAll(query)].filter(node => node.offsetParent).flatMap(node => {
          const next = node.closest('th, .strip-row > *, .ends-row > *')?.nextElementSibling?.getBoundingClientRect();
          const own = node.getBoundingClientRect();
          return next && next.width && own.right > next.left + 1 && own.bottom > next.top && own.top < next.bottom ? [node.className] : [];
        })"""
        assert page.evaluate(over, ".arm-name") == []
        assert page.evaluate("document.querySelectorAll('*').length") < 1500
        if address:
            button = page.locator('[data-side="a"] .more')
            assert len(page.locator('[data-side="a"] .body').first.text_content()) < 21_000
            button.click()
            assert page.locator('[data-side="a"] .body').first.text_content().count("So I look again") == 3000
        else:
            assert page.locator(".matrix .item").count() < 60
            assert "1,000 problems" in page.locator(".verdict h3").inner_text()


def test_arms_look_as_their_methods_do(visit: Visit, scored: Scored, tmp_path: Path) -> None:
    runs = {"mine": "base", "keep-tail": "better", "asap": "worse", "asap (equal tokens)": "three"}
    right = {"base": range(6), "better": range(2, 12), "worse": [0, 7], "three": range(3)}
    words = [f"{name}={scored(run, right[run])}" for name, run in runs.items()]
    wanted = [LOOKS["original"], LOOKS["keep-tail"], LOOKS["asap"], LOOKS["asap"]]
    drawn = "all => all.map(mark => [getComputedStyle(mark).color, mark.getAttribute('d')])"
    for scheme in ("light", "dark"):
        page = visit(page_of(tmp_path / "out", *words), scheme=scheme)
        marks = page.locator(".results .badge .mark").evaluate_all(drawn)
        inks = [getattr(look, scheme) for look in wanted]
        assert [ink for ink, _ in marks] == [f"rgb({', '.join(str(int(ink[at : at + 2], 16)) for at in (1, 3, 5))})" for ink in inks]
        assert [path for _, path in marks[:3]] == [mark_path(look) for look in wanted[:3]]
        assert marks[3][1] != marks[2][1]  # two arms of one method are told apart by their marks


def test_numbers_of_an_axis_are_as_far_apart_as_its_lines(visit: Visit, scored: Scored, tmp_path: Path) -> None:
    arms = [f"six={scored('six', range(6), problems=200)}", f"pair={scored('pair', range(2), problems=200)}"]
    page = visit(page_of(tmp_path / "out", *arms), height=4000)
    settle(page)
    for plot in page.locator(".plot").all():
        lines = plot.locator(".grid").evaluate_all("lines => lines.map(line => +line.getAttribute('y1'))")
        numbers = plot.locator("text").evaluate_all(
            "(texts, rows) => texts.filter(text => rows.includes(+text.getAttribute('y') - 4)).map(text => +text.textContent)", lines
        )
        assert len(numbers) == len(lines) > 2
        slope = (numbers[-1] - numbers[0]) / (lines[-1] - lines[0])
        assert numbers == pytest.approx([numbers[0] + slope * (line - lines[0]) for line in lines])
