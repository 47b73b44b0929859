"""The gold answer of a maths row, and whether an answer equals it, by `math-verify`.

math-verify parses with ANTLR and sympy, which may take forever or all memory on a text of a few characters. So it runs in processes
of its own, with limits, which are ended when an answer takes too long.
What this does not do: judge proofs or prose.
"""

import logging
import multiprocessing
import resource
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Literal, NamedTuple

from asap.benchmarks.decoding import decoded
from asap.errors import InputError, MissingExtra
from asap.versions import versions_of

MathVerdict = Literal["pass", "fail", "no-answer", "timeout"]

_COLUMNS = ("expected_answer", "ground_truth", "final_answer", "gold_answer", "gold", "reference_answer", "answer")
_OUTER = ("reward_model", "verification_info")
_MARK = "####"  # GSM8K: what follows is the answer
_LONGEST = 300  # characters; longer texts are explanations
_MEMORY = 4 << 30
_START_S, _ANSWER_S = 120.0, 30.0


def gold_of(task: Mapping[str, object]) -> str | None:
    """The gold answer in the columns of a row that hold no response; None if there is none."""
    for name in _OUTER:
        inner = decoded(task.get(name))
        if isinstance(inner, Mapping) and (text := _gold_text(inner.get("ground_truth"))):
            return text
    return next((text for name in _COLUMNS if (text := _gold_text(task.get(name)))), None)


def _gold_text(value: object) -> str | None:
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    text = value.rpartition(_MARK)[2].strip() if isinstance(value, str) else ""
    return text if text and len(text) <= _LONGEST else None


class _Running(NamedTuple):
    process: BaseProcess
    connection: Connection


class Comparer:
    """Compares answers, from several threads as many at once as it has processes. Open it with `Comparer.open`."""

    def __init__(self, processes: int) -> None:
        self.version = ", ".join(f"{name} {version}" for name, version in versions_of(("math-verify", "latex2sympy2_extended")).items())
        self._free: SimpleQueue[_Running | None] = SimpleQueue()
        for _ in range(processes):
            self._free.put(None)
        self.processes = processes

    @classmethod
    @contextmanager
    def open(cls, processes: int) -> Iterator["Comparer"]:
        """A comparer whose processes start when they are needed, and are ended with the block. Raises MissingExtra."""
        if find_spec("math_verify") is None:
            raise MissingExtra("gold answers are compared by math-verify; install it with: pip install 'asap-cot[math]'")
        comparer = cls(processes)
        try:
            yield comparer
        finally:
            comparer._close()

    def compare(self, gold: str, answer: str) -> MathVerdict:
        """Whether the answer's boxed or last expression equals the gold answer."""
        if answer.strip() == gold:
            return "pass"
        running = self._free.get()
        verdict: MathVerdict | None = None
        try:
            running = running or _started()
            running.connection.send((gold, answer))
            if running.connection.poll(_ANSWER_S):
                verdict = running.connection.recv()
        except (EOFError, OSError):  # it died, perhaps of the memory limit
            pass
        finally:
            if running and verdict is None:  # its answer may still come
                _end(running)
            self._free.put(running if verdict else None)
        return verdict or "timeout"

    def _close(self) -> None:
        for _ in range(self.processes):
            if running := self._free.get():
                _end(running)


def _started() -> _Running:
    """A process that is ready: importing sympy takes seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True, name="math-verify")
    process.start()
    theirs.close()
    running = _Running(process, ours)
    try:
        if ours.poll(_START_S):
            ours.recv()
            return running
    except (EOFError, OSError):
        pass
    _end(running)
    raise InputError("math-verify does not start here; install it anew with: pip install --force-reinstall 'asap-cot[math]'")


def _end(running: _Running) -> None:
    running.connection.close()
    running.process.kill()
    running.process.join()


def _serve(connection: Connection) -> None:
    """Answer questions until nobody asks. Its main thread is free for math-verify's alarms."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    import math_verify  # noqa: F401 (loaded before the first question)

    connection.send(None)
    while True:
        try:
            gold, answer = connection.recv()
            connection.send(_verdict(gold, answer))
        except EOFError:
            return


def _verdict(gold: str, answer: str) -> MathVerdict:
    from math_verify import parse, verify
    from math_verify.errors import TimeoutException

    try:
        gold = gold.replace("\\$", "")
        wanted = parse(gold if "$" in gold or "\\boxed" in gold else f"${gold}$", raise_on_error=True)
        found = parse(answer.replace("\\$", ""), raise_on_error=True)  # `\\$5` would open a formula
        if not found:
            return "no-answer"
        return "pass" if verify(wanted, found, raise_on_error=True) else "fail"
    except (TimeoutException, MemoryError, RecursionError):
        return "timeout"
    except Exception:  # border: sympy raises whatever it likes about texts that are no mathematics
        return "fail"
