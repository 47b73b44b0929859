"""Judges a solution by test code: a `check(candidate)` or a pytest file."""

import socket
from dataclasses import replace
from typing import Any

from asap.benchmarks.problem import Program
from asap.sandbox.jail.channel import TRUSTED, BadValue, Channel, Closed
from asap.sandbox.outcome import GRACE_S, Outcome, of_fault
from asap.sandbox.verdict import Limits, Report
from asap.sandbox.zygote import InfraError, Run, Zygote


def judge_program(zygote: Zygote, check: Program, solution: str, limits: Limits) -> tuple[Outcome, Report]:
    """The outcome, by two runs: one for the solution, and one for the test code, which talks to the solution and to the host."""
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
    passed, total, calls = result["passed"], result["total"], result["calls"]
    word, detail = result["verdict"], result["detail"]
    if word == "gone":
        return Outcome(None, "", passed, total, calls)
    if result["fault"] is not None:
        word, said = of_fault(result["fault"])
        detail = detail or said
    if word == "pass" and not calls:
        word, detail = "fail", "the tests never called the solution"
    return Outcome(word, detail, passed, total, calls)
