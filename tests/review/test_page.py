"""The page in a real browser: every word is there, every reason, and everything can be found and reached."""

import re
from pathlib import Path

import pytest
from review_helpers import Paged, Visit, decide, listed, open_trace, sample, settle, states, texts, write_run

from asap.errors import RowError
from asap.sample import Sample
from browsing import CONTRAST
from run_fixtures import prune, read_decisions


def test_every_word_of_a_trace_is_there(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    fenced = "Look:\n```python\nfor i in range(3):  # `x`\n\n    print('a \"b\"', i - 1)\n```\nand\n\n~~~\nnever closed <b>\n\n  x"
    rows = [
        sample(1),
        Sample("fenced", "q\n```c\nint x = 1; // no\n```", fenced, fenced),
        Sample("wide", "🙂", "one 🙂🙂 two\n\nthree 🙂\n\n四 \u05d0", "a"),
    ]
    page = visit(paged(write_run(tmp_path / "out", [(text, decide(text, share=0)) for text in rows])))
    for number, text in enumerate(rows):
        open_trace(page, number, text.id)
        spans = [(step.start, step.end) for step in decide(text, share=0).steps]
        assert texts(page, ".step .body") == [text.cot[start:end] for start, end in spans]
        for name, part in (("question", text.question), ("answer", text.answer)):
            assert texts(page, f".{name} .body") == [part]


def test_each_step_says_why(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished))
    line = read_decisions(finished)[7]
    open_trace(page, 7, line["id"])
    said = page.locator(".why").all_text_contents()
    fine = sorted((step for step in line["steps"] if step["removed_by"] != "coarse"), key=lambda step: step["rank"])
    third, before = fine[2], fine[1]
    budget = min(line["tokens_coarse"], fine[0]["tokens_left"], before["tokens_left"])
    plain = f"Removed by stage 2. Its first token is the 3rd most predictable of {len(fine)}."
    assert said[third["index"]].startswith(f"{plain}Numbers{third['tokens']} tokens; alignment ")
    row = page.locator(".why").nth(third["index"])
    assert "nats" not in row.inner_text()
    row.locator("summary").click()
    assert f"{third['surprisal']:.2f} nats" in row.inner_text()
    assert (
        f"3rd lowest of {len(fine)} first-token surprisals, {third['surprisal']:.2f} nats; gone at every budget below {budget:,} tokens."
        in said[third["index"]]
    )
    coarse = next(step for step in line["steps"] if step["removed_by"] == "coarse")
    assert "Removed by stage 1." in said[coarse["index"]]
    assert "the answer makes it no likelier: alignment" in said[coarse["index"]]
    assert "stays at every budget" in said[fine[-1]["index"]]


def test_a_control_says_its_order_in_plain_words(visit: Visit, paged: Paged, source: Path, tmp_path: Path) -> None:
    out = prune(source, tmp_path / "out", "--method", "keep-head", "--coarse", "none", "--ratio", "0.5", "--keep-first", "1")
    page = visit(paged(out))
    open_trace(page, 6, "r10")
    said = page.locator(".why").all_inner_texts()
    assert said[0] == "Kept. The first steps are always kept.\nNumbers"
    assert said[-1] == "Removed by stage 2. Removal order: 1st of 30, from the end.\nNumbers"
    assert not any("nats" in text for text in said)


def test_filters_search_and_order(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    deep = Sample("deep", "Where?", "\n\n".join([*(f"step {number} of many words here" for number in range(20)), "a needle here"]), "there")
    rows = [(text, decide(text, share=0 if text.id == "row-3" else 0.2)) for text in (*(sample(number) for number in range(8)), deep)]
    out = write_run(tmp_path / "out", rows, [RowError("no_think", "neither <think> nor </think>", "lost")])
    page = visit(paged(out), height=2400)
    page.locator(".traces").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 1e6)")
    settle(page)
    decisions = {text.id: decision for text, decision in rows}
    expected = {
        "Cut by stage 1": [name for name, made in decisions.items() if any(step.removed_by == "coarse" for step in made.steps)],
        "Cut by stage 2": [name for name, made in decisions.items() if any(step.removed_by == "fine" for step in made.steps)],
        "Unchanged": [name for name, made in decisions.items() if not made.changed],
        "Over budget": [name for name, made in decisions.items() if made.budget and made.tokens_after > made.budget],
        "All": list(decisions),
    }
    for label, names in expected.items():
        page.get_by_role("button", name=label).click()
        settle(page)
        assert listed(page) == names, label
        assert page.get_by_role("button", name=label).inner_text().split()[-1] == str(len(names))
    page.locator(".search").fill("NEEDLE")
    page.locator(".found", has_text="1 of 9 traces").wait_for()
    assert listed(page) == ["deep"]
    page.locator(".search").fill("")
    page.locator(".found", has_text=re.compile("^9 traces")).wait_for()
    page.locator(".order select").select_option("longest")
    settle(page)
    assert listed(page) == sorted(decisions, key=lambda name: (-decisions[name].tokens_before, list(decisions).index(name)))
    page.get_by_role("button", name="Rejected").click()
    assert page.locator(".rejected li").all_inner_texts() == ["no_think\nrows.jsonl, line 900, lost\nneither <think> nor </think>"]


