"""The sandbox as the rest of ASAP uses it: a few warm interpreters, and a judge for each kind of check."""

import queue
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Any

from asap.benchmarks.problem import Calls, Program, Stdin
from asap.errors import NoSandbox, UsageError
from asap.sandbox import bwrap, selftest
from asap.sandbox.identity import sandbox_identity
from asap.sandbox.jail.channel import BadValue, Closed
from asap.sandbox.judge import Failed, answers, judge_once
from asap.sandbox.missing import explained
from asap.sandbox.packages import Packages, visible_packages
from asap.sandbox.verdict import Kind, Limits, Verdict
from asap.sandbox.zygote import InfraError, Zygote

_ATTEMPTS = 2


class Sandbox:
    """Runs untrusted code. As many threads as there are workers may call `judge` at once; further callers wait."""

    def __init__(self, workers: int, unsafe: bool, packages: Packages) -> None:
        if workers < 1:
            raise UsageError(f"{workers} workers cannot judge anything, at least 1 is needed")
        self.kind: Kind = "none" if unsafe else "bwrap"
        self.packages = packages
        self.identity = sandbox_identity(self.kind, packages)
        self._idle: queue.Queue[tuple[int, Zygote | None]] = queue.Queue()
        self._closed = threading.Event()
        # bubblewrap dies with the thread that started it, so one thread that lives as long as this process starts them all
        self._starter = ThreadPoolExecutor(1, "asap-sandbox")
        self._slots = workers
        first = self._start(0)
        try:
            if not unsafe:
                _refuse_leaks(selftest.probe(first))
        except BaseException:
            first.close()
            self._starter.shutdown()
            raise
        self._idle.put((0, first))
        for slot in range(1, workers):
            self._idle.put((slot, None))

    @classmethod
    def open(cls, workers: int = 2, unsafe: bool = False, packages: Sequence[str] = (), imported: Iterable[str] = ()) -> "Sandbox":
        """Start the sandbox and test it. Raises UsageError with the remedy if it does not start or does not hold.

        `unsafe` runs solutions with limits but without a sandbox, and every verdict says so. Programs may import the
        standard library, numpy, the `packages` of this environment, and what provides the `imported` modules, as far as it is installed.
        """
        return cls(workers, unsafe, visible_packages(packages, imported))

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def judge(self, check: Calls | Stdin | Program, solution: str, limits: Limits | None = None) -> Verdict:
        """The verdict on one solution, a whole program. A failure of the harness is retried once before it is reported."""
        limits = limits or Limits()
        isolation = check.isolation if isinstance(check, Program) else "apart"
        if not solution.strip():
            return Verdict("no-answer", sandbox=self.kind, limits=limits, isolation=isolation)
        slot, zygote = self._take()
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    zygote = self._living(slot, zygote)
                    verdict = explained(judge_once(zygote, check, solution, limits), self.packages)
                    return replace(verdict, retried=attempt > 0, isolation=isolation)
                except (InfraError, OSError) as error:
                    fault = error
                    self._dropped(zygote)
                    zygote = None
            why = f"{type(fault).__name__}: {fault}"[:300]
            return Verdict("infra", why, sandbox=self.kind, limits=limits, retried=True, isolation=isolation)
        finally:
            self._idle.put((slot, zygote))

    def outputs(self, entry_point: str, inputs: Sequence[Sequence[Any]], solution: str, limits: Limits | None = None) -> list[Any]:
        """What a solution returns for each input, for checks whose expected values come from a reference. Raises UsageError if it fails."""
        limits = limits or Limits()
        slot, zygote = self._take()
        try:
            zygote = self._living(slot, zygote)
            run = zygote.run("solution", limits)
            try:
                return list(answers(run, entry_point, inputs, solution))
            except Failed as error:
                raise UsageError(f"{entry_point} raises {error.fault['type']}: {error.fault['message'][:100]}") from None
            except (Closed, BadValue) as error:
                report = run.end()
                raise UsageError(f"{entry_point} gives no output: {error} ({report.reason}, {report.cpu_s:.1f} s of CPU time)") from None
            finally:
                run.close()
        finally:
            self._idle.put((slot, zygote))

    def close(self) -> None:
        """End all interpreters and everything that still runs in them. Threads waiting for a verdict get `infra`."""
        self._closed.set()
        for _ in range(self._slots):
            _, zygote = self._idle.get()
            if zygote is not None:
                zygote.close()
        self._starter.shutdown()

    def _take(self) -> tuple[int, Zygote | None]:
        if self._closed.is_set():
            raise UsageError("the sandbox is closed")
        return self._idle.get()

    def _start(self, slot: int) -> Zygote:
        return self._starter.submit(Zygote, slot, self.kind == "none", self.packages).result()

    def _living(self, slot: int, zygote: Zygote | None) -> Zygote:
        if zygote is not None and zygote.alive():
            return zygote
        self._dropped(zygote)
        return self._start(slot)

    def _dropped(self, zygote: Zygote | None) -> None:
        if zygote is not None:
            zygote.close()


def _refuse_leaks(rows: Sequence[tuple[str, bool, str]]) -> None:
    found = selftest.failures(rows)
    if found:
        raise NoSandbox(f"the sandbox does not hold on this machine ({found}): {bwrap.REMEDY}")


def self_test() -> list[tuple[str, bool, str]]:
    """Each promise of the sandbox, tried once: name, whether it holds, what was seen. Raises UsageError if it does not start."""
    with ThreadPoolExecutor(1) as starter:
        zygote = starter.submit(Zygote, 0, False, visible_packages()).result()
        try:
            return selftest.probe(zygote)
        finally:
            zygote.close()
