"""Runs of the command line in processes of their own, for tests that kill or interrupt them at a chosen moment.

They are forked from one process that has imported everything, which saves seconds each time.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from asap.cli import run

IMPORTED = [
    "own_process",
    "asap.cli.prune",
    "asap.cli.evaluate",
    "asap.run",
    "asap.progress",
    "asap.lm.scorer_transformers",
    "asap.lm.openai",
]
IMPORTED += ["asap.evaluate.run", "asap.sandbox", "openai", "transformers.models.llama.modeling_llama"]


def begin(words: Sequence[str], said: Path, prepare: Callable[[], None] | None = None) -> BaseProcess:
    """The process in which `asap` runs with these words, after `prepare`; what it says goes to a file, or to a terminal."""
    if not said.exists():
        said.write_text("")
    return fork(_command, list(words), said, prepare)


def fork(work: Callable[..., None], *arguments: object) -> BaseProcess:
    """The process in which a function of a test's module runs, with the environment of this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    process = context.Process(target=_live, args=(dict(os.environ), work, *arguments), daemon=True)
    process.start()
    return process


def _live(environment: Mapping[str, str], work: Callable[..., None], *arguments: object) -> None:
    import torch

    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    work(*arguments)


def _command(words: list[str], said: Path, prepare: Callable[[], None] | None) -> None:
    file = os.open(said, os.O_WRONLY | os.O_TRUNC)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(file, number)
        setattr(sys, name, os.fdopen(number, "w", buffering=1, encoding="utf-8"))
    if prepare:
        prepare()
    code = run(words)
    sys.stdout.flush()
    os._exit(code)


def wait_until(happened: Callable[[], bool], process: BaseProcess) -> None:
    """Wait for something that happens while a process lives; how long that takes is the machine's affair."""
    while not happened():
        assert process.is_alive(), f"the process ended with {process.exitcode}"
        time.sleep(0.01)


class Gate:
    """Lets a server answer so many requests and holds the others back, so that whoever asks can be stopped just then."""

    def __init__(self) -> None:
        self._most, self._changed = 0.0, threading.Condition()

    def open(self, most: float = float("inf")) -> None:
        """Let this many pass, all in all."""
        with self._changed:
            self._most = most
            self._changed.notify_all()

    def wait(self, number: int) -> None:
        """Hold the request of this number, counted from 0, back as long as it is not to pass."""
        with self._changed:
            self._changed.wait_for(lambda: number < self._most)
