"""The budget slider in a real browser: it cuts as `asap cut` does."""

import json
import random
import shlex
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from review_helpers import Paged, Visit, decide, sample, set_budget, settle, shown_as_cut

from asap.cli import run
from asap.prune.decision import cut
from asap.prune.decision.step_cut import StepCut
from run_fixtures import prune

STAGES = {
    "the paper's order": [],
    "without stage 1": ["--coarse", "none"],
    "protected steps": ["--keep-first", "2", "--keep-last", "1"],
    "rescored": ["--rescore", "2"],
    "a control": ["--method", "longest-first"],
}
CUTS: list[tuple[str, float]] = [("budget", 1), ("budget", 25), ("budget", 90), ("ratio", 0.29), ("ratio", 0.75), ("ratio", 1.0)]


@pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES)
def test_the_slider_cuts_as_asap_cut_does(visit: Visit, paged: Paged, source: Path, tmp_path: Path, stages: list[str]) -> None:
    base = prune(source, tmp_path / "base", "--budget", "60", *stages)
    page = visit(paged(base))
    shown_as_cut(page, base)
    for kind, value in CUTS if not stages else CUTS[1:4]:
        page.evaluate("location.hash = ''")
        page.locator(".overview").wait_for()
        set_budget(page, kind, value)
        out = tmp_path / f"{kind}-{value}"
        assert run(["cut", str(base), f"--{kind}", str(value), "--out", str(out)]) == 0
        counts = json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
        said = page.locator(".sums").inner_text()
        assert (
            f"{counts['rows']} rows = {counts['pruned']} pruned + {counts['unchanged']} unchanged + {counts['rejected']} rejected" in said
        )
        kept = counts["steps"] - counts["steps_coarse"] - counts["steps_fine"]
        assert f"= {kept} kept + {counts['steps_coarse']} removed by stage 1 + {counts['steps_fine']} by stage 2" in said
        assert f"stay: {counts['tokens_after']:,}." in said
        shown_as_cut(page, out)


def test_a_run_that_was_refilled_is_shown_as_it_is(visit: Visit, paged: Paged, source: Path, tmp_path: Path) -> None:
    base = prune(source, tmp_path / "base", "--budget", "70", "--backfill")
    page = visit(paged(base))
    assert "--backfill" in page.locator(".result > .note").inner_text()
    shown_as_cut(page, base)


def test_the_rules_in_the_page_are_those_of_the_library(browser: Any) -> None:
    chance = random.Random(7)
    decisions = [decide(sample(number, steps=chance.randint(1, 30)), share=chance.choice([0, 0.3]), budget=None) for number in range(60)]
    bumpy = [_with_bumps(decision, chance) for decision in decisions]
    columns: dict[str, list[int]] = {name: [] for name in ("steps", "series", "least", "coarse", "before", "offset", "left")}
    expected, asked = list[list[int]](), list[list[tuple[str, float]]]()
    for decision in bumpy:
        survivors = sorted((step for step in decision.steps if step.removed_by != "coarse"), key=lambda step: step.rank)
        columns["offset"].append(len(columns["left"]))
        columns["left"] += [step.tokens_left for step in survivors]
        for name, value in zip(columns, (len(decision.steps), len(survivors), decision.min_steps, decision.tokens_coarse), strict=False):
            columns[name].append(value)
        columns["before"].append(decision.tokens_before)
        cuts = [("budget", chance.randint(1, decision.tokens_before + 3)) for _ in range(6)]
        cuts += [("ratio", chance.randint(1, 100) / 100) for _ in range(6)]
        asked.append(cuts)
        expected.append([sum(step.removed_by == "fine" for step in cut(decision, **{kind: value}).steps) for kind, value in cuts])  # type: ignore[arg-type]
    script = files("asap.review").joinpath("cut.js").read_text("utf-8").replace("export ", "")
    page = browser.new_page()
    limit = "limitOf({kind, value}, run.before[at])"
    below = f"thresholds(run, at).filter(least => least !== null && {limit} < least).length"
    for what in (f"removedAt(run, at, {limit})", below):
        code = f"([run, asked]) => {{ {script}; return asked.map((cuts, at) => cuts.map(([kind, value]) => {what})); }}"
        assert page.evaluate(code, [columns, asked]) == expected
    page.close()


def _with_bumps(decision: StepCut, chance: random.Random) -> StepCut:
    """Removing a step can add a token where its neighbours meet: the series need not fall all the way."""
    steps = [replace(step, tokens_left=max(0, step.tokens_left + chance.choice([0, 0, 5]))) for step in decision.steps]
    return replace(decision, steps=steps, budget=None)


def test_the_slider_and_its_number_go_together(visit: Visit, paged: Paged, finished: Path, tmp_path: Path) -> None:
    page = visit(paged(finished))
    slider = page.locator(".control .slider")
    assert slider.input_value() == "50"
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    settle(page)
    assert page.locator(".control .field").input_value() == "38"
    assert page.url.endswith("#ratio=0.38")
    words = shlex.split(page.locator(".command .line").inner_text())
    assert words[:2] == ["asap", "cut"]
    assert run([*words[1:-1], str(tmp_path / "cut")]) == 0  # what the page says to type
    shown_as_cut(page, tmp_path / "cut")
    page.keyboard.press("r")
    settle(page)
    shown_as_cut(page, finished)
    assert "ratio" not in page.url


def test_an_address_is_followed_although_the_budget_was_moved_in_the_same_frame(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished), "#budget=30")
    key = "new KeyboardEvent('keydown', {key: 'r', bubbles: true})"
    page.evaluate(f"requestAnimationFrame(() => (location.hash = 'trace=7')); document.body.dispatchEvent({key})")
    page.locator(".trace h1").wait_for()
    settle(page)
    assert page.locator(".trace h1").inner_text() == "r11"
    assert page.url.endswith("#trace=7")


def test_a_reload_keeps_trace_and_budget(visit: Visit, paged: Paged, finished: Path) -> None:
    page = visit(paged(finished), "#trace=7&budget=30")
    page.reload()
    page.locator(".trace h1").wait_for()
    assert page.locator(".control .field").input_value() == "30"
    assert page.locator(".trace h1").inner_text() == "r11"
