"""Turns the end of a run into a verdict."""

import errno
import signal
from dataclasses import dataclass
from typing import Any

from asap.sandbox.verdict import Limits, Report, Word

GRACE_S = 2.0
_NO_SPACE = (errno.EFBIG, errno.ENOSPC, errno.EDQUOT)
_OWN_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP)


@dataclass(frozen=True)
class Outcome:
    """What a check found, before the clocks are read. `word` is None if the solution's process ended silently; its report says why."""

    word: Word | None
    detail: str = ""
    passed: int | None = None
    total: int | None = None
    calls: int | None = None
    tests: tuple[tuple[str, str], ...] = ()


def ending(report: Report, limits: Limits) -> tuple[Word, str]:
    """Why a solution's process ended without sending anything."""
    if report.reason == "cpu" or report.status == -signal.SIGXCPU or (report.status == -signal.SIGKILL and report.cpu_s >= limits.cpu_s):
        return "timeout", f"more than {limits.cpu_s:g} s of CPU time"
    if report.reason == "wall":
        return "timeout", f"more than {limits.wall_s:g} s, of which {report.cpu_s:.1f} s of CPU time"
    if report.reason == "stop":
        return "error", "it closed its connection"
    if report.status >= 0:
        return "error", f"it ended early with exit status {report.status}"
    number = -report.status
    name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
    return ("crash" if number in _OWN_SIGNALS else "killed"), f"ended by {name}"


def of_fault(fault: dict[str, Any]) -> tuple[Word, str]:
    """The verdict on an exception, judged by the solution's description of it."""
    detail = f"{fault['type']}: {fault['message']}"
    if "MemoryError" in fault["above"]:
        return "memory", detail
    if fault["errno"] in _NO_SPACE:
        return "disk", detail
    if fault["errno"] == errno.EPERM:
        detail += " (the sandbox allows no new process and no connection)"
    return ("output" if fault["type"] == "TooLarge" else "error"), detail
