"""What a whole program's start and end cost in the sandbox: ways to end a forked interpreter, a run, and imports of packages.

Each way to end is taken by forks of one warm interpreter, in turns. An import is made by an interpreter of its own, which then forks.
"""

import argparse
import ctypes
import gc
import importlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from asap.benchmarks.problem import Stdin
from asap.sandbox import Sandbox
from asap.sandbox.jail import program
from asap.sandbox.jail.zygote import _PRELOADED

_SUM = "input()\nprint(sum(map(int, input().split())))"
_INPUT, _RIGHT = "3\n1 2 3\n", "6\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--packages", default="numpy,pandas,scipy.stats,sympy,networkx,torch")
    parser.add_argument("--import", dest="module", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.module:
        print_import(options.module)
        return
    for name in _PRELOADED.split():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    ends = {"os._exit": lambda: os._exit(0), "as a program ends": as_a_program, "Python's own": lambda: ctypes.pythonapi.Py_Exit(0)}
    costs = {name: [cpu_of_forks(end, options.runs // 4) for _ in range(4)] for name, end in ends.items()}
    for name, found in costs.items():
        print(f"{name:20} {statistics.median(found):5.2f} ms of CPU time a fork")
    check = Stdin([_INPUT] * options.runs, [_RIGHT] * options.runs, lambda output, expected: output == expected)
    with Sandbox.open(1) as sandbox:
        verdicts = [sandbox.judge(check, _SUM) for _ in range(3)]
    assert all(verdict.passed for verdict in verdicts)
    print(f"{'a run in the sandbox':20} {min(verdict.cpu_s for verdict in verdicts) / options.runs * 1000:5.2f} ms of CPU time")
    for name in options.packages.split(","):
        subprocess.run([sys.executable, __file__, "--import", name], env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, check=True)


def as_a_program() -> None:
    """The end that programs have in the sandbox."""
    program._finish()
    program._let_go()
    os._exit(0)


def cpu_of_forks(end: Callable[[], object], number: int) -> float:
    """CPU milliseconds of a forked process that only ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(number):
        pid = os.fork()
        if pid == 0:
            end()
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / number


def print_import(module: str) -> None:
    """What it costs to import a module, and to fork afterwards."""
    started, address_space = time.process_time(), of_process("VmPeak")
    importlib.import_module(module)
    took = time.process_time() - started
    fork = statistics.median(cpu_of_forks(lambda: os._exit(0), 20) for _ in range(3))
    grown = (of_process("VmPeak") - address_space) >> 10
    threads = of_process("Threads")
    print(f"{'import ' + module:20} {took:5.2f} s of CPU time, {grown} MB of address space, {threads} threads, fork {fork:.2f} ms")


def of_process(name: str) -> int:
    """A number of /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    main()
