"""The warm interpreter: forks one process per run, in its own namespaces, and supervises it.

    zygote       never reads a job: it takes descriptors and limits, forks, watches the clocks, kills and reports
      └─ run     first process of its PID namespace: everything it started dies with it

Roles of a run: `solution` (answers calls), `program` (reads standard input), `tests` (a benchmark's `check`), `pytest` (a pytest
file, apart from the solution), `together` (a pytest file and the solution). pytest is imported before the first run that needs it.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import site
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from asap.sandbox.jail import kernel, program, solution, suite
from asap.sandbox.jail.codec import TRUSTED, Channel, Closed

_PRELOADED = (
    "abc array ast bisect collections copy csv dataclasses datetime decimal enum fractions functools hashlib heapq io itertools "
    "json math operator queue random re statistics string struct tempfile textwrap threading time traceback typing unicodedata uuid"
)
_LATE = {"pytest": ("asap.sandbox.jail.apart", "run_apart"), "together": ("asap.sandbox.jail.together", "run_together")}
_MOST_FILES = 4096
_READY = b"ok"
_OWN_FRAMES = 32  # at most so many of ours are below a solution's first one
_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class _Settings:
    """What all runs of a zygote share. `isolated`: it is inside bubblewrap, with the capabilities that creating namespaces requires.

    `seccomp_processes` is the filter for tests that start processes.
    """

    isolated: bool
    seccomp: bytes
    seccomp_processes: bytes
    start_size: int


def main(control_fd: int) -> None:
    """Serve until the other end of the control socket closes. Each message is a job with its descriptors."""
    control = socket.socket(fileno=control_fd)
    first = json.loads(control.recv(1 << 16))
    sys.path.extend(first["paths"])
    for name in _PRELOADED.split():
        __import__(name)
    site.setquit()  # the interpreter itself starts without `site`
    site.setcopyright()
    site.sethelper()
    settings = _warmed(_Settings(first["isolated"], bytes.fromhex(first["seccomp"]), bytes.fromhex(first["seccomp_processes"]), 0))
    control.send(b"warm")
    runs: list[_Run] = []
    while True:
        _wait(control, runs)
        for run in [run for run in runs if run.over()]:
            runs.remove(run)
            run.report()
        if select.select([control], [], [], 0)[0]:
            message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 4)
            if not message:
                for run in runs:
                    run.kill()
                return
            job = json.loads(message)
            try:
                settings = _ready_for(job["role"], settings)
            except ImportError as error:
                _refuse(descriptors, f"the tests need what is not here ({error}): install the extra eval, see asap doctor")
            else:
                runs += _started(job, descriptors, settings)


def _ready_for(role: str, settings: _Settings) -> _Settings:
    """The settings for a run of this role, with the imports that only such runs need. Raises ImportError."""
    if role not in _LATE or _LATE[role][0] in sys.modules:
        return settings
    importlib.import_module(_LATE[role][0])
    return _warmed(settings)


def _refuse(descriptors: list[int], why: str) -> None:
    """Report through the leash that a run cannot start."""
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    with socket.socket(fileno=descriptors[0]) as leash:
        leash.sendall(json.dumps({"reason": "infra", "detail": why}).encode())


def _warmed(settings: _Settings) -> _Settings:
    """The settings for runs that share all that has been imported up to now."""
    gc.collect()
    gc.freeze()
    return replace(settings, start_size=kernel.address_space())


def _wait(control: socket.socket, runs: list["_Run"]) -> None:
    """Wait until a job arrives, a run ends or is let go, or a limit may be reached."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    for run in runs:
        poll.register(run.pidfd, select.POLLIN)
        if run.reason is None:
            poll.register(run.leash, select.POLLIN | select.POLLHUP)
    left = [run.time_left() for run in runs if run.reason is None]
    poll.poll(1000 * max(0.002, min(left)) if left else None)


def _started(job: dict[str, Any], descriptors: list[int], settings: _Settings) -> list["_Run"]:
    """Fork the run; returns an empty list on failure, reported through the leash. Descriptors: leash, link, standard input."""
    leash = socket.socket(fileno=descriptors[0])
    folder = "/tmp" if settings.isolated else tempfile.mkdtemp(prefix="asap-run-")
    said, child_says = os.pipe()
    try:
        if settings.isolated:
            kernel.new_pid_namespace()
        pid = os.fork()
    except OSError as error:
        leash.sendall(json.dumps({"reason": "infra", "detail": f"{type(error).__name__}: {error}"}).encode())
        leash.close()
        os.close(said)
        return []
    else:
        if pid == 0:
            _become_run(job, descriptors[1:], child_says, folder, settings)
        return [_Run(pid, leash, said, job["limits"], None if settings.isolated else folder)]
    finally:
        for descriptor in (child_says, *descriptors[1:]):
            os.close(descriptor)


