"""Tests that the sandbox holds, with gentle probes before the first solution runs, instead of inferring it."""

import socket
from collections.abc import Sequence
from typing import Any

from asap.benchmarks.problem import Calls
from asap.sandbox.bwrap import ENVIRONMENT
from asap.sandbox.judge import judge_once
from asap.sandbox.verdict import Limits, Verdict
from asap.sandbox.zygote import Zygote
from asap.scratch import scratch_folder

_LIMITS = Limits(cpu_s=5, wall_s=60, memory_mb=256, file_mb=4)  # generous, so that a busy machine does not fail the test
_ALSO_SET = ("PWD", "TMPDIR")  # by bubblewrap, and for each run
_PROBES = """
import os, socket

def refused(action, errors=(OSError, MemoryError)):
    try:
        action()
    except errors as error:
        return "yes: " + type(error).__name__
    return "no"

def connect(port):
    s = socket.socket()
    s.settimeout(1)
    s.connect(("127.0.0.1", port))

def fork():
    if os.fork() == 0:
        os._exit(0)

def seen(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

def fill():
    with open("/tmp/fill", "wb") as f:
        for _ in range(64):
            f.write(bytes(1 << 20))

def probe(canary, port, ours):
    return {
        "first process of its PID namespace": "yes" if os.getpid() == 1 else "no: pid %d" % os.getpid(),
        "sees no other process": "no" if any(seen(pid) for pid in range(2, 1000)) else "yes",
        "is not root": "yes" if os.geteuid() else "no",
        "cannot read a file outside": refused(lambda: open(canary).read()),
        "cannot write outside /tmp": refused(lambda: open("/written", "w")),
        "has no variable but its own": "no: " + ", ".join(set(os.environ) - set(ours)) if set(os.environ) - set(ours) else "yes",
        "cannot connect": refused(lambda: connect(port)),
        "cannot start a process": refused(fork),
        "memory is limited": refused(lambda: bytearray(512 << 20)),
        "disk space is limited": refused(fill),
    }
"""
_LOOP = "def probe():\n    while True: pass\n"


def probe(zygote: Zygote) -> list[tuple[str, bool, str]]:
    """Every property that the sandbox promises: its name, whether it holds, and what was seen."""
    seen: dict[str, Any] = {}
    with scratch_folder("asap-canary") as folder, socket.socket() as listener:
        canary = folder / "canary"
        canary.write_text("canary")
        folder.chmod(0o755)  # so that only the sandbox prevents reading it
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        arguments = [str(canary), listener.getsockname()[1], [*ENVIRONMENT, *_ALSO_SET]]
        check = Calls("probe", [arguments], [None], lambda _, output, __: _keep(output, seen))
        verdict = judge_once(zygote, check, _PROBES, _LIMITS)
        seen.update(_listener(listener))
    seen["CPU time is limited"] = _cpu(zygote)
    rows = [(str(name), str(said).startswith("yes"), str(said)) for name, said in seen.items()]
    return rows if verdict.verdict == "pass" else [*rows, ("the probes ran", False, f"{verdict.verdict}: {verdict.detail}")]


def _keep(output: Any, seen: dict[str, Any]) -> bool:
    seen.update(output)
    return True


def _listener(listener: socket.socket) -> dict[str, str]:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return {"nobody connected": "yes"}
    return {"nobody connected": "no"}


def _cpu(zygote: Zygote) -> str:
    verdict: Verdict = judge_once(zygote, Calls("probe", [[]], [None], lambda *_: True), _LOOP, Limits(cpu_s=0.1, wall_s=60))
    return "yes: ended after 0.1 s" if verdict.verdict == "timeout" else f"no: {verdict.verdict}"


def failures(rows: Sequence[tuple[str, bool, str]]) -> str:
    """The properties that do not hold, in one phrase; empty if all hold."""
    return "; ".join(f"{name}: {detail}" for name, ok, detail in rows if not ok)