def test_everything_by_keyboard(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished))
    press, focused = page.keyboard.press, "document.activeElement.closest('[data-at], .step')?.dataset"
    press("/")
    page.locator(".search:focus").wait_for()
    page.keyboard.type("r1")
    page.locator(".found", has_text=" of 8 traces").wait_for()
    press("Enter")
    assert page.evaluate(focused)["at"] == "0"
    press("ArrowDown")
    assert page.evaluate(focused)["at"] == "1"
    assert page.evaluate("document.activeElement.textContent").startswith("r10")
    press("Enter")
    open_trace(page, 6, "r10")
    cuts = [number for number, state in enumerate(states(page)) if state != "kept"]
    press("n")
    first = int(page.evaluate(focused)["step"])
    assert first in cuts
    press("n")
    assert int(page.evaluate(focused)["step"]) > first
    press("p")
    assert int(page.evaluate(focused)["step"]) == first
    press("h")
    assert page.locator(".fold").get_attribute("aria-pressed") == "true"
    press("j")
    page.locator(".trace h1", has_text="r11").wait_for()
    press("k")
    page.locator(".trace h1", has_text="r10").wait_for()
    press("[")
    settle(page)
    assert "ratio=0.49" in page.url
    press("?")
    assert page.get_by_role("dialog").is_visible()
    press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    press("Escape")
    page.locator(".overview").wait_for()
    assert page.evaluate(focused)["trace"] == "6"  # back where one was
    before = page.evaluate("getComputedStyle(document.body).color")
    press("t")
    assert page.evaluate("getComputedStyle(document.body).color") != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_have_contrast(visit: Visit, paged: Paged, finished: Path, scheme: str) -> None:
    page = visit(paged(finished), scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) < 200) == (scheme == "dark")
    overview = page.evaluate(
        CONTRAST,
        ["h1", ".from", ".big", ".key", ".adds", ".command .line", ".caption", ".chip[aria-pressed=true]", ".chip[aria-pressed=false]"],
    )
    open_trace(page, 7, "r11")
    trace = page.evaluate(
        CONTRAST,
        [
            "h1",
            ".sum",
            *(f".step[data-state={state}] {part}" for state in ("kept", "one", "two") for part in (".body", ".why", ".verdict")),
        ],
    )
    assert {name: round(ratio, 2) for name, ratio in {**overview, **trace}.items() if ratio < 4.5} == {}


def test_everything_has_a_name_and_nothing_is_wider_than_a_phone(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished), width=390)
    nameless = """[...document.querySelectorAll('button, a, input, select, [role=img]')].filter(node => !node.hidden).filter(node =>
      !(node.textContent.trim() || node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim())).map(node => node.outerHTML)"""
    for address in ("", "trace=7", "trace=7&budget=20"):
        page.evaluate(f"location.hash = '{address}'")
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(nameless) == []
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        assert page.evaluate("document.querySelectorAll('main').length") == 1


def test_removed_text_is_faded_and_not_struck_through(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished))
    open_trace(page, 7, read_decisions(finished)[7]["id"])
    for state in ("one", "two"):
        style = page.locator(f'.step[data-state="{state}"] .body').first.evaluate(
            "body => [getComputedStyle(body).textDecorationLine, getComputedStyle(body).borderLeftStyle, getComputedStyle(body).color]"
        )
        kept = page.locator('.step[data-state="kept"] .body').first.evaluate("body => getComputedStyle(body).color")
        assert style[:2] == ["none", "dotted" if state == "one" else "solid"]
        assert style[2] != kept


def test_three_spaces_within_prose_are_still_prose(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    text = Sample("spaces", "Which?", "So this   is prose.\n\na   b   c\n1   2   3", "It is.")
    page = visit(paged(write_run(tmp_path / "out", [(text, decide(text, share=0, budget=None))])))
    open_trace(page, 0, "spaces")
    assert page.locator(".step .prose").evaluate_all("all => all.map(one => one.classList.contains('laid'))") == [False, True]


def test_two_runs_have_their_histograms_on_one_scale(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    rows = [sample(number, steps=number) for number in (3, 12, 60)]
    folders = [
        write_run(tmp_path / name, [(text, decide(text, seed, budget=budget)) for text in rows], budget=budget)
        for seed, (name, budget) in enumerate((("long", 400), ("short", 10)))
    ]
    page = visit(paged(*folders))
    settle(page)
    page.locator(".bins .histogram").nth(1).wait_for()
    assert page.locator(".bins figcaption").all_text_contents() == ["Along", "Bshort"]
    scale = """svg => [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getAttribute('x')])
      .filter(([text]) => /^\\d+k?$/.test(text) && Number.parseInt(text) > 3)"""
    before = "svg => [...svg.querySelectorAll('.before')].map(bar => bar.getAttribute('height'))"
    after = "svg => [...svg.querySelectorAll('.after')].map(bar => bar.getAttribute('height'))"
    for read, alike in ((scale, True), (before, True), (after, False)):
        one, other = (page.locator(".histogram").nth(number).evaluate(read) for number in range(2))
        assert len(one) == len(other) > 3
        assert (one == other) is alike
