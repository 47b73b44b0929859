"""The page in a real browser: hostile texts, two runs, cuts inside of steps, and a lot of data."""

from pathlib import Path
from typing import Any

from review_helpers import STATES, Paged, Visit, decide, listed, open_trace, sample, set_budget, settle, states, write_run

from asap.errors import RowError
from asap.sample import Sample
from browsing import CONTRAST
from run_fixtures import WORDS

HOSTILE = [
    "<script>document.title = 'hacked'</script>",
    "</script><script>alert('hacked')</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)><iframe src='https://example.invalid/'></iframe>",
    "javascript:alert(1) {{ 7 * 7 }} ${alert(1)} <!-- ]]> &lt;b&gt;",
    "\u202eright to left\u2069 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "bell \x07 escape \x1b[31m null \x00 zero\u200bwidth \ufeff tag \U000e0041 sign \u06dd",
    "x" * 60_000,
    "```html\n<script>alert(2)</script>\n```",
    "# <style>body { display: none }</style> \U0001f642 e\u0301",
]


def test_no_text_does_anything(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    texts = [Sample(f"{number} {text[:300]}", text, "\n\n".join([text, *HOSTILE]), text) for number, text in enumerate(HOSTILE)]
    errors = [RowError(HOSTILE[0], HOSTILE[2], HOSTILE[1])]
    out = write_run(tmp_path / "<img src=x onerror=alert(3)>", [(text, decide(text)) for text in texts], errors)
    page = visit(paged(out), width=390)
    title = page.title()
    page.evaluate("scrollTo(0, 1e6)")
    page.get_by_role("button", name="Rejected").click()
    assert HOSTILE[2] in page.locator(".rejected").inner_text()
    for number, text in enumerate(texts):
        open_trace(page, number, f"{number} ")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        clean = "".join(character for character in HOSTILE[0] if character >= " ")
        assert clean in page.locator(".steps").text_content()
        assert page.evaluate("document.querySelectorAll('#app img, #app script, #app iframe, #app style').length") == 0
        assert text.id[:2] in page.locator("h1").inner_text()
    for code in ("202E", "E0041", "001B"):
        assert page.locator(f".unseen[title='the character U+{code}']").count() > 0
    assert page.locator(".unseen[title='the character U+06DD']").count() == 0
    assert page.title() == title


def test_the_policy_holds_against_a_script_that_got_in(browser: Any, paged: Paged, finished: Path) -> None:
    page, failed = browser.new_page(), list[str]()
    page.on("requestfailed", lambda request: failed.append(request.failure))
    page.goto(paged(finished).as_uri())
    page.wait_for_selector("#app:not([aria-busy])")
    tries = {
        "markup": "document.body.innerHTML = '<b>bold</b>'",
        "script": "const node = document.createElement('script'); node.text = 'window.ran = 1'; document.body.append(node)",
        "eval": "setTimeout('window.ran = 1')",
    }
    for name, code in tries.items():
        assert page.evaluate(f"(() => {{ try {{ {code}; return 'done' }} catch (error) {{ return error.name }} }})()") == "TypeError", name
    assert page.evaluate("fetch('https://example.invalid/').then(() => 1, () => 0)") == 0
    page.evaluate("new Image().src = 'https://example.invalid/x.png'")
    settle(page)
    assert page.evaluate("window.ran") is None
    assert set(failed) == {"csp"}
    page.close()


def test_two_runs_side_by_side(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    rows = [sample(number) for number in range(6)]
    one = write_run(tmp_path / "one", [(text, decide(text, 1, budget=40)) for text in rows])
    two = write_run(tmp_path / "two", [(text, decide(text, 2, budget=25)) for text in rows], budget=25)
    page = visit(paged(one, two))

    def apart(budget: int | None) -> dict[str, int]:
        counts = {}
        for text in rows:
            a, b = (decide(text, seed, budget=budget or own) for seed, own in ((1, 40), (2, 25)))
            counts[text.id] = sum(x.kept != y.kept for x, y in zip(a.steps, b.steps, strict=True))
        return counts

    for budget in (None, 30, 12):
        if budget:
            set_budget(page, "budget", budget)
        page.evaluate("scrollTo(0, 1e6)")
        settle(page)
        expected = apart(budget)
        wanted = sorted(expected, key=lambda name: (-expected[name], name))
        assert listed(page) == wanted
        assert [int(text.split()[0]) for text in listed(page, ".differ")] == [expected[name] for name in wanted]
        open_trace(page, 2, "row-2")
        assert page.locator(".step.apart").count() == expected["row-2"]
        assert page.locator(".jumps .count").inner_text().split()[0] == str(expected["row-2"])
        cells = "[...step.querySelectorAll('.cell')].map(cell => cell.dataset.state === 'kept')"
        split = page.evaluate(f"[...document.querySelectorAll('.step.apart')].map(step => {cells})")
        assert all(a != b for a, b in split)
        page.evaluate("location.hash = ''")
        page.locator(".overview").wait_for()
    assert page.locator(".command .line").inner_text().splitlines() == [f"asap cut {out} --budget 12 --out {out}-12" for out in (one, two)]


def test_cuts_inside_of_steps_fade_and_are_not_struck_through(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    text = Sample("a", "q", "one two three\n\nfour five\n\nsix\n\n```python\nx = y == 1\n```\n\nend", "answer")
    whole = decide(text, share=0, budget=None)
    code = text.cot.index("== ")
    kept = [(0, 4), (8, 24), (text.cot.index("```"), code), (code + 3, len(text.cot))]
    inside = {**whole.as_row(), "spans": kept, "tokens_after": 9, "units": {"lengths": [len(text.cot)], "scores": [None]}}
    out = write_run(tmp_path / "out", [(text, inside)], method="tokenskip", coarse="none")
    for scheme in ("light", "dark"):
        page = visit(paged(out), scheme=scheme)
        assert page.locator(".control").count() == 0
        open_trace(page, 0, "a")
        assert page.locator("del").all_text_contents() == ["two ", "== "]
        assert page.locator(".step pre.code").text_content() == "```python\nx = y == 1\n```"
        assert states(page) == ["kept", "kept", "two", "kept", "kept"]
        styles = "all => all.map(one => [getComputedStyle(one).textDecorationLine, getComputedStyle(one).borderLeftStyle])"
        assert page.locator("del").evaluate_all(styles) == [["none", "solid"]] * 2
        ratios = page.evaluate(CONTRAST, ["del", "pre del", '.step[data-state="two"] .body'])
        assert {name: round(ratio, 2) for name, ratio in ratios.items() if ratio < 4.5} == {}
    both = write_run(tmp_path / "whole", [(text, whole)], budget=None, coarse_only=True)
    page = visit(paged(both, tmp_path / "out"))
    open_trace(page, 0, "a")
    assert page.locator(".step.apart").count() == 3


def test_a_long_step_with_cuts_shows_its_start_and_the_rest_on_request(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    words = [f"word{number:04}" for number in range(6000)]
    text = Sample("a", "q", " ".join(words), "answer")
    whole = decide(text, share=0, budget=None)
    kept = [(9 * at, 9 * at + 8) for at in range(0, 6000, 2)]
    inside = {**whole.as_row(), "spans": kept, "tokens_after": 3000, "units": {"lengths": [len(text.cot)], "scores": [None]}}
    page = visit(paged(write_run(tmp_path / "out", [(text, inside)], method="tokenskip", coarse="none")))
    open_trace(page, 0, "a")
    shown = page.locator(".step .body")
    assert page.locator("del").count() < 1200
    shown.locator(".more").click()
    assert shown.text_content() == text.cot
    gone = "".join(page.locator("del").all_text_contents())
    assert gone == "".join(text.cot[one[1] : other[0]] for one, other in zip(kept, [*kept[1:], (len(text.cot), 0)], strict=True))


def test_ten_thousand_traces_open_and_scroll(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    rows = [Sample(f"row-{number}", f"What is {number}?", "\n\n".join(WORDS[number % 20 :][:4]), "It is.") for number in range(10_000)]
    out = write_run(tmp_path / "out", ((text, decide(text, budget=2)) for text in rows), budget=2)
    page = visit(paged(out))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".id", has_text="row-9999").wait_for()
    assert page.locator(".item").count() < 60
    set_budget(page, "budget", 3)
    assert "10,000 rows = " in page.locator(".sums").inner_text()
    page = visit(paged(out, most=50))
    assert "50 of 10,000 traces" in page.locator(".head .note").inner_text()
    assert "50 rows = " in page.locator(".sums").inner_text()


def test_a_trace_of_five_thousand_steps(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    text = sample(1, steps=5000)
    page = visit(paged(write_run(tmp_path / "out", [(text, decide(text, budget=9000))], budget=9000)), "#trace=0")
    open_trace(page, 0, text.id)
    assert page.locator(".step").count() == 5000
    set_budget(page, "budget", 700)
    assert states(page) == [STATES[step.removed_by] for step in decide(text, budget=700).steps]
    seen = "document.querySelector('[data-step=\"4999\"]').getBoundingClientRect().top < innerHeight"
    while not page.evaluate(seen):  # heights off screen are guesses until they are seen
        page.keyboard.press("End")
        settle(page)


def test_what_a_support_floor_put_back_is_shown_and_gone_in_every_cut(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    text = sample(3, steps=30)
    made = decide(text, share=0.3)
    coarse = next(step.index for step in made.steps if step.removed_by == "coarse")
    fine = next(step.index for step in made.steps if step.removed_by == "fine")
    row = made.as_row()
    for step in (coarse, fine):
        row["steps"]["removed_by"][step] = None
    row |= {"tokens_after": made.tokens_after + 2, "floor": {"full": -0.2, "cut": -0.9, "left": -0.3, "grade": "mended"}}
    row["floor"] |= {"back": sorted([coarse, fine]), "coarse": [coarse]}
    page = visit(paged(write_run(tmp_path / "out", [(text, row)], support_floor=0.2)))
    assert "Support mended 1" in page.locator(".chips").inner_text()
    assert page.locator(".command").is_hidden()
    open_trace(page, 0, text.id)
    assert states(page) == [STATES[by] for by in row["steps"]["removed_by"]]
    assert page.locator(".verdict").nth(coarse).text_content() == "Put back, to hold the support of the answer"
    assert "2 steps put back, then −0.30" in page.locator(".support").inner_text()
    set_budget(page, "budget", 30)
    set_budget(page, "budget", 40)  # the run's own: asap cut puts nothing back
    assert states(page) == [STATES[step.removed_by] for step in made.steps]
    assert page.locator(".verdict").nth(coarse).text_content() == "Removed by stage 1"


def test_a_trace_of_thirty_thousand_tokens_and_long_names(visit: Visit, paged: Paged, tmp_path: Path) -> None:
    """Elements grow with the steps alone, bytes with the text, and nothing is wider than a phone."""
    name = "a-run-of-my-own-whose-name-is-eighty-characters-long-as-somebody-will-call-it-ok"
    texts = [
        Sample("i" * 200, "Which?", "\n\n".join(["so the sum of two is " * 12] * 400), "a"),
        Sample("in-one-step", "Which?", "so the sum of two is " * 5000, "b"),
    ]
    folders = [
        write_run(tmp_path / f"{name}-{number}", [(text, decide(text, number, budget=9000)) for text in texts], budget=9000)
        for number in range(2)
    ]
    for width, *runs in ((390, *folders), (1280, *folders), (1280, folders[0])):
        file = paged(*runs)
        assert file.stat().st_size < 400_000
        page = visit(file, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for number, text in enumerate(texts):
            open_trace(page, number, text.id)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            steps = page.locator(".step").count()
            assert page.evaluate("document.querySelectorAll('*').length") < 400 + 22 * steps * len(runs)
            assert len(page.locator(".step .body").first.text_content()) < 21_000
        page.evaluate("location.hash = ''")
        page.locator(".overview").wait_for()
