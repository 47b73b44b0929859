"""The host's side of a warm interpreter: starts it, sends it runs, ends them."""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
from dataclasses import asdict
from typing import Any

from asap.errors import NoSandbox
from asap.sandbox import bwrap
from asap.sandbox.jail.channel import TRUSTED, Channel
from asap.sandbox.packages import Packages
from asap.sandbox.seccomp import filter_program
from asap.sandbox.verdict import Limits, Report

_START_TIMEOUT = 60.0
_REPORT_TIMEOUT = 20.0  # if a killed run takes longer to disappear, the harness is at fault
_MIB_KB = 1024


class InfraError(Exception):
    """The harness failed, not the solution."""


class StartError(NoSandbox):
    """An interpreter for solutions does not start; `reason` is bubblewrap's message."""

    def __init__(self, reason: str, unsafe: bool) -> None:
        what, remedy = ("an interpreter for solutions", "") if unsafe else ("the sandbox", f": {bwrap.REMEDY}")
        super().__init__(f"{what} does not start ({reason}){remedy}")
        self.reason = reason


class Run:
    """One run. `channel` talks to it; `end` kills whatever is left of it and reports how it went."""

    def __init__(self, leash: socket.socket, link: socket.socket | None, limits: Limits) -> None:
        self.leash = leash
        self.link = link
        self.limits = limits
        self._report: Report | None = None

    def channel(self, *, trusted: bool = False) -> Channel:
        """The run's message channel. A trusted run may send long messages."""
        assert self.link is not None
        self.link.settimeout(self.limits.wall_s + _REPORT_TIMEOUT)
        return Channel(self.link, TRUSTED, TRUSTED if trusted else self.limits.output_bytes)

    def output(self) -> int:
        """The reading end of a program's standard output, which it sends before it runs anything. Raises InfraError."""
        assert self.link is not None
        try:
            _, descriptors, _, _ = socket.recv_fds(self.link, 1, 1)
        except OSError as error:
            raise InfraError(f"no standard output of a run: {error}") from None
        if not descriptors:
            self.end(grace_s=_REPORT_TIMEOUT)  # whose report says why
            raise InfraError("a run has no standard output")
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]

    def end(self, *, grace_s: float = 0.0) -> Report:
        """Kill the run if it outlives a grace period, and return its report; none of its processes survives.

        The grace is for a run that has closed its connection: it is usually about to end by itself, and should report how.
        """
        if self._report is None:
            try:
                if grace_s:
                    select.select([self.leash], [], [], grace_s)
                self._report = self._end()
            finally:
                self.close()
        return self._report

    def _end(self) -> Report:
        with contextlib.suppress(OSError):  # it may have reported and exited already
            self.leash.shutdown(socket.SHUT_WR)
        try:
            report = json.loads(self.leash.recv(1 << 16) or b"null")
        except (OSError, ValueError) as error:
            raise InfraError(f"no report of a run: {error}") from None
        if report is None:
            raise InfraError("a run's supervisor is gone")
        if report["reason"] == "infra":
            raise InfraError(report["detail"])
        return Report(report["reason"], report["status"], report["cpu_s"], report["wall_s"], round(report["peak_kb"] / _MIB_KB, 1))

    def close(self) -> None:
        """Close the descriptors; a run that has not ended is lost."""
        self.leash.close()
        if self.link is not None:
            self.link.close()


class Zygote:
    """One worker's warm interpreter."""

    def __init__(self, slot: int, unsafe: bool, packages: Packages) -> None:
        self.uids = bwrap.run_uids(slot)
        self.unsafe = unsafe
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = bwrap.unsafe_command(theirs.fileno()) if unsafe else self._command(theirs.fileno(), packages)
            try:
                self.process = bwrap.start_bwrap(line, theirs.fileno())
            except OSError as error:
                self.control.close()
                raise StartError(str(error.strerror), unsafe) from None
        first = {
            "isolated": not unsafe,
            "seccomp": "" if unsafe else filter_program().hex(),
            "seccomp_processes": "" if unsafe else filter_program(processes=True).hex(),
            "paths": [] if unsafe else [bwrap.site_folder(number) for number in packages.folders],
        }
        self.control.settimeout(_START_TIMEOUT)
        try:
            self.control.send(json.dumps(first).encode())
            warm = self.control.recv(64) == b"warm"
        except OSError:
            warm = False
        if not warm:
            raise self._failed()
        self.control.settimeout(_REPORT_TIMEOUT)

    def _command(self, control_fd: int, packages: Packages) -> list[str]:
        found = bwrap.find_bwrap()
        if found is None:
            self.control.close()
            raise bwrap.missing()
        return bwrap.command(found, control_fd, packages)

    def _failed(self) -> StartError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        self.process.kill()
        errors = self.process.communicate()[1].decode("utf-8", "replace").strip().splitlines()
        self.control.close()
        return StartError(errors[0][:200] if errors else f"exit status {self.process.returncode}", self.unsafe)

    def run(
        self, role: str, limits: Limits, *, link: socket.socket | None = None, streams: tuple[int, ...] = (), processes: bool = False
    ) -> Run:
        """Start a run, which may start `processes` or not.

        `link` is the run's end of a socket whose other end another run holds; by default the host holds it. `streams`: its standard input.
        """
        leash, their_leash = socket.socketpair()
        ours, theirs = socket.socketpair() if link is None else (None, link)
        uid = self.uids[role in ("tests", "pytest")]
        gid = uid if os.geteuid() == 0 else os.getegid()
        job = {"role": role, "limits": self._limits(limits), "uid": uid, "gid": gid, "processes": processes}
        leash.settimeout(limits.wall_s + _REPORT_TIMEOUT)
        try:
            socket.send_fds(self.control, [json.dumps(job).encode()], [their_leash.fileno(), theirs.fileno(), *streams])
        except OSError as error:
            leash.close()
            if ours is not None:
                ours.close()
            raise InfraError(f"a worker's interpreter is gone: {error}") from None
        finally:
            their_leash.close()
            theirs.close()
        return Run(leash, ours, limits)

    def _limits(self, limits: Limits) -> dict[str, Any]:
        """The limits to send. The process limit leaves room for the harness's own; None if it would count all the user's processes."""
        own = os.geteuid() != 0
        countable = not self.unsafe and not (own and _old_kernel())
        return {**asdict(limits), "processes": limits.processes + 16 * own if countable else None}

    def alive(self) -> bool:
        """Whether it can take another run."""
        return self.process.poll() is None

    def close(self) -> None:
        """End the interpreter and all its runs."""
        self.control.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()


def _old_kernel() -> bool:
    """Whether processes outside a user namespace count towards the limit inside it (before Linux 5.14)."""
    numbers = re.findall(r"\d+", os.uname().release)
    return tuple(int(number) for number in numbers[:2]) < (5, 14)
