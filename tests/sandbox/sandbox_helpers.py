"""Checks, limits and eyes on the machine, shared by the sandbox's tests. Standard library only: it also runs as another user."""

import os
import time
from dataclasses import replace
from pathlib import Path

from asap.benchmarks.problem import Calls, Program, Stdin
from asap.sandbox import Limits, Sandbox

ATTACKS = Path(__file__).parent / "attacks"
CALLS = Calls("f", [[1], [10], [-4]], [3, 21, -7], lambda _, output, expected: output == expected)
CHECK = Program("def check(f):\n assert f(1) == 3\n assert f(10) == 21\n assert f(-4) == -7", "f")
FILE = Program(
    "from solution import f\ndef test_one(): assert f(1) == 3\ndef test_two(): assert f(10) == 21\ndef test_three(): assert f(-4) == -7",
    None,
    None,
)
TOGETHER = replace(FILE, isolation="together")
STDIN = Stdin(["21\n"], ["43"], lambda output, expected: output.strip() == expected)
HONEST = "def f(x): return 2 * x + 1"
LIMITS = Limits(cpu_s=1, wall_s=30)  # a busy machine has to give a run its second in that
HANG = Limits(cpu_s=0.4, wall_s=2)  # for those that sleep, or end by whichever limit
ROOMY = Limits(cpu_s=10, wall_s=60)


def header(file: Path, field: str) -> str:
    """A field of an attack's header."""
    return next(line.partition(":")[2].split("(")[0].strip() for line in file.read_text().splitlines() if line.startswith(f"# {field}"))


def interpreters() -> set[int]:
    """Process ids of the sandboxes below this process: bubblewrap, the warm interpreters and their runs. A browser is none of them."""
    children: dict[int, list[int]] = {}
    marked = set()
    for pid, (parent, command) in processes().items():
        children.setdefault(parent, []).append(pid)
        if b"asap.sandbox.jail.zygote" in command:
            marked.add(pid)
    return below(marked & below({os.getpid()}, children), children)


def processes() -> dict[int, tuple[int, bytes]]:
    """All processes that live, with the parent and the command line of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if state not in "ZX":
            found[int(folder.name)] = (int(parent), command)
    return found


def below(roots: set[int], children: dict[int, list[int]]) -> set[int]:
    """These processes and all that they have started, at any remove."""
    found, fresh = set(roots), set(roots)
    while fresh:
        fresh = {child for pid in fresh for child in children.get(pid, [])} - found
        found |= fresh
    return found


def runs() -> set[int]:
    """Process ids of runs, each in a PID namespace inside its interpreter's. After a verdict there is none."""
    return {pid for pid in interpreters() if depth(pid) >= depth(os.getpid()) + 2}


def depth(pid: int) -> int:
    """In how many PID namespaces a process has a number; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(len(line.split()) - 1 for line in status.splitlines() if line.startswith("NSpid"))


def wait_for(condition) -> bool:
    """Whether a condition comes true; the end is only for what never does, however busy the machine."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def honest_passes(sandbox: Sandbox) -> bool:
    return sandbox.judge(CALLS, HONEST, ROOMY).verdict == "pass"
