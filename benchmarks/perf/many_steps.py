"""CPU time and peak memory of `asap prune` and what follows it, on one trace of ever more steps: is each step as cheap as the last?

Run `python benchmarks/perf/many_steps.py`, with `--sizes 1000000` for the largest; each run is a process of its own, without a model. The
column "a step" is the CPU time above that of a trace of ten steps, divided by the steps; "growth" compares it with the size before, so 1.0
is linear. `--kinds` chooses what the steps look like; `--then` what else is run on the folder: `cut`, `review`.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from figures import Figure, at_most

WORDS = "so the sum of two numbers is first wait check that loop again then answer list because hence maybe window node".split()  # noqa: SIM905
SIZES = (5_000, 10_000, 20_000, 200_000)
PRUNE = ("--method", "keep-tail", "--ratio", "0.5")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["lines"])
    parser.add_argument("--options", default=" ".join(PRUNE), help="of asap prune, in one argument: --options='…' (default: %(default)s)")
    parser.add_argument("--then", nargs="+", choices=("cut", "review"), default=[])
    args = parser.parse_args()
    print("| steps | command | CPU s | ms a step | growth | peak MB |\n|---|---|---|---|---|---|")
    for kind in args.kinds:
        for run in runs_of(kind, args.sizes, args.options.split(), args.then):
            growth = f"{run.growth:.2f}" if run.growth else ""
            print(
                f"| {run.size:,} {kind} | {run.command} | {run.cpu:.1f} | {run.each * 1000:.3f} | {growth} | {run.peak:,.0f} |", flush=True
            )


def figures(quick: bool) -> Iterator[Figure]:
    """The line for `run.py`."""
    sizes = (5_000, 20_000) if quick else (20_000, 200_000, 1_000_000)
    runs = [run for run in runs_of("lines", sizes, PRUNE, []) if run.growth]
    yield at_most(
        f"CPU time a step, {' to '.join(f'{size:,}' for size in sizes)} steps", [run.growth for run in runs], 1.3, "the size before"
    )


class Run(NamedTuple):
    """What a command took for a trace: CPU seconds, those for each step, these against the size before (0: the first), and megabytes."""

    size: int
    command: str
    cpu: float
    each: float
    growth: float
    peak: float


def runs_of(kind: str, sizes: list[int] | tuple[int, ...], options: list[str] | tuple[str, ...], then: list[str]) -> Iterator[Run]:
    """Every command on every size."""
    commands: dict[str, Callable[[Path], list[str]]] = {
        "prune": lambda folder: ["prune", str(folder / "rows.jsonl"), *options, "--out", str(folder / "out")],
        "cut": lambda folder: ["cut", str(folder / "out"), "--ratio", "0.3", "--out", str(folder / "cut")],
        "review": lambda folder: ["review", str(folder / "out"), "--out", str(folder / "page.html")],
    }
    before, floor = dict[str, float](), dict[str, float]()
    for size in (10, *sizes):
        with tempfile.TemporaryDirectory(prefix="asap-steps-") as scratch:
            folder = Path(scratch)
            row = {"question": "What is it?", "cot": KINDS[kind](size), "answer": "It is 2."}
            (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
            for command in ("prune", *then):
                cpu, peak = timed(commands[command](folder))
                if size == 10:
                    floor[command] = cpu
                    continue
                each = max(cpu - floor[command], 1e-3) / size
                yield Run(size, command, cpu, each, each / before[command] if command in before else 0.0, peak)
                before[command] = each


def timed(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak megabytes of a command of asap, with its children."""
    process = subprocess.Popen([sys.executable, "-m", "asap", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"asap {' '.join(command)} ended with {status}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def lines(count: int) -> str:
    """Short lines, with blank lines between them."""
    drawn = random.Random(0)
    return "\n\n".join(f"Step {number}: {' '.join(drawn.choices(WORDS, k=8))}." for number in range(count))


def lists(count: int) -> str:
    """A list nested forty deep, again and again; its steps start with spaces."""
    return "\n\n".join(f"{'  ' * (number % 40)}- so we take number {number} of the list" for number in range(count))


def fences(count: int) -> str:
    """Code blocks, each a step."""
    return "\n\n".join(f"```python\nx = {number}\n\nprint(x)\n```" for number in range(count))


def blank(count: int) -> str:
    """Two steps, and as many blank lines between them."""
    return "First this." + "\n" * count + "Then that."


def huge(count: int) -> str:
    """Two steps, one of which has as many words."""
    return "First this.\n\n" + " ".join(random.Random(0).choices(WORDS, k=count))


KINDS: dict[str, Callable[[int], str]] = {"lines": lines, "lists": lists, "fences": fences, "blank": blank, "huge": huge}

if __name__ == "__main__":
    main()
