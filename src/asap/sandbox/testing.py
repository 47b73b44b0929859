"""Judges a solution by test code: a `check(candidate)` or a pytest file."""

import os
import socket
from dataclasses import replace
from typing import Any

from asap.benchmarks.isolation import named_tests, needs_processes
from asap.benchmarks.needs import outside_need
from asap.benchmarks.problem import Program
from asap.sandbox.jail.channel import TRUSTED, BadValue, Channel, Closed
from asap.sandbox.jail.faults import checked_fault
from asap.sandbox.outcome import GRACE_S, Outcome, of_fault
from asap.sandbox.verdict import Limits, Report
from asap.sandbox.zygote import InfraError, Run, Zygote


def judge_program(zygote: Zygote, check: Program, solution: str, limits: Limits) -> tuple[Outcome, Report]:
    """The outcome of test code, in the isolation that the check names."""
    together = check.check is None and check.isolation == "together"
    outcome, report = (_judge_together if together else _judge_apart)(zygote, check, solution, limits)
    if check.check is not None:
        return outcome, report
    if outcome.word == "pass":
        return _as_expected(outcome, check), report
    is_open = zygote.unsafe or check.outcomes is not None  # a reference that passed needed nothing
    need = None if is_open else outside_need(check.source)
    return (replace(outcome, word="infra", detail=f"the tests need {need}") if need else outcome), report


def _as_expected(outcome: Outcome, check: Program) -> Outcome:
    """The outcome, if the tests are those that must run, and none is skipped that must not be.

    The run of the reference solution says so. Without one, a reader of the file does, of tests that run together with the solution.
    """
    names = [name.partition("[")[0] for name, _ in outcome.tests]  # a parameter's text may come from the solution
    if check.outcomes is not None:
        if names != [name.partition("[")[0] for name, _ in check.outcomes]:
            return replace(outcome, word="fail", detail="not the tests that ran with the reference solution")
        must_pass = [expected == "passed" for _, expected in check.outcomes]
    elif check.isolation == "together":
        if missing := [name for name in named_tests(check.source) if name not in names]:
            return replace(outcome, word="fail", detail=f"{missing[0]} did not run")
        may_not = not any(word in check.source for word in ("skip", "xfail", "expectedFailure"))
        must_pass = [may_not] * len(names)
    else:
        return outcome
    for (name, became), must in zip(outcome.tests, must_pass, strict=True):
        if must and became != "passed":
            return replace(outcome, word="fail", detail=f"{name} {became}, and has to pass")
    return outcome


def _judge_together(zygote: Zygote, check: Program, solution: str, limits: Limits) -> tuple[Outcome, Report]:
    """Judges in one run, which holds tests and solution. Believes only a message with a secret that nothing but our own code was told."""
    secret = os.urandom(16).hex()
    run = zygote.run("together", limits, processes=needs_processes(check.source))
    result: dict[str, Any] | None = None
    try:
        channel = run.channel()
        try:
            channel.send({"source": check.source, "code": solution, "secret": secret})
            result = channel.receive()
        except Closed:
            return Outcome(None), run.end(grace_s=GRACE_S)
        except BadValue as error:
            return Outcome("tamper", str(error)), run.end()
        except TimeoutError:
            raise InfraError("tests outlived their limits") from None
        if result.get("secret") != secret:
            return Outcome("tamper", "a message that is not ours"), run.end()
        report = run.end(grace_s=GRACE_S)
        if (report.reason, report.status) != ("exit", 0):
            return Outcome(None), report
        return _of_result({**result, "calls": None}), report
    finally:
        run.close()


def _judge_apart(zygote: Zygote, check: Program, solution: str, limits: Limits) -> tuple[Outcome, Report]:
    """Judges in two runs: one for the solution, and one for the test code, which talks to the solution and to the host."""
    tests_end, solution_end = socket.socketpair()
    with tests_end:
        solution_run = zygote.run("solution", limits, link=solution_end)
        try:
            code = {"prelude": check.prelude, "code": solution, "entry": check.entry_point if check.check else None}
            try:
                Channel(tests_end, TRUSTED, limits.output_bytes).send(code)
            except Closed:
                return Outcome(None), solution_run.end(grace_s=GRACE_S)
            roomy = replace(limits, cpu_s=2 * limits.cpu_s + 5, wall_s=limits.wall_s + 5, memory_mb=max(1024, limits.memory_mb))
            tests_run = zygote.run("tests" if check.check else "pytest", roomy, streams=(tests_end.fileno(),))
        except BaseException:
            solution_run.close()
            raise
    result, tests_report, report = _both_ends(tests_run, solution_run, check)
    return _of_tests(result, tests_report, report), report


def _both_ends(tests_run: Run, solution_run: Run, check: Program) -> tuple[dict[str, Any] | None, Report, Report]:
    """The result of the test code (None if it sent none), and the reports of both runs."""
    result = None
    try:
        try:
            channel = tests_run.channel(trusted=True)
            channel.send({"prelude": check.prelude, "source": check.source, "entry": check.entry_point, "check": check.check})
            result = channel.receive()
        except (Closed, BadValue):
            pass
        except TimeoutError:
            raise InfraError("test code outlived its limits") from None
        gone = result is None or result["verdict"] == "gone"
        return result, tests_run.end(), solution_run.end(grace_s=GRACE_S if gone else 0.0)
    finally:
        tests_run.close()
        solution_run.close()


def _of_tests(result: dict[str, Any] | None, tests_report: Report, report: Report) -> Outcome:
    if result is None:
        if report.reason in ("cpu", "wall"):
            return Outcome(None)
        if tests_report.reason in ("cpu", "wall"):
            return Outcome("timeout", "the test code took too long with what the solution returned")
        return Outcome("error", f"the test code did not survive what the solution returned (status {tests_report.status})")
    outcome = _of_result(result)
    if outcome.word == "pass" and not outcome.calls:
        return replace(outcome, word="fail", detail="the tests never called the solution")
    return outcome


def _of_result(result: dict[str, Any]) -> Outcome:
    """What our code in the tests' process found."""
    word, detail = result["verdict"], result["detail"]
    if result["fault"] is not None:
        word, said = of_fault(checked_fault(result["fault"]))
        detail = detail or said
    if word == "gone":
        word, detail = None, ""
    tests = tuple((name, became) for name, became in result["tests"])
    return Outcome(word, detail, result["passed"], result["total"], result["calls"], tests)
