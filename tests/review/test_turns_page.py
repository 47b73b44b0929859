"""Conversations on the page: a turn with the messages before it, folded, and the way to the other turns."""

from pathlib import Path

from review_helpers import Paged, Visit, listed, open_trace, settle, texts

from agent_rows import AGAIN, ASKED, CHECK, LATER, PLAN, ROWS
from run_fixtures import prune, row, write_rows

WHOLE = ROWS["tool calls, thinking beside"]


def test_a_turn_stands_below_what_came_before_it(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1), WHOLE, ROWS["sharegpt"]])
    page = visit(paged(prune(source, tmp_path / "out", "--method", "keep-tail", "--context", "raw")))
    page.locator(".traces").scroll_into_view_if_needed()
    settle(page)
    assert listed(page)[:4] == ["r1", "beside@2", "beside@4", "beside@6"]
    assert page.locator("[data-trace='3'] .title").inner_text() == AGAIN
    open_trace(page, 3, "beside@6")
    folded = page.locator(".before details")
    names = [text.split("\n")[0].strip() for text in folded.locator("summary b").all_inner_texts()]
    assert names == ["Tools", "System", "User", "Assistant", "Tool", "Assistant", "User"]
    assert [one.get_attribute("open") is not None for one in folded.all()] == [False] * 6 + [True]
    assert texts(page, ".before details[open] .body") == [AGAIN]
    folded.nth(2).locator("summary").click()
    assert folded.nth(2).locator(".body").inner_text() == ASKED
    assert texts(page, ".step .body") == LATER.split("\n\n")
    assert page.locator(".turns").inner_text().split() == ["Turn", "3", "of", "3", "that", "think", "in", "beside", "@2", "@4", "@6"]
    page.locator(".turns a", has_text="@4").click()
    page.locator("h1", has_text="beside@4").wait_for()
    assert texts(page, ".step .body") == CHECK.split("\n\n")
    assert PLAN.split("\n")[0] in page.locator(".before").inner_text() or PLAN.split("\n")[0] in page.locator(".before").text_content()
    open_trace(page, 0, "r1")
    assert page.locator(".turns, .before").count() == 0


def test_what_stands_before_a_turn_is_searched(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1), WHOLE])
    page = visit(paged(prune(source, tmp_path / "out", "--method", "keep-tail", "--context", "raw")))
    page.locator(".search").fill("use the tools.")
    page.locator(".found", has_text="3 of 4 traces").wait_for()
    assert listed(page) == ["beside@2", "beside@4", "beside@6"]
