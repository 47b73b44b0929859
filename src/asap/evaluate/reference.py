"""Reference solutions judge the harness first: what a right answer does on this machine, before anybody else's is judged.

A problem whose reference does not pass here is left out for everyone, since whatever fails it is no solution's fault. From one that
passes come the limits, so that a slow machine fails nobody, and the outputs of HumanEval+ and MBPP+, which are in no file. Each is run
once and kept in the user's cache, under all that its outcome depends on.
"""

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from asap.benchmarks.isolation import isolation_of
from asap.benchmarks.needs import outside_need, uses_solution
from asap.benchmarks.problem import Calls, Check, GoldResult, Problem, Program, Stdin
from asap.digest import content_digest
from asap.errors import InputError
from asap.evaluate.stored import is_reference_run
from asap.lm.cache import cache_folder
from asap.sandbox import Limits, Sandbox
from asap.sandbox.jail.codec import BadValue, decode, encode
from asap.store.content import Contents, Database

_FILE = "references.sqlite"
_RECIPE = 4  # raised when what is kept comes to mean something else
_HOLLOW = """
class Called(BaseException):
    pass

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    def hollow(*_, **__):
        raise Called(name)
    return hollow
"""
_MOST = 5  # published solutions of one problem that are tried: some are wrong, or for another Python


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


class Fault(NamedTuple):
    """Why a problem is left out: its tests cannot be run, or its reference does not pass them. `needs`: the package that is missing."""

    why: str
    detail: str
    needs: str | None = None


class Prepared(NamedTuple):
    """A problem that can be judged: expected outputs filled in, and its limits. `fault` says why it is left out instead.

    `settled`: nothing would come out differently if the reference ran again.
    """

    problem: Problem
    limits: Limits
    fault: Fault | None = None
    reference_cpu_s: float | None = None
    settled: bool = True


class References:
    """Prepares problems, each once on this machine. Safe to use from several threads."""

    def __init__(self, sandbox: Sandbox, settings: LimitSettings, folder: Path | None = None) -> None:
        self._sandbox = sandbox
        self._settings = settings
        self._folder = folder
        self._noted = set[str]()

    def prepare(self, problem: Problem, *, again: bool = False) -> Prepared:
        """The problem with its limits; runs the references until one passes, unless that was done before.

        A failure is kept only if it comes `again`: the first may be due to a busy machine, or to chance.
        """
        if not has_tests(problem) or isinstance(problem.check, GoldResult):
            return unreferenced(problem, self._settings)
        if not problem.references:
            return Prepared(problem, limits_of(self._settings, None), self._fault_of_tests(problem))
        key = _key(problem, self._sandbox, self._settings)
        found, settled = self._get(key, lambda run: is_reference_run(run) and _fills(problem.check, run)), True
        if found is None:
            found = self._run(problem)
            settled = found["verdict"] == "pass" or again
            if found["verdict"] == "pass" or (again and found["verdict"] != "infra" and not found["wall_only"]):
                self._put(key, found)
        return self._prepared(problem, found)._replace(settled=settled)

    def _fault_of_tests(self, problem: Problem) -> Fault | None:
        """The fault of a pytest file for which no reference speaks: it needs what no sandbox gives, or passes whatever it is given.

        The latter is tried with a solution that does nothing.
        """
        check = problem.check
        if not isinstance(check, Program) or check.check is not None:
            return None
        if self._sandbox.kind == "bwrap" and (need := outside_need(check.source)):
            return Fault("tests", f"the tests need {need}, which no sandbox gives")
        if not uses_solution(check.source):
            return Fault("tests", "the tests never use what they import from the solution, so they say nothing")
        key = _key(problem, self._sandbox, self._settings)
        found = self._get(key, lambda run: isinstance(run, dict) and run.get("verdict") in ("pass", "fail"))
        if found is None:
            verdict = self._sandbox.judge(check, _HOLLOW, limits_of(self._settings, None))
            never = verdict.verdict == "fail" and verdict.calls == 0 and verdict.passed_checks == verdict.checks
            silent = never if check.isolation == "apart" else verdict.verdict == "pass"
            found = {"verdict": "pass" if silent else "infra" if verdict.verdict == "infra" else "fail"}
            if found["verdict"] != "infra":
                self._put(key, found)
        return Fault("tests", "the tests never call the solution, so they say nothing") if found["verdict"] == "pass" else None

    def _run(self, problem: Problem) -> dict[str, Any]:
        """What the first reference that passes does, with generous limits, or else the first of all."""
        first = None
        for reference in problem.references[:_MOST]:
            for check in _ways(problem.check):
                found = self._run_one(check, reference)
                if found["verdict"] == "pass":
                    return found
                if found.get("untested"):  # together, such tests would pass whatever they are given
                    break
            first = first or found
        assert first is not None
        return first

    def _run_one(self, check: Check, reference: str) -> dict[str, Any]:
        """What a reference does; where outputs are missing, what it returns is taken down."""
        outputs = list[Any]()
        wanting = isinstance(check, Calls) and len(check.expected) < len(check.inputs)

        def take_down(_: Sequence[Any], output: Any, expected: Any) -> bool:
            outputs.append(output)
            return True

        if wanting and isinstance(check, Calls):
            check = replace(check, expected=[None] * len(check.inputs), equal=take_down)
        verdict = self._sandbox.judge(check, reference, limits_of(self._settings, self._settings.reference_s, factor=1.0))
        kept = {name: getattr(verdict, name) for name in ("verdict", "detail", "cpu_s", "wall_s", "wall_only", "needs")}
        if isinstance(check, Program):
            kept |= {"isolation": verdict.isolation, "tests": verdict.tests}
            kept["untested"] = verdict.calls == 0 and verdict.passed_checks == verdict.checks
        return {**kept, "outputs": [encode(output) for output in outputs]} if wanting else kept

    def _prepared(self, problem: Problem, found: dict[str, Any]) -> Prepared:
        check = problem.check
        if found["verdict"] != "pass":
            detail = f"the reference solution does not pass here: {found['verdict']}: {found['detail']}"
            fault = Fault("reference", detail, found.get("needs"))
            return Prepared(problem, limits_of(self._settings, None), fault)
        if "outputs" in found and isinstance(check, Calls):
            check = replace(check, expected=[decode(output) for output in found["outputs"]])
        if "tests" in found and isinstance(check, Program):
            tests = tuple((name, became) for name, became in found["tests"])
            check = replace(check, isolation=found["isolation"], outcomes=tests if check.check is None else None)
        return Prepared(replace(problem, check=check), limits_of(self._settings, found["cpu_s"]), None, found["cpu_s"])

    def _get(self, key: str, fits: Callable[[object], bool]) -> dict[str, Any] | None:
        with self._noting(), self._kept() as kept:
            found: dict[str, Any] | None = kept.sound(key, fits)
            return found
        return None

    def _put(self, key: str, value: dict[str, Any]) -> None:
        with self._noting(), self._kept() as kept:
            kept.replace(key, value)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """A block that may fail, which is said once: what is not kept runs again, and nothing else changes."""
        try:
            yield
        except InputError as error:
            if str(error) not in self._noted:
                self._noted.add(str(error))
                print(f"note: {error}; until then each command runs the reference solutions anew", file=sys.stderr)

    @contextmanager
    def _kept(self) -> Iterator[Contents]:
        with Database.open((self._folder or cache_folder()) / _FILE, shared=True) as database:
            yield Contents(database, "runs")


