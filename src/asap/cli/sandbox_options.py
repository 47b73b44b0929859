"""The options for judging untrusted code that `asap score` and `asap evaluate` share."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from asap.cli.options import at_least, whole
from asap.cli.terminal import console_for, say
from asap.errors import NoSandbox, UsageError

if TYPE_CHECKING:
    from asap.benchmarks.problem import Problem
    from asap.evaluate.comparer import Comparer
    from asap.evaluate.reference import LimitSettings
    from asap.sandbox import Sandbox

JUDGING = Group("Judging", sort_key=4)
_MOST_WORKERS = 8
_HEARTBEAT_S = 15.0


@Parameter(name="*")
@dataclass(frozen=True)
class SandboxOptions:
    """How programs are judged."""

    extract: Annotated[
        Literal["benchmark", "last", "first", "longest", "livecodebench"],
        Parameter(
            help="Which code of an answer counts, of what follows the thinking. last: the last Python block that defines what the tests "
            "need; livecodebench: the lines between the last two that contain ```; benchmark: livecodebench for LiveCodeBench, else last.",
            group=JUDGING,
        ),
    ] = "benchmark"
    think_tags: Annotated[
        str | None,
        Parameter(
            help="OPEN,CLOSE: tags that the model thinks between, beside <think>, <thought>, [THINK], Harmony's channels and the others "
            "that are known (docs/thinking.md).",
            group=JUDGING,
        ),
    ] = None
    workers: Annotated[
        int | None, Parameter(help="Programs that run at once. [default: one for each core, at most 8]", group=JUDGING, converter=whole)
    ] = None
    least_cpu: Annotated[float, Parameter(help="CPU seconds that each program gets at least.", group=JUDGING)] = 10.0
    cpu_factor: Annotated[
        float, Parameter(help="A program gets so many times the CPU seconds of the reference solution on this machine.", group=JUDGING)
    ] = 10.0
    memory: Annotated[int, Parameter(help="Memory of each program in MB.", group=JUDGING, converter=whole)] = 2048
    packages: Annotated[
        list[str] | None,
        Parameter(
            help="Packages of this environment that solutions may import: pandas,scipy. Those that tests and reference "
            "solutions import are there anyway, if installed.",
            group=JUDGING,
        ),
    ] = None
    unsafe_no_sandbox: Annotated[
        bool,
        Parameter(
            negative="",
            help="Run untrusted code without a sandbox: with your rights, your files and your network. Every record says so.",
            group=JUDGING,
        ),
    ] = False

    @property
    def limits(self) -> "LimitSettings":
        """The limits that the options set. Raises UsageError."""
        from asap.evaluate.reference import LimitSettings

        for name, value in (("least-cpu", self.least_cpu), ("cpu-factor", self.cpu_factor)):
            if not value > 0:
                raise UsageError(f"--{name} is {value:g}; a number above 0 is expected")
        at_least("memory", self.memory, 64)
        return LimitSettings(least_s=self.least_cpu, factor=self.cpu_factor, memory_mb=self.memory)

    @property
    def worker_count(self) -> int:
        """The number of programs that run at once. Raises UsageError."""
        return at_least("workers", self.workers, 1) or min(_MOST_WORKERS, os.cpu_count() or 1)

    @contextmanager
    def comparer(self, problems: "Iterable[Problem]") -> Iterator["Comparer"]:
        """What compares the results of these problems. Raises MissingExtra."""
        from asap.benchmarks.problem import gold_rules
        from asap.evaluate.comparer import Comparer

        with Comparer.open(self.worker_count, gold_rules(problems)) as comparer:
            yield comparer

    @contextmanager
    def sandbox(self, problems: "Sequence[Problem]") -> Iterator["Sandbox | None"]:
        """The sandbox for these problems, tested and open; None if none of them runs a program. Raises UsageError."""
        from asap.benchmarks.problem import GoldResult
        from asap.sandbox import Sandbox, imported_modules

        if problems and all(isinstance(problem.check, GoldResult) for problem in problems):
            yield None
            return
        try:
            opened = Sandbox.open(self.worker_count, self.unsafe_no_sandbox, self.packages or [], imported_modules(problems))
        except NoSandbox as error:
            raise UsageError(str(error) if self.unsafe_no_sandbox else f"{error}, or type --unsafe-no-sandbox in full") from error
        with opened as sandbox:
            yield sandbox


def progress_line(name: str = "") -> Callable[[str, int, int], None]:
    """A function that occasionally prints progress to stderr, of what has this name."""
    of = f"{name}: " if name else ""
    console = console_for(stderr=True)
    last = time.monotonic()

    def on_progress(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _HEARTBEAT_S or (done == total and what != "reference solutions"):
            last = now
            console.print(f"{of}{done}/{total} {what}", highlight=False, markup=False, soft_wrap=True)

    return on_progress


def print_faults(summary: Mapping[str, Any]) -> int:
    """Print to stderr what a reader of the figures must know. Returns the exit code: 1 if nothing of a benchmark could be scored."""
    from asap.evaluate.summary import faults_of

    code = 0
    for entry in summary["benchmarks"]:
        notes = [f"note: {fault}" for fault in faults_of(entry)]
        if entry.get("opened_assumed"):
            notes.append(
                "note: generations without a think tag, while others close thinking that they do not open, so taken as cut off while "
                f'thinking ("opened": false in a row says otherwise): {entry["opened_assumed"]}'
            )
        if entry.get("rejected"):
            notes.append(f"note: rows that are no attempts at {entry['benchmark']}: {entry['rejected']}; rejected.jsonl says why")
        if not entry["scored"] and entry["attempted"]:
            code = 1
            notes.append(
                f"asap: {entry['benchmark']}: none of the {entry['attempted']} problems attempted can be judged here, so there is no "
                "Pass@1; mend what the details in verdicts.jsonl name (tests, packages, reference solutions) and run the same again"
            )
        for note in notes:
            say(note, error=True)
    return code
