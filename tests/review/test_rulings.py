"""Rulings on the page in a real browser: what a reader decides is shown, kept, saved, and cut exactly so."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from review_helpers import Paged, Visit, open_trace, settle, states

from asap.cli import run
from asap.review import write_review
from browsing import CONTRAST
from run_fixtures import prune, read_decisions, read_rows, refusal

LONGEST = 7  # the trace r11, of 60 steps


def press(page: Any, label: str, step: int) -> None:
    button = page.locator(f".step[data-step='{step}'] .rule")
    assert button.text_content() == label  # it may be far off
    button.click()
    settle(page)


def saved(page: Any, folder: Path) -> Path:
    with page.expect_download() as told:
        page.locator(".rulings .save").first.click()
    assert told.value.suggested_filename == "rulings.jsonl"
    told.value.save_as(folder / "rulings.jsonl")
    return folder / "rulings.jsonl"


def verdicts(page: Any) -> list[str]:
    found: list[str] = page.locator(".cell .verdict").all_text_contents()
    return found


def test_what_a_reader_decides_is_what_asap_cut_does(visit: Visit, paged: Paged, finished: Path, tmp_path: Path) -> None:
    page = visit(paged(finished))
    open_trace(page, LONGEST, "r11")
    before = states(page)
    gone, there = [i for i, state in enumerate(before) if state != "kept"], [i for i, state in enumerate(before) if state == "kept"]
    back, also, undone = gone[0], there[0], gone[1]
    press(page, "Keep", back)
    press(page, "Remove", also)
    press(page, "Keep", undone)
    press(page, "Undo", undone)
    page.locator(".step").nth(there[1]).focus()
    page.keyboard.press("o")  # removes
    settle(page)
    shown = states(page)
    assert {i: state for i, state in enumerate(shown) if state != before[i]} == {back: "kept", also: "hand", there[1]: "hand"}
    assert (verdicts(page)[back], verdicts(page)[also]) == ("Kept by hand", "Removed by hand")
    page.evaluate("location.hash = 'trace=0'")
    page.locator(".trace h1", has_text="r0").wait_for()
    page.get_by_role("button", name="Leave this row whole").click()
    settle(page)
    assert set(states(page)) == {"kept"}
    page.evaluate("location.hash = 'trace=1'")
    page.locator(".trace h1", has_text="r1").wait_for()
    page.get_by_role("button", name="Drop this row").click()
    assert page.get_by_role("button", name="Drop this row").get_attribute("aria-pressed") == "true"
    page.reload()  # nothing is lost
    page.locator(".trace h1", has_text="r1").wait_for()
    told = page.locator(".rulings p").first.inner_text()
    assert told == "Your rulings on 3 rows: 1 step to keep, 2 steps to remove, 1 row left whole, 1 row dropped."
    file = saved(page, tmp_path)
    assert [(line["id"], line.get("row"), line.get("keep"), line.get("remove")) for line in read_rows(file)] == [
        ("r0", "whole", None, None),
        ("r1", "drop", None, None),
        ("r11", None, [back], sorted([also, there[1]])),
    ]
    words = shlex.split(page.locator(".command .line").first.inner_text())
    assert words == ["asap", "cut", str(finished), "--overrule", "rulings.jsonl", "--out", f"{finished}-overruled"]
    out = tmp_path / "overruled"
    assert run(["cut", str(finished), "--overrule", str(file), "--out", str(out)]) == 0
    [line] = [line for line in read_decisions(out) if line["id"] == "r11"]
    assert [step["kept"] for step in line["steps"]] == [state == "kept" for state in shown]
    write_review(out, tmp_path / "overruled.html")
    again = visit(tmp_path / "overruled.html")
    counts = json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
    said = again.locator(".sums").inner_text()
    assert f"= {counts['pruned']} pruned + {counts['unchanged']} unchanged + {counts['rejected']} rejected" in said
    assert f"{counts['steps_coarse']} removed by stage 1 + {counts['steps_fine']} by stage 2 + 2 by hand" in said
    assert f"stay: {counts['tokens_after']:,}." in said
    assert again.locator(".rulings").is_hidden()
    assert again.get_by_role("button", name="Ruled by hand").inner_text().split()[-1] == "2"
    open_trace(again, LONGEST - 1, "r11")  # without r1
    assert states(again) == shown


def test_the_page_of_an_overruled_run_takes_its_rulings_back(visit: Visit, paged: Paged, finished: Path, tmp_path: Path) -> None:
    first = visit(paged(finished))
    open_trace(first, LONGEST, "r11")
    before = states(first)
    gone = next(i for i, state in enumerate(before) if state != "kept")
    press(first, "Keep", gone)
    out = tmp_path / "overruled"
    assert run(["cut", str(finished), "--overrule", str(saved(first, tmp_path)), "--out", str(out)]) == 0
    write_review(out, tmp_path / "overruled.html")
    page = visit(tmp_path / "overruled.html")
    open_trace(page, LONGEST, "r11")
    press(page, "Undo", gone)
    assert states(page) == before
    assert page.locator(".rulings p").first.inner_text() == "Your rulings on 1 row: the run’s own taken back."
    file = saved(page, tmp_path)
    assert [{*line} for line in read_rows(file)] == [{"id", "digest"}]
    assert run(["cut", str(out), "--overrule", str(file), "--out", str(tmp_path / "back")]) == 0
    assert (tmp_path / "back" / "decisions.jsonl").read_bytes() == (finished / "decisions.jsonl").read_bytes()


def test_a_step_of_a_row_left_whole_can_still_be_removed(visit: Visit, paged: Paged, finished: Path, tmp_path: Path) -> None:
    page = visit(paged(finished))
    open_trace(page, LONGEST, "r11")
    page.get_by_role("button", name="Leave this row whole").click()
    settle(page)
    size = len(states(page))
    gone = page.locator(".rule", has_text="Undo").first.evaluate("button => Number(button.closest('.step').dataset.step)")
    press(page, "Undo", gone)
    assert states(page).count("kept") == size - 1
    [line] = read_rows(saved(page, tmp_path))
    assert line["keep"] == [i for i in range(size) if i != gone]


def test_rulings_are_forgotten_only_when_asked_twice(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished))
    open_trace(page, LONGEST, "r11")
    page.get_by_role("button", name="Drop this row").click()
    page.get_by_role("button", name="Forget them").click()
    assert page.locator(".rulings").is_visible()
    page.get_by_role("button", name="Press again to forget them").click()
    settle(page)
    assert page.locator(".rulings").is_hidden()
    page.reload()
    page.locator(".trace h1").wait_for()
    assert page.get_by_role("button", name="Drop this row").get_attribute("aria-pressed") == "false"


def test_a_page_of_two_runs_and_of_cuts_inside_steps_offers_what_can_be_done(
    visit: Visit, paged: Paged, finished: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = visit(paged(finished, finished))
    open_trace(page, LONGEST, "r11")
    assert page.locator(".rule, .row-rule").count() == 0
    inside = prune(source, tmp_path / "inside", "--method", "selective-context", "--unit", "token", "--ratio", "0.5")
    page = visit(paged(inside))
    open_trace(page, LONGEST, "r11")
    assert page.locator(".rule").count() == 0
    page.get_by_role("button", name="Leave this row whole").click()
    settle(page)
    assert page.locator(".step del").count() == 0
    assert run(["cut", str(inside), "--overrule", str(saved(page, tmp_path)), "--out", str(tmp_path / "out")]) == 0
    assert "has no row" in refusal(capsys, "cut", str(finished), "--overrule", str(_renamed(tmp_path)), "--out", str(tmp_path / "none"))


def _renamed(folder: Path) -> Path:
    [line] = read_rows(folder / "rulings.jsonl")
    (folder / "renamed.jsonl").write_text(json.dumps({**line, "id": "elsewhere"}), "utf-8")
    return folder / "renamed.jsonl"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_rulings_can_be_read_and_pressed_on_a_phone(visit: Visit, paged: Paged, finished: Path, scheme: str) -> None:
    page = visit(paged(finished), width=390, scheme=scheme)
    open_trace(page, LONGEST, "r11")
    press(page, "Keep", next(i for i, state in enumerate(states(page)) if state != "kept"))
    press(page, "Remove", max(i for i, state in enumerate(states(page)) if state == "kept"))
    page.locator(".rulings .save").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    places = ".step .rule, .row-rule button, .rulings button"
    heights = page.evaluate(f"[...document.querySelectorAll('{places}')].map(one => one.getBoundingClientRect().height)")
    assert min(height for height in heights if height) >= 24  # those far off are not laid out
    read = page.evaluate(
        CONTRAST,
        [
            *(f".step[data-state=hand] {part}" for part in (".body", ".why", ".verdict", ".rule")),
            ".step[data-hand][data-state=kept] .verdict",
            ".step[data-state=kept]:not([data-hand]) .rule",
            ".row-rule button",
            ".rulings p",
            ".rulings .note",
            ".rulings .save",
        ],
    )
    assert {name: round(ratio, 2) for name, ratio in read.items() if ratio < 4.5} == {}
