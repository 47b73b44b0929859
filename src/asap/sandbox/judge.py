"""Judges a solution by each kind of check. Outputs are compared here, out of any solution's reach."""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from asap.benchmarks.problem import Calls, Program, Stdin
from asap.sandbox.jail.codec import TRUSTED, BadValue, Channel, Closed, decode, encode
from asap.sandbox.jail.objects import checked_fault
from asap.sandbox.outcome import GRACE_S, Outcome, ending, of_fault
from asap.sandbox.stdin import judge_stdin
from asap.sandbox.verdict import Kind, Limits, Report, Verdict, ascii_line, short_value
from asap.sandbox.zygote import InfraError, Run, Zygote


def judge_once(zygote: Zygote, check: Calls | Stdin | Program, solution: str, limits: Limits) -> Verdict:
    """The verdict on one solution. Raises InfraError if the harness failed."""
    if isinstance(check, Calls):
        outcome, report = _judge_calls(zygote, check, solution, limits)
    elif isinstance(check, Stdin):
        outcome, report = judge_stdin(zygote, check, solution, limits)
    else:
        outcome, report = _judge_program(zygote, check, solution, limits)
    return _verdict(outcome, report, limits, "none" if zygote.unsafe else "bwrap")


def _verdict(outcome: Outcome, report: Report, limits: Limits, kind: Kind) -> Verdict:
    word, detail = (outcome.word, outcome.detail) if outcome.word else ending(report, limits)
    return Verdict(
        verdict=word,
        detail=ascii_line(detail),
        cpu_s=report.cpu_s,
        wall_s=report.wall_s,
        peak_mb=report.peak_mb,
        sandbox=kind,
        limits=limits,
        passed_checks=outcome.passed,
        checks=outcome.total,
        calls=outcome.calls,
        wall_only=word == "timeout" and report.reason == "wall",
    )


def answers(run: Run, entry_point: str, inputs: Sequence[Sequence[Any]], solution: str) -> Iterator[Any]:
    """What a solution returns for each input, passed one at a time. Raises Failed for an exception, Closed, BadValue."""
    channel = run.channel()
    channel.send({"prelude": "", "code": solution, "entry": entry_point})
    first = channel.receive()
    if first.get("ready") is not True:
        raise Failed(checked_fault(first.get("error")))
    for arguments in inputs:
        identifier = os.urandom(8).hex()
        question = {"id": identifier, "op": "call", "target": 1, "args": encode(list(arguments))}
        if channel.pending():
            raise BadValue("an answer before its question")
        channel.send(question)
        reply = channel.receive()
        if reply.get("id") != identifier:
            raise BadValue("an answer to another question")
        if "error" in reply:
            raise Failed(checked_fault(reply["error"]))
        yield decode(reply.get("value"), _unknown)


class Failed(Exception):
    """The solution raised an exception; `fault` is its description of it."""

    def __init__(self, fault: dict[str, Any]) -> None:
        super().__init__(fault["type"])
        self.fault = fault


class _Unlike:
    """An object that cannot leave its process; it equals nothing."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return False


def _unknown(tag: str, body: Any) -> Any:
    if tag in ("h", "C", "m", "n"):
        return _Unlike()
    raise BadValue("no such tag")


def _judge_calls(zygote: Zygote, check: Calls, solution: str, limits: Limits) -> tuple[Outcome, Report]:
    run = zygote.run("solution", limits)
    total, passed = len(check.inputs), 0
    try:
        outcome = Outcome("pass", passed=total, total=total)
        for output in answers(run, check.entry_point, check.inputs, solution):
            arguments, expected = check.inputs[passed], check.expected[passed]
            right, why = _equal(check, arguments, output, expected)
            if not right:
                detail = f"input {passed}: {short_value(output)} instead of {short_value(expected)}{why}"
                outcome = Outcome("fail", detail, passed, total)
                break
            passed += 1
    except Failed as error:
        word, detail = of_fault(error.fault)
        outcome = Outcome(word, detail, passed, total)
    except BadValue as error:
        outcome = Outcome("tamper", str(error), passed, total)
    except Closed:
        outcome = Outcome(None, "", passed, total)
    except TimeoutError:
        run.close()
        raise InfraError("a run outlived its limits") from None
    except BaseException:
        run.close()
        raise
    return outcome, run.end(grace_s=0.0 if outcome.word else GRACE_S)


def _equal(check: Calls, arguments: Sequence[Any], output: Any, expected: Any) -> tuple[bool, str]:
    """The benchmark's comparison, and what went wrong in it; an exception counts as unequal."""
    try:
        return bool(check.equal(arguments, output, expected)), ""
    except Exception as error:  # border: the comparison expects right outputs and may trip over others
        return False, f" ({type(error).__name__} in the comparison)"


def _judge_program(zygote: Zygote, check: Program, solution: str, limits: Limits) -> tuple[Outcome, Report]:
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
            tests_run = zygote.run("tests", roomy, streams=(tests_end.fileno(),))
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
        return Outcome("tamper", f"the test code did not survive what the solution returned (status {tests_report.status})")
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
