"""Checks, limits and eyes on the machine, shared by the sandbox's tests. Standard library only: it also runs as another user."""

import os
import time
from pathlib import Path

from asap.benchmarks.problem import Calls, Program, Stdin
from asap.sandbox import Limits, Sandbox

ATTACKS = Path(__file__).parent / "attacks"
CALLS = Calls("f", [[1], [10], [-4]], [3, 21, -7], lambda _, output, expected: output == expected)
CHECK = Program("def check(f):\n assert f(1) == 3\n assert f(10) == 21\n assert f(-4) == -7", "f")
STDIN = Stdin(["21\n"], ["43"], lambda output, expected: output.strip() == expected)
HONEST = "def f(x): return 2 * x + 1"
LIMITS = Limits(cpu_s=1, wall_s=5)
HANG = Limits(cpu_s=0.4, wall_s=2)
ROOMY = Limits(cpu_s=10, wall_s=60)


def header(file: Path, field: str) -> str:
    """A field of an attack's header."""
    return next(line.partition(":")[2].split("(")[0].strip() for line in file.read_text().splitlines() if line.startswith(f"# {field}"))


def descendants() -> set[int]:
    """Process ids of everything that this process, or anything below it, has started and that still lives."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            parents[int(folder.name)] = int(parent)
    found: set[int] = set()
    fresh = {os.getpid()}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def wait_for(condition, seconds: float = 5.0) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def honest_passes(sandbox: Sandbox) -> bool:
    return sandbox.judge(CALLS, HONEST, ROOMY).verdict == "pass"
