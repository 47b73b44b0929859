"""Reference solutions, run on this machine: how long right answers take here, and the outputs that inputs should have.

Limits are set from it, so that a slow machine fails nobody; the outputs of HumanEval+ and MBPP+ are in no file, so they are taken
from the reference, run in the sandbox. Both are kept in the user's cache under the content of problem and reference.
"""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from asap.benchmarks.problem import Calls, Problem, Program, Stdin
from asap.digest import content_digest
from asap.errors import InputError
from asap.lm.cache import cache_folder
from asap.sandbox import Limits, Sandbox
from asap.sandbox.jail.codec import decode, encode
from asap.store.content import Contents, Database

_FILE = "references.sqlite"
_RECIPE = 1  # raised when what is kept comes to mean something else


@dataclass(frozen=True)
class LimitSettings:
    """How much a solution may use: `factor` times the CPU seconds of the reference, at least `least_s`; memory in MB.

    Wall time is only a backstop: four times the CPU time and `slack_s`. `reference_s` bounds the reference itself.
    """

    least_s: float = 10.0
    factor: float = 10.0
    memory_mb: int = 2048
    slack_s: float = 5.0
    reference_s: float = 120.0


class Prepared(NamedTuple):
    """A problem that can be judged: expected outputs filled in, and its limits. `fault` says what is wrong with its reference."""

    problem: Problem
    limits: Limits
    fault: str | None = None
    reference_cpu_s: float | None = None


class References:
    """Prepares problems, each once on this machine. Safe to use from several threads."""

    def __init__(self, sandbox: Sandbox, settings: LimitSettings, folder: Path | None = None) -> None:
        self._sandbox = sandbox
        self._settings = settings
        self._file = (folder or cache_folder()) / _FILE

    def prepare(self, problem: Problem) -> Prepared:
        """The problem with its limits; runs the reference unless that was done before."""
        if problem.reference is None or not has_tests(problem):
            return Prepared(problem, limits_of(self._settings, None))
        key = _key(problem, self._sandbox)
        found = self._get(key)
        if found is None:
            found = self._run(problem)
            if found["verdict"] != "infra":
                self._put(key, found)
        return self._prepared(problem, found)

    def _run(self, problem: Problem) -> dict[str, Any]:
        """Judge the reference with generous limits; where outputs are missing, take down what it returns."""
        outputs = list[Any]()
        check = problem.check
        wanting = isinstance(check, Calls) and len(check.expected) < len(check.inputs)

        def take_down(_: Sequence[Any], output: Any, expected: Any) -> bool:
            outputs.append(output)
            return True

        if wanting and isinstance(check, Calls):
            check = replace(check, expected=[None] * len(check.inputs), equal=take_down)
        assert problem.reference is not None
        verdict = self._sandbox.judge(check, problem.reference, limits_of(self._settings, self._settings.reference_s, factor=1.0))
        kept = {"verdict": verdict.verdict, "detail": verdict.detail, "cpu_s": verdict.cpu_s, "wall_s": verdict.wall_s}
        return {**kept, "outputs": [encode(output) for output in outputs]} if wanting else kept

    def _prepared(self, problem: Problem, found: dict[str, Any]) -> Prepared:
        check = problem.check
        if found["verdict"] != "pass":
            fault = f"the reference solution of {problem.task_id} does not pass here: {found['verdict']} ({found['detail']})"
            return Prepared(problem, limits_of(self._settings, None), fault)
        if "outputs" in found and isinstance(check, Calls):
            check = replace(check, expected=[decode(output) for output in found["outputs"]])
        return Prepared(replace(problem, check=check), limits_of(self._settings, found["cpu_s"]), None, found["cpu_s"])

    def _get(self, key: str) -> dict[str, Any] | None:
        with suppress(InputError), self._kept() as kept:  # a cache that cannot be read is no cache
            found: dict[str, Any] | None = kept.get(key)
            return found
        return None

    def _put(self, key: str, value: dict[str, Any]) -> None:
        with suppress(InputError), self._kept() as kept:  # it is made anew next time
            kept.replace(key, value)

    @contextmanager
    def _kept(self) -> Iterator[Contents]:
        with Database.open(self._file, shared=True) as database:
            yield Contents(database, "runs")


def limits_of(settings: LimitSettings, reference_s: float | None, *, factor: float | None = None) -> Limits:
    """The limits of a problem by the CPU seconds of its reference (None: unknown)."""
    cpu_s = max(settings.least_s, (settings.factor if factor is None else factor) * (reference_s or 0.0))
    return Limits(cpu_s=cpu_s, wall_s=4 * cpu_s + settings.slack_s, memory_mb=settings.memory_mb)


def has_tests(problem: Problem) -> bool:
    """Whether anything can be checked: a public file may hold no test of a problem."""
    return isinstance(problem.check, Program) or bool(problem.check.inputs)


def _key(problem: Problem, sandbox: Sandbox) -> str:
    """The same for the same reference and tests on the same machine."""
    check = problem.check
    if isinstance(check, Program):
        tests: list[Any] = [check.source, check.entry_point, check.check, check.prelude]
    elif isinstance(check, Stdin):
        tests = [list(check.inputs), list(check.expected)]
    else:
        tests = [check.entry_point, [encode(list(arguments)) for arguments in check.inputs], encode(list(check.expected))]
    return content_digest(_RECIPE, problem.reference, tests, platform.node(), platform.python_version(), sandbox.kind)
