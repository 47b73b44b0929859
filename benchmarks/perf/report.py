"""What a report on many attempts costs: CPU seconds against reading the runs alone, bytes of the page, and its elements in Chromium.

`python benchmarks/perf/report.py --folder SCRATCH` writes finished evaluations of 10 arms, 1,000 problems and 4 samples from a seed, has
`asap report` make its files, and opens the page: the overview, the end of its list, and a problem. `--scale 1,2` does so with as many
times the problems, which shows what grows faster than they do. `--benchmarks` spreads the problems over so many benchmarks.
"""

import argparse
import json
import platform
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from asap.tables import Table

WORDS = "so the sum of two numbers is first wait check that loop again then answer list index value 42 17 x = y + 1 because hence returns"
VERDICTS = ("pass", "pass", "fail", "no-answer", "error")
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ELEMENTS = "document.querySelectorAll('*').length"


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="a scratch folder")
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--benchmarks", type=int, default=1)
    parser.add_argument("--characters", type=int, default=4000, help="of a generation, in the mean")
    parser.add_argument("--scale", default="1", help="times the problems, with commas")
    parser.add_argument("--no-browser", action="store_true")
    args = parser.parse_args()
    lines = list[list[str]]()
    for times in map(float, args.scale.split(",")):
        problems = round(times * args.problems)
        folder = args.folder / f"{args.arms}-{problems}-{args.samples}-{args.benchmarks}"
        runs = [write_run(folder / f"arm{arm}", arm, problems, args.samples, args.benchmarks, args.characters) for arm in range(args.arms)]
        read, size = reading(runs)
        made, memory = reported(runs, folder / "report")
        page = folder / "report" / "report.html"
        found = None if args.no_browser else looked_at(page)
        shutil.rmtree(folder)
        attempts = args.arms * problems * args.samples
        line = [f"{attempts:,}", f"{size / 1e6:.0f}", f"{read:.1f}", f"{made:.1f}", f"{made / read:.1f}", f"{memory}"]
        lines.append([*line, *(found.cells if found else [""] * 4)])
        print(" | ".join(lines[-1]), flush=True)
    header = [
        "attempts",
        "MB of runs",
        "reading, CPU s",
        "report, CPU s",
        "ratio",
        "peak MiB",
        "page MB",
        "elements",
        "at the end",
        "problem",
    ]
    print(f"\n{processor()}, Python {platform.python_version()}\n")
    print(Table(header, lines, "r").markdown(padded=True))


def write_run(folder: Path, arm: int, problems: int, samples: int, benchmarks: int, characters: int) -> Path:
    """A finished evaluation as `asap evaluate` leaves it."""
    chance, words = random.Random(arm), WORDS.split()
    folder.mkdir(parents=True)
    entries = list[dict[str, Any]]()
    with (folder / "attempts.jsonl").open("w") as attempts, (folder / "verdicts.jsonl").open("w") as verdicts:
        for number in range(benchmarks):
            name, own = f"maths:{number}.jsonl", range(number, problems, benchmarks)
            for problem in own:
                for sample in range(samples):
                    head = {"benchmark": name, "task_id": f"problem/{problem}", "sample": sample}
                    size = round(chance.gammavariate(2, characters / 2))
                    text = " ".join(chance.choices(words, k=max(1, size // 5)))
                    tokens = {"tokens": size // 4, "seconds": round(size / 4000, 3)}
                    row = {**head, "asked": f"Question {problem}: {' '.join(words * 4)}?", "generation": f"<think>\n{text}\n</think>\n\n42"}
                    attempts.write(json.dumps({**row, "stopped_by": "stop", "opened": False, "loop": False, **tokens}) + "\n")
                    verdict = chance.choice(VERDICTS)
                    verdicts.write(json.dumps({**head, "verdict": verdict, "passed": verdict == "pass", "detail": "", **tokens}) + "\n")
            entries.append({"benchmark": name, "problems": len(own), "efficiency": {"batch_wall_s_per_sample": 1.0}, "budgets": []})
    settings = {"benchmarks": [entry["benchmark"] for entry in entries], "max_new_tokens": 4096, "model": {"spec": f"hf:arm{arm}-7B"}}
    (folder / "summary.json").write_text(json.dumps({"asap": "0", "settings": settings, "benchmarks": entries}))
    return folder


def reading(runs: list[Path]) -> tuple[float, int]:
    """The CPU seconds of reading all rows as JSON, and their bytes."""
    began, size = time.process_time(), 0
    for path in (run / name for run in runs for name in ("attempts.jsonl", "verdicts.jsonl")):
        size += path.stat().st_size
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                json.loads(line)
    return time.process_time() - began, size


def reported(runs: list[Path], out: Path) -> tuple[float, int]:
    """The CPU seconds of `asap report` with its start, and its peak memory in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "asap", "report", *map(str, runs), "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss // 1024


class Looked(NamedTuple):
    """Bytes of a page, and the elements that it has: at first, at the end of its list, and with a problem open."""

    size: int
    first: int
    end: int
    problem: int

    @property
    def cells(self) -> list[str]:
        """As cells of the table."""
        return [f"{self.size / 1e6:.1f}", f"{self.first:,}", f"{self.end:,}", f"{self.problem:,}"]


def looked_at(file: Path) -> Looked:
    """Open the page, scroll to its end, open the last problem that is listed there."""
    from playwright.sync_api import sync_playwright

    path = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(file.as_uri())
        page.wait_for_selector("#app:not([aria-busy])")
        page.evaluate(SETTLED)
        first = page.evaluate(ELEMENTS)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.evaluate(SETTLED)
        end = page.evaluate(ELEMENTS)
        page.locator(".matrix .item a").last.click()
        page.wait_for_selector(".problem .part .body, .problem .note")
        page.evaluate(SETTLED)
        looked = Looked(file.stat().st_size, first, end, page.evaluate(ELEMENTS))
        browser.close()
    return looked


def processor() -> str:
    """The name of the CPU."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
