"""Whether the result of an answer equals the gold answer, by one of two rules.

`math-verify`: the last `\\boxed{…}`, or without one the last expression, is equal by calculation. `gsm8k`: the number that the answer
states (`asap.maths_result`) has the value of the gold one. A result that is the gold answer letter by letter is right.
What this does not do: judge proofs or prose.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, NamedTuple

from asap.benchmarks.problem import ResultRule
from asap.errors import InputError, MissingExtra
from asap.install import install_command
from asap.maths_result import Number, after_mark, inside, last_boxed, same_text, single_number, stated_number
from asap.maths_spelling import plainly_spelled
from asap.versions import versions_of

_SCRIPT = Path(__file__).with_name("math_process.py")
_RECIPE = 3  # raised when a rule of ours changes
_MATH_VERIFY: tuple[ResultRule, ...] = ("math-verify",)
_START_S, _ANSWER_S = 120.0, 60.0


class Compared(NamedTuple):
    """How an answer compares with the gold one. `infra`: nothing is known, and `detail` says why."""

    verdict: Literal["pass", "fail", "no-answer", "infra"]
    detail: str = ""


class Comparer:
    """Compares answers, from several threads as many at once as it has processes. Open it with `Comparer.open`."""

    def __init__(self, processes: int, rules: Collection[ResultRule]) -> None:
        packages = versions_of(("math-verify", "latex2sympy2_extended", "sympy"))
        self.version = ", ".join([*(f"{name} {version}" for name, version in packages.items()), f"rules {_RECIPE}"])
        self._free: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for _ in range(processes):
            self._free.put(None)
        self.processes, self.rules = processes, rules

    @classmethod
    @contextmanager
    def open(cls, processes: int, rules: Collection[ResultRule] = _MATH_VERIFY) -> Iterator["Comparer"]:
        """A comparer whose processes start when they are needed, and are ended with the block. Raises MissingExtra."""
        if "math-verify" in rules and find_spec("math_verify") is None:
            raise MissingExtra(f"gold answers are compared by math-verify; install it with: {install_command('math')}")
        comparer = cls(processes, rules)
        try:
            yield comparer
        finally:
            comparer._close()

    def compare(self, gold: str, answer: str, rule: ResultRule = "math-verify", *, cut_off: bool = False) -> Compared:
        """Whether an answer, without its thinking, states the gold result. One that was `cut_off` states only what is in its box."""
        if rule == "gsm8k":
            return _by_number(gold, answer, cut_off)
        boxed = last_boxed(answer)
        stated = answer if boxed is None else inside(boxed)
        if same_text(stated, gold):
            return Compared("pass")
        if boxed is None and cut_off:
            return Compared("no-answer", "the token budget ran out before a boxed result")
        found = self._ask(plainly_spelled(gold), plainly_spelled(boxed) if boxed else answer)
        if found.verdict == "no-answer":
            return Compared("no-answer", f"the answer holds no expression; {gold!r} is expected")
        return Compared("fail", f"math-verify does not find {_short(stated)} equal to {gold!r}") if found.verdict == "fail" else found

    def _ask(self, gold: str, text: str) -> Compared:
        """The verdict of math-verify."""
        running = self._free.get()
        found: Compared | None = None
        try:
            running = running or _started()
            assert running.stdin is not None
            running.stdin.write(json.dumps([gold, text]).encode() + b"\n")
            running.stdin.flush()
            if (line := _line_of(running, _ANSWER_S)) is not None:
                found = Compared(**json.loads(line))
        except OSError:  # it died
            pass
        finally:
            if running and (found is None or found.verdict == "infra"):  # its answer may still come, or its memory is full
                _end(running)
                running = None
            self._free.put(running)
        return found or Compared("infra", "math-verify did not compare the answer in time, or ended over it")

    def _close(self) -> None:
        for _ in range(self.processes):
            if running := self._free.get():
                _end(running)


def _by_number(gold: str, answer: str, cut_off: bool) -> Compared:
    """By GSM8K's rule."""
    stated, wanted = stated_number(answer, cut_off=cut_off), single_number(plainly_spelled(after_mark(gold) or gold))
    if stated is None:
        why = "the token budget ran out before a result" if cut_off else f"the answer holds no number; {gold!r} is expected"
        return Compared("no-answer", why)
    if isinstance(stated, Number) and wanted and stated.value == wanted.value:
        return Compared("pass")
    text = stated.text if isinstance(stated, Number) else stated
    return Compared("pass") if same_text(text, gold) else Compared("fail", f"the answer states {_short(text)}; {gold!r} is expected")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 80 else f"…{line[-80:]}")


def _started() -> "subprocess.Popen[bytes]":
    """A process that is ready: importing sympy takes seconds."""
    # by path, with -P: nothing in the user's folder, nor a script of the user's, is imported
    child = subprocess.Popen([sys.executable, "-P", str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if _line_of(child, _START_S) is not None:
        return child
    _end(child)
    raise InputError("math-verify does not start here; install it anew with: pip install --force-reinstall math-verify")


def _line_of(child: "subprocess.Popen[bytes]", seconds: float) -> bytes | None:
    """The next line of a process; None if none comes in time."""
    assert child.stdout is not None
    waiting = select.poll()
    waiting.register(child.stdout, select.POLLIN)
    if not waiting.poll(1000 * seconds):
        return None
    return os.read(child.stdout.fileno(), 1 << 16) or None  # a line is shorter than what a pipe takes at once


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream:
            with suppress(OSError):  # what it did not read
                stream.close()
