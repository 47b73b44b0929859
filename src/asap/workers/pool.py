"""Workers in processes of this machine, one for each device of the list.

A worker does nothing but read, compute and send back. It ends itself, in the middle of anything, when the pipe to the run closes:
so no worker is left over when the run is killed.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue

from asap.errors import AsapError, one_line
from asap.tables import number_of
from asap.workers.blueprint import Blueprint
from asap.workers.crew import Batch, Crew, Death, Finished, Ready
from asap.workers.devices import devices_of, pin, threads_each
from asap.workers.local import InProcess, decide_rows, description, rows_at_once
from asap.workers.rows import Workers

_PATIENCE_S = 10.0  # for a process that has closed its pipe


@contextmanager
def local_workers(blueprint: Blueprint, devices: str) -> Iterator[Workers]:
    """The workers on a list of this machine's devices; they end with the block. A CPU alone needs no process besides this one."""
    names = devices_of(devices, needs_model=blueprint.needs_model)
    if names in (["cpu"], ["mps"]):
        yield InProcess(blueprint.pruner(names[0]))
        return
    processes = Processes(blueprint, names, threads_each(names))
    try:
        yield Crew(blueprint, processes)
    finally:
        processes.close()


class Processes:
    """The transport to processes of this machine."""

    def __init__(self, blueprint: Blueprint, devices: Sequence[str], threads: int) -> None:
        self.places = devices
        self.where = f"{len(devices)} process{'es' * (len(devices) != 1)} on {', '.join(devices)}"
        if "cpu" in devices:
            self.where += f" with {number_of(threads, 'thread')} each"
        self._blueprint, self._threads = pickle.dumps(blueprint), threads
        self._live: dict[int, tuple[BaseProcess, Connection]] = {}

    def start(self, number: int) -> None:
        """Start the worker of a device. It is a new interpreter: CUDA does not survive a fork."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, number, self._blueprint, self.places[number], self._threads)
        process = context.Process(target=_work, args=arguments, daemon=True, name=f"asap on {self.places[number]}")
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: Ctrl-C is for the run alone
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        self._live[number] = process, ours

    def send(self, number: int, batch: Batch) -> None:
        """Hand a batch to a worker. If it is dead, `wait` says so."""
        with suppress(OSError):
            self._live[number][1].send(batch)

    def wait(self) -> list[Ready | Finished | Death]:
        """What happened next."""
        happened: list[Ready | Finished | Death] = []
        numbers = {id(connection): number for number, (_, connection) in self._live.items()}
        for connection in wait([connection for _, connection in self._live.values()]):
            number = numbers[id(connection)]
            try:
                message = self._live[number][1].recv()
            except (EOFError, OSError):
                message = Death(number, "")
            if isinstance(message, AsapError):
                raise message
            if isinstance(message, Death):
                how = self._end(number)
                message = Death(number, message.how or how)
            happened.append(message)
        return happened

    def _end(self, number: int) -> str:
        """See a worker off that is dying; how it died."""
        process, connection = self._live.pop(number)
        connection.close()
        process.join(_PATIENCE_S)
        process.kill()
        process.join()
        code = process.exitcode or 0
        if code == -signal.SIGKILL:
            return "killed by SIGKILL, as the system does when memory runs out"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """End all workers; nothing that they have is worth keeping."""
        for process, _ in self._live.values():
            process.kill()
        for process, connection in self._live.values():
            process.join()
            connection.close()
        self._live.clear()


def _work(run: Connection, number: int, blueprint: bytes, device: str, threads: int) -> None:
    """The life of a worker: say what it is, then answer batch after batch."""
    batches: SimpleQueue[Batch] = SimpleQueue()
    threading.Thread(target=_receive, args=(run, batches), daemon=True).start()
    try:
        pin(device, threads)
        pruner = pickle.loads(blueprint).pruner(device)
        run.send(Ready(number, description(pruner), rows_at_once(pruner)))
        while True:
            run.send(Finished(number, decide_rows(pruner, batches.get())))
    except AsapError as error:
        run.send(error)
    except BaseException as error:  # border: whatever goes wrong in a row must not end the run
        with suppress(OSError):
            run.send(Death(number, f"{type(error).__name__}: {one_line(error)}"))
        os._exit(1)


def _receive(run: Connection, batches: "SimpleQueue[Batch]") -> None:
    """Take batches from the pipe as they come, so that neither side waits for the other to read; end the process with the run."""
    try:
        while True:
            batches.put(run.recv())
    except (EOFError, OSError):
        os._exit(1)