class _Run:
    """A run in progress: its process, the socket by which the host holds it, its clocks. `folder`: its own folder if not isolated."""

    def __init__(self, pid: int, leash: socket.socket, said: int, limits: dict[str, Any], folder: str | None) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.leash = leash
        self.said = said
        self.limits = limits
        self.folder = folder
        self.started = time.monotonic()
        self.clock = (~pid << 3) | 2  # the CPU clock of another process, over all its threads
        self.reason: str | None = None

    def _left(self) -> tuple[float, float]:
        wall_left = self.limits["wall_s"] - (time.monotonic() - self.started)
        return self.limits["cpu_s"] - time.clock_gettime(self.clock), wall_left

    def time_left(self) -> float:
        """Seconds during which no limit can be reached."""
        cpu_left, wall_left = self._left()
        return min(wall_left, cpu_left / _CORES)

    def over(self) -> bool:
        """Whether the process has ended; kills it once it reaches a limit or the host lets go."""
        if _readable(self.pidfd):
            self.reason = self.reason or "exit"
            return True
        if self.reason is None:
            cpu_left, wall_left = self._left()
            if cpu_left <= 0 or wall_left <= 0:
                self.reason = "cpu" if cpu_left <= 0 else "wall"
            elif _readable(self.leash):
                self.reason = "stop"
            if self.reason:
                self.kill()
        return False

    def kill(self) -> None:
        """Kill it, and with it everything in its namespace."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.folder is None:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            else:
                os.killpg(self.pid, signal.SIGKILL)

    def report(self) -> None:
        """Reap it, clean up, and send the host its report."""
        if self.folder is not None:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        _, status, usage = os.wait4(self.pid, 0)
        said = os.read(self.said, 4096)
        ready = said == _READY
        report = {
            "reason": self.reason if ready or self.reason == "stop" else "infra",
            "detail": "" if ready else said.decode("utf-8", "replace") or "a run ended before it began",
            "status": os.waitstatus_to_exitcode(status),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 4),
            "wall_s": round(time.monotonic() - self.started, 4),
            "peak_kb": usage.ru_maxrss,
        }
        with contextlib.suppress(OSError):  # the host may have closed it already
            self.leash.sendall(json.dumps(report).encode())
        self.leash.close()
        os.close(self.pidfd)
        os.close(self.said)


def _readable(file: int | socket.socket) -> bool:
    return bool(select.select([file], [], [], 0)[0])


def _become_run(job: dict[str, Any], descriptors: list[int], ready: int, folder: str, settings: _Settings) -> NoReturn:
    """Turn this process into the run. Reads nothing of the job until every layer is in place."""
    try:
        link, ready = _arrange(descriptors, ready)
        os.environ["TMPDIR"] = os.environ["HOME"] = folder
        if settings.isolated:
            kernel.private_tmp(job["limits"]["file_mb"], job["uid"], job["gid"])
            if job["role"] == "program":
                _send_output(link, kernel.private_streams())
            kernel.drop_privileges(job["uid"], job["gid"])
            os.chdir(folder)
            kernel.set_limits(job["limits"], settings.start_size)
            kernel.die_with_parent()
            kernel.install_filter(settings.seccomp_processes if job["processes"] else settings.seccomp)
        else:
            if job["role"] == "program":
                reading, writing = os.pipe()
                os.dup2(writing, 1)
                os.close(writing)
                _send_output(link, reading)
            os.setsid()
            os.chdir(folder)
            kernel.set_limits(job["limits"], settings.start_size)
            kernel.die_with_parent()
    except BaseException as error:  # a child that is not fully confined must end here, whatever went wrong
        os.write(ready, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    os.write(ready, _READY)
    os.close(ready)
    _run_role(job["role"], link, job["limits"])


def _send_output(link: int, reading: int) -> None:
    """Hand the reading end of the run's standard output to the host."""
    sender = socket.socket(fileno=link)
    socket.send_fds(sender, [b"o"], [reading])
    sender.detach()
    os.close(reading)


def _arrange(descriptors: list[int], ready: int) -> tuple[int, int]:
    """Set up descriptors 0, 1 and 2 as the standard streams, and the link and the ready message far above; close all others.

    A program that closes what it did not open, or writes to descriptor 3, does not reach the link by accident.
    """
    streams = [*descriptors[1:], *[os.open(os.devnull, os.O_RDWR) for _ in range(3 - len(descriptors[1:]))]]
    high = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_FILES) - 5
    for offset, descriptor in enumerate([*streams, descriptors[0], ready]):
        os.dup2(descriptor, high + offset, inheritable=False)
    for number in range(3):
        os.dup2(high + number, number, inheritable=False)
    os.closerange(3, high + 3)
    return high + 3, high + 4


def _run_role(role: str, link: int, limits: dict[str, Any]) -> NoReturn:
    sys.setrecursionlimit(sys.getrecursionlimit() + _OWN_FRAMES)
    late = getattr(sys.modules[_LATE[role][0]], _LATE[role][1]) if role in _LATE else None
    if role == "together" and late is not None:
        late(link)
    elif role in ("tests", "pytest"):  # its standard input is the link to the solution
        solution_link = socket.socket(fileno=os.dup(0))
        (late or suite.run_suite)(
            Channel(socket.socket(fileno=link), TRUSTED, TRUSTED), Channel(solution_link, TRUSTED, limits["output_bytes"])
        )
    else:
        with contextlib.suppress(Closed):
            serve = {"solution": solution.serve, "program": program.run_program}[role]
            serve(Channel(socket.socket(fileno=link), limits["output_bytes"], TRUSTED))
    os._exit(0)
