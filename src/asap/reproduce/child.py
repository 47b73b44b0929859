"""Processes that do not outlive this one, however it ends."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any

_PR_SET_PDEATHSIG = 1


def start(words: Sequence[str], output: IO[bytes], **how: Any) -> "subprocess.Popen[bytes]":
    """A process whose stdout and stderr go into a file. On Linux the kernel kills it when this one ends."""
    return subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, preexec_fn=_die_with(os.getpid()), **how)


def _die_with(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    return ask
