"""How long the review page takes to show 10,000 traces, and how fast it follows the slider.

Writes its own run from a seed (no model), builds the page, and drives it in Chromium. `--traces`, `--steps` and `--words` set
the size of the data, `--long` the steps of the one trace that is opened. Needs playwright and a Chromium on PATH.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from figures import Figure

from asap.review import write_review
from asap.sample import Sample
from asap.store.work import Store

WORDS = "so the loop keeps a sum of all values that it has seen wait check whether index is in range then the answer follows"
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
MOVE = """([query, value]) => new Promise(done => {
  const slider = document.querySelector(query);
  slider.value = value;
  const began = performance.now();
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--long", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asap-review-") as scratch:
        folder = Path(scratch)
        write_run(folder / "run", args.traces, args.steps, args.words, args.long)
        began = time.perf_counter()
        written = write_review(folder / "run", folder / "review.html", most=args.traces)
        took = time.perf_counter() - began
        print(f"{written.shown:,} traces of about {args.steps} steps: page of {written.size / 1e6:.0f} MB written in {took:.1f} s")
        found = measure(folder / "review.html", args.repeats)
    print(f"first view: {shown(found.firsts)} ms")
    print(f"slider, whole set: {shown(found.whole)} ms; with the list on screen {shown(found.listed)} ms")
    print(f"a trace of {found.steps:,} steps: opened in {1000 * found.opened:.0f} ms; slider {shown(found.trace)} ms; {found.frames}")


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`; the goals are for 10,000 traces, and a trace of 5,000 steps."""
    traces = 500 if quick else 10_000
    with tempfile.TemporaryDirectory(prefix="asap-review-") as scratch:
        write_run(Path(scratch) / "run", traces, 100, 20, 5_000)
        write_review(Path(scratch) / "run", Path(scratch) / "review.html", most=traces)
        found = measure(Path(scratch) / "review.html", 1 if quick else 5)
    goals = (("first view", found.firsts, 1500), ("slider", found.whole, 300), ("slider of a trace of 5,000 steps", found.trace, 50))
    for what, times, limit in goals:
        median = statistics.median(times)
        counts = median <= limit if traces == 10_000 or times is found.trace else None
        yield Figure(f"review page of {traces:,} traces, {what}", f"{median:.0f} ms", f"{limit:,} ms", counts)


class Moves(NamedTuple):
    """Milliseconds of each first view and each move of a slider; seconds to open the long trace, its steps, and its frames."""

    firsts: list[float]
    whole: list[float]
    listed: list[float]
    trace: list[float]
    opened: float
    steps: int
    frames: str


def measure(page_file: Path, repeats: int) -> Moves:
    """Open the page some times; move the slider of the overview, then that of the first (the long) trace."""
    from playwright.sync_api import sync_playwright

    path = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        firsts = [first_view(browser, page_file) for _ in range(repeats)]
        page = browser.new_page()
        page.goto(page_file.as_uri())
        page.wait_for_selector("#app:not([aria-busy])")
        page.wait_for_timeout(2000)
        whole = moves(page, ".overview .slider", repeats)
        page.evaluate("scrollTo(0, document.querySelector('.tools').offsetTop)")
        listed = moves(page, ".overview .slider", repeats)
        page.evaluate("location.hash = 'trace=0'")
        began = time.perf_counter()
        page.wait_for_selector(".step .body")
        page.evaluate(SETTLED)
        opened = time.perf_counter() - began
        page.wait_for_timeout(3000)
        steps = page.locator(".step").count()
        trace = moves(page, ".trace .slider", repeats)
        moved = Moves(firsts, whole, listed, trace, opened, steps, frames(page))
        browser.close()
    return moved


def first_view(browser: Any, page_file: Path) -> float:
    """Milliseconds from the start of navigation to the frame that shows the overview."""
    page = browser.new_page()
    page.goto(page_file.as_uri(), wait_until="commit")
    page.wait_for_selector(".sum .big", state="attached", timeout=60_000)
    page.evaluate(SETTLED)
    value: float = page.evaluate("performance.getEntriesByName('first-view')[0].startTime")
    page.close()
    return value


def moves(page: Any, slider: str, repeats: int) -> list[float]:
    """Milliseconds from the slider's event to the end of the frame that shows it, for positions all over it."""
    top = int(page.evaluate(f"document.querySelector('{slider}').max"))
    return [page.evaluate(MOVE, [slider, round(top * place)]) for _ in range(repeats) for place in (0.9, 0.2, 0.6, 0.4, 0.75)]


def frames(page: Any) -> str:
    """How long the frames take while the page is scrolled fast."""
    times: list[float] = page.evaluate(
        """() => new Promise(done => { const times = []; let last = performance.now();
        const step = () => { const now = performance.now(); times.push(now - last); last = now; scrollBy(0, 400);
        times.length < 200 ? requestAnimationFrame(step) : done(times); }; requestAnimationFrame(step); })"""
    )
    return f"scrolled 400 pixels a frame: frames median {statistics.median(times):.0f}, longest {max(times):.0f} ms"


def shown(times: list[float]) -> str:
    """The median and the largest."""
    return f"median {statistics.median(times):.0f}, largest {max(times):.0f}"


def write_run(folder: Path, traces: int, steps: int, words: int, long: int) -> None:
    """A finished run as the page reads it; its first trace is the long one."""
    chance = random.Random(7)
    before = after = 0
    with Store.open(folder) as store, store.new_input() as incoming, (folder / "decisions.jsonl").open("w", encoding="utf-8") as file:
        for number, count in enumerate([long, *(max(1, round(chance.gammavariate(2, steps / 2))) for _ in range(traces - 1))]):
            texts = [" ".join(chance.choices(WORDS.split(), k=max(1, round(chance.gammavariate(2, words / 2))))) for _ in range(count)]
            incoming.add_sample(
                number, "rows.jsonl", number + 1, Sample(f"row-{number}", f"Question {number}?", "\n\n".join(texts), "So it is.")
            )
            row = decision(f"row-{number}", texts, chance)
            file.write(json.dumps(row) + "\n")
            before, after = before + row["tokens_before"], after + row["tokens_after"]
    (folder / "rejected.jsonl").write_text("", "utf-8")
    settings = {
        "method": "asap",
        "budget": 1024,
        "ratio": None,
        "coarse": "none",
        "coarse_only": False,
        "sources": ["rows.jsonl"],
        "asap": "0",
    }
    settings |= {"backfill": False, "rescore": 0, "keep_first": 0, "keep_last": 0, "tokenizer": "", "tokenizer_name": "words", "llm": None}
    counts = {"rejected": 0, "rejected_by": {}, "tokens_before": before, "tokens_after": after}
    manifest = {"settings": settings, "counts": counts, "versions": {}, "input_hash": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def decision(row_id: str, texts: list[str], chance: random.Random) -> dict[str, Any]:
    """A line of decisions.jsonl: words are tokens, the scores are drawn."""
    scores = [round(chance.expovariate(0.25), 6) for _ in texts]
    places = {index: place for place, index in enumerate(sorted(range(len(texts)), key=scores.__getitem__))}
    tokens = [len(text.split()) for text in texts]
    total, left = sum(tokens), list(tokens_left(tokens, places))
    after = next((value for value in [total, *left[:-1]] if value <= 1024), left[-2] if len(left) > 1 else total)
    rows, start = list[dict[str, Any]](), 0
    for index, text in enumerate(texts):
        gone = left[places[index]] >= after and after < total
        row = {"index": index, "start": start, "end": start + len(text), "tokens": tokens[index], "match": None, "alignment": None}
        row |= {"surprisal": scores[index], "score": scores[index], "rank": places[index], "tokens_left": left[places[index]]}
        rows.append({**row, "kept": not gone, "removed_by": "fine" if gone else None})
        start += len(text) + 2
    counts = {"tokens_before": total, "tokens_coarse": total, "tokens_after": after, "budget": 1024, "min_steps": 1, "windows": 1}
    return {"id": row_id, "method": "asap", **counts, "coarse": {"by": "none", "attempts": 0, "failures": []}, "steps": rows, "spans": None}


def tokens_left(tokens: list[int], places: dict[int, int]) -> Iterator[int]:
    """The tokens after each removal."""
    left = sum(tokens)
    for index in sorted(places, key=places.__getitem__):
        left -= tokens[index]
        yield left


if __name__ == "__main__":
    main()
