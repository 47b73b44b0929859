"""Processes that do not outlive this one, however it ends, and whose output goes into a log."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

_PR_SET_PDEATHSIG = 1
_SHOWN, _LONGEST = 3, 600  # lines and characters of a log in a message
_TAIL = 1 << 16

Child = subprocess.Popen[bytes]


def start(words: Sequence[str], output: IO[bytes]) -> Child:
    """A process in a group of its own, whose stdout and stderr go into a file. On Linux the kernel kills it when this one ends."""
    return subprocess.Popen(
        words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, preexec_fn=_die_with(os.getpid()), start_new_session=True
    )


def stop(process: Child, how: signal.Signals, patience_s: float) -> None:
    """Stop a process with all of its group: by a signal, and if it does not end in time, or we are interrupted once more, by SIGKILL."""
    try:
        if process.poll() is None:
            _signal(process, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)
    finally:
        _signal(process, signal.SIGKILL)  # also what the process left in its group
        process.wait()


def _signal(process: Child, how: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # PermissionError: of macOS, for a group of ended processes
        os.killpg(process.pid, how)


@contextmanager
def ends_as_interrupted() -> Iterator[None]:
    """Have SIGTERM, and the end of the terminal, end the block as Ctrl-C does, so that what it started is stopped.

    Signals that somebody handles or ignores (`nohup`) stay as they are, and all do in a thread other than the main one.
    """
    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in (signal.SIGTERM, signal.SIGHUP) if is_main and signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_of(log: Path) -> str:
    """The last lines that a log has behind its last command, as one line. A command stands behind `$ `."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        text = file.read().decode("utf-8", errors="replace")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    commands = [place for place, line in enumerate(lines) if line.startswith("$ ")]
    said = lines[commands[-1] + 1 :] if commands else lines
    return " / ".join(said[-_SHOWN:])[-_LONGEST:] or "it wrote nothing"


def _die_with(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    return ask
