"""Runs hostile and honest programs and checks what they leave behind. As a script: all of them, as whoever runs it."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox_helpers import ATTACKS, CALLS, CHECK, FILE, HANG, LIMITS, ROOMY, STDIN, TOGETHER, header, honest_passes, runs

from asap.sandbox import Sandbox

PLACES = {place: f"{place}-{os.getpid()}" for place in ("/tmp/sbx_canary", "/dev/shm/CANARY_SECRET")}  # others test beside this process
CANARIES = [Path(PLACES["/tmp/sbx_canary"], "CANARY_SECRET"), Path(PLACES["/dev/shm/CANARY_SECRET"])]
SLACK_S = 25.0  # for a busy machine; what a program leaves behind sleeps longer


class Watch:
    """What no attack may touch: canary files where they look for them, two sockets, the interpreter, the passwords."""

    def __init__(self) -> None:
        for file in CANARIES:
            file.parent.mkdir(exist_ok=True)
            file.write_text("canary")
        with contextlib.suppress(PermissionError):
            CANARIES[0].parent.chmod(0o777)  # only the sandbox keeps an attack out
        self.listeners = [socket.socket(), socket.socket(socket.AF_UNIX)]
        self.listeners[0].bind(("127.0.0.1", 0))
        self.listeners[1].bind(f"\0asap-canary-{os.getpid()}")
        for listener in self.listeners:
            listener.listen()
            listener.setblocking(False)
        self.before = self._state()

    def _state(self) -> list[object]:
        files = [*CANARIES, Path(os.__file__), Path("/etc/passwd"), ATTACKS.parents[2] / "src/asap/sandbox/jail/codec.py"]
        states = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists()]
        return [*states, sorted(CANARIES[0].parent.iterdir())]

    def problems(self) -> Iterator[str]:
        """What an attack did."""
        if self._state() != self.before:
            yield "a file outside changed"
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept()
                yield "somebody connected"

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()
        for file in CANARIES:
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            CANARIES[0].parent.rmdir()


def problems_with(sandbox: Sandbox, file: Path, watch: Watch) -> list[str]:
    """What is wrong with how the sandbox dealt with one program; empty if nothing."""
    expected = header(file, "expected verdict").split(",")
    found = []
    limits = ROOMY if file.name.startswith("c") else HANG if header(file, "category") == "hang" else LIMITS
    for check in [CALLS, CHECK, FILE, TOGETHER] if header(file, "kind") == "call" else [STDIN]:
        one_process = ["tamper", "disk"] if check is TOGETHER and "pass" not in expected else []  # cheats are seen; output goes to a file
        started = time.monotonic()
        verdict = sandbox.judge(check, program(file), limits)
        elapsed = time.monotonic() - started
        if verdict.verdict not in [*expected, *one_process] or (file.name.startswith("a") and verdict.passed):
            found.append(f"{type(check).__name__} {verdict.isolation}: {verdict.verdict} ({verdict.detail}) instead of {expected}")
        if any(mark in verdict.detail for mark in ("LEAK", "FORK", "CLONED", "SEES", "RL:", "SYS:", "PROC:")):
            found.append(f"it got through: {verdict.detail}")
        if elapsed > limits.wall_s + SLACK_S:
            found.append(f"took {elapsed:.1f} s")
        if left := runs():
            found.append(f"processes are left: {left}")
        found += watch.problems()
        if not honest_passes(sandbox):
            found.append("the next honest program does not pass")
    return found


def program(file: Path) -> str:
    """An attack that looks for the canaries of this process."""
    code = file.read_text()
    for place, own in PLACES.items():
        code = code.replace(place, own)
    return code


def main() -> int:
    """Print what is wrong, program by program; 1 if anything is. An argument picks programs by the beginning of their names."""
    watch = Watch()
    wanted = tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else ("",)
    files = [file for file in sorted(ATTACKS.glob("*.py")) if file.name.startswith(wanted)]
    wrong = 0
    with Sandbox.open(workers=1) as sandbox:
        for file in files:
            found = problems_with(sandbox, file, watch)
            wrong += bool(found)
            print(file.name, *(found or ["ok"]), sep="  ", flush=True)
    watch.close()
    print(f"uid {os.getuid()}: {wrong} wrong of {len(files)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
