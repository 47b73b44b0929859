"""Finished runs made without a model, of any texts and any cuts, and what is read off a page."""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asap.errors import RowError
from asap.prune.decision import Decision, cut, decision_from_row, decision_line
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.sample import Sample
from asap.steps import split_steps
from asap.store.content import packed
from asap.store.work import Store
from run_fixtures import read_decisions

Visit = Callable[..., Any]
Paged = Callable[..., Path]

SETTINGS = {
    "asap": "0",
    "method": "asap",
    "budget": 40,
    "ratio": None,
    "coarse": "align",
    "coarse_only": False,
    "coarse_share": 0.25,
    "backfill": False,
    "rescore": 0,
    "keep_first": 0,
    "keep_last": 0,
    "scorer": {"model": "none"},
    "llm": None,
    "tokenizer": "words",
    "tokenizer_name": "words",
    "step_split": "fenced",
    "sources": ["rows.jsonl"],
}
WORDS = "so the sum of two is wait check that again hence loop"
STATES = {None: "kept", "coarse": "one", "fine": "two"}


def decide(sample: Sample, seed: int = 0, *, share: float = 0.2, budget: int | None = 40) -> StepCut:
    """A decision by chance: words are the tokens, some steps are gone by stage 1, the others have any order."""
    chance = random.Random(f"{seed} {sample.digest()}")
    spans = split_steps(sample.cot)
    words = [max(1, len(sample.cot[span.start : span.end].split())) for span in spans]
    first = [index for index in range(len(spans)) if chance.random() < share][: len(spans) - 1]
    scores = {index: round(chance.expovariate(0.3), 6) for index in range(len(spans)) if index not in first}
    order = [*first, *sorted(scores, key=lambda index: scores[index])]
    left = [sum(words) - sum(words[index] for index in order[: number + 1]) for number in range(len(order))]
    steps = [
        StepDecision(
            index=index,
            start=span.start,
            end=span.end,
            tokens=words[index],
            match=None,
            alignment=-0.1 if index in first else 0.2,
            surprisal=scores.get(index),
            score=scores.get(index),
            rank=order.index(index),
            tokens_left=left[order.index(index)],
            kept=index not in first,
            removed_by="coarse" if index in first else None,
        )
        for index, span in enumerate(spans)
    ]
    coarse = left[len(first) - 1] if first else sum(words)
    whole = StepCut(sample.id, "asap", sum(words), coarse, coarse, None, 1, 1, CoarseReport("align"), steps)
    return cut(whole, budget=budget)


def write_run(
    folder: Path,
    rows: Iterable[tuple[Sample, Decision | Mapping[str, Any]]],
    rejected: Sequence[RowError] = (),
    **settings: Any,
) -> Path:
    """A folder as `asap prune` leaves it, as far as the page reads it."""
    counts: dict[str, Any] = {"rows": len(rejected), "pruned": 0, "unchanged": 0}
    counts |= {"rejected": len(rejected), "rejected_by": {error.reason: 1 for error in rejected}, "tokens_before": 0, "tokens_after": 0}
    lines = list[str]()
    with Store.open(folder) as store, store.new_input() as incoming:
        for position, (sample, decision) in enumerate(rows):
            row = decision.as_row() if isinstance(decision, Decision) else dict(decision)
            incoming.add_sample(position, "rows.jsonl", position + 1, sample)
            store.decide(sample.digest(), False, packed(row))
            counts |= {"rows": counts["rows"] + 1, "pruned": counts["pruned"] + 1}
            lines.append(json.dumps(decision_line(decision_from_row(row))))
            for name in ("tokens_before", "tokens_after"):
                counts[name] += row[name]
    (folder / "decisions.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    refused = [
        {"id": error.row_id, "source": "rows.jsonl", "line": 900, "reason": error.reason, "detail": error.detail} for error in rejected
    ]
    (folder / "rejected.jsonl").write_text("".join(json.dumps(row) + "\n" for row in refused), "utf-8")
    manifest = {"settings": {**SETTINGS, **settings}, "counts": counts, "llm": None, "versions": {"python": "3"}, "input_hash": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def sample(number: int, steps: int = 12, words: int = 8) -> Sample:
    """A row whose text follows from its number."""
    chance = random.Random(number)
    said = [" ".join(chance.choices(WORDS.split(), k=chance.randint(1, words))) for _ in range(steps)]
    return Sample(f"row-{number}", f"What is {number} plus {number}?", "\n\n".join(said), f"It is {2 * number}.")


def states(page: Any) -> list[str]:
    """What the page shows of each step of the open trace: kept, one (removed by stage 1) or two."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('.step')].map(step => step.dataset.state)")
    return found


def listed(page: Any, part: str = ".id") -> list[str]:
    """The rows of the list that are on screen, in order: their ids or another part."""
    rows = "[...document.querySelectorAll('.item')].sort((a, b) => a.dataset.at - b.dataset.at)"
    found: list[str] = page.evaluate(f"{rows}.map(row => row.querySelector('{part}').textContent)")
    return found


def texts(page: Any, query: str) -> list[str]:
    """The texts of elements as they were written, their paragraphs and code blocks on lines of their own."""
    parts = f"[...document.querySelectorAll('{query}')].map(body => [...body.children].map(part => part.textContent).join('\\n'))"
    found: list[str] = page.evaluate(parts)
    return found


def shown_as_cut(page: Any, folder: Path) -> None:
    """Every trace on the page is cut as in the folder's decisions."""
    for number, line in enumerate(read_decisions(folder)):
        open_trace(page, number, line["id"])
        assert states(page) == [STATES[step["removed_by"]] for step in line["steps"]], line["id"]
        assert f"{line['tokens_before']:,} tokens → {line['tokens_after']:,} (" in page.locator(".trace .sum").inner_text()


def open_trace(page: Any, number: int, name: str) -> None:
    """Go to a trace by its address and wait until all its steps are drawn."""
    page.evaluate(f"location.hash = 'trace={number}'")
    page.locator(".trace h1", has_text=name).wait_for()
    while not page.evaluate("document.querySelectorAll('.step').length === document.querySelectorAll('.step > .margin').length"):
        settle(page)


def set_budget(page: Any, kind: str, value: float) -> None:
    """Type a budget (tokens) or a ratio (a share) into the field."""
    page.locator(f".control input[value={kind}]").check(force=True)
    field = page.locator(".control .field")
    field.fill(str(round(100 * value, 4)) if kind == "ratio" else str(value))
    field.press("Enter")
    field.blur()
    settle(page)


def settle(page: Any) -> None:
    """Wait until what was asked for is drawn: work waits for the next frame at most."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")