def unreferenced(problem: Problem, settings: LimitSettings) -> Prepared:
    """A problem whose check runs nothing, or that has none, which is its fault."""
    detail = problem.untestable or "the problem has no tests in this file, so nothing can be said"
    return Prepared(problem, limits_of(settings, None), None if has_tests(problem) else Fault("tests", detail))


def _fills(check: Check | GoldResult, run: Any) -> bool:
    """Whether a stored run of a reference has what a problem lacks: an output for each input, or what became of each test."""
    if isinstance(check, Calls) and len(check.expected) < len(check.inputs):
        with suppress(BadValue):
            return len([decode(output) for output in run.get("outputs", ())]) == len(check.inputs) or run["verdict"] != "pass"
        return False
    return "tests" in run or not isinstance(check, Program)


def limits_of(settings: LimitSettings, reference_s: float | None, *, factor: float | None = None) -> Limits:
    """The limits of a problem by the CPU seconds of its reference (None: unknown)."""
    cpu_s = max(settings.least_s, (settings.factor if factor is None else factor) * (reference_s or 0.0))
    return Limits(cpu_s=cpu_s, wall_s=4 * cpu_s + settings.slack_s, memory_mb=settings.memory_mb)


def _ways(check: Check | GoldResult) -> list[Check]:
    """How to try a check with a reference: a pytest file apart from it, if that may do, then together with it."""
    assert not isinstance(check, GoldResult), "no reference is needed"
    if not isinstance(check, Program) or check.check is not None:
        return [check]
    together: Check = replace(check, isolation="together")
    if isolation_of(check.source, reference_passes_apart=True) == "together":
        return [together]
    return [replace(check, isolation="apart"), together]


def has_tests(problem: Problem) -> bool:
    """Whether anything can be checked: a public file may hold no test of a problem."""
    check = problem.check
    return isinstance(check, Program) or bool(check.gold if isinstance(check, GoldResult) else check.inputs)


def _key(problem: Problem, sandbox: Sandbox, settings: LimitSettings) -> str:
    """The same for the same references, tests and limits on the same machine, in the same sandbox."""
    check = problem.check
    assert not isinstance(check, GoldResult), "no reference is needed"
    if isinstance(check, Program):
        tests: list[Any] = list(astuple(check))
    elif isinstance(check, Stdin):
        tests = [list(check.inputs), list(check.expected)]
    else:
        tests = [check.entry_point, [encode(list(arguments)) for arguments in check.inputs], encode(list(check.expected))]
    limits = [settings.least_s, settings.reference_s, settings.memory_mb, settings.slack_s]
    return content_digest(_RECIPE, list(problem.references[:_MOST]), tests, limits, platform.node(), sandbox.identity)
