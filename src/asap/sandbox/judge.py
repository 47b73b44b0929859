"""Judges a solution by each kind of check. Outputs are compared here, out of any solution's reach."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from asap.benchmarks.problem import Calls, Program, Stdin
from asap.sandbox.jail.codec import BadValue, Closed, decode, encode
from asap.sandbox.jail.faults import checked_fault
from asap.sandbox.outcome import GRACE_S, Outcome, ending, of_fault
from asap.sandbox.stdin import judge_stdin
from asap.sandbox.testing import judge_program
from asap.sandbox.verdict import Kind, Limits, Report, Verdict, ascii_line, short_value
from asap.sandbox.zygote import InfraError, Run, Zygote


def judge_once(zygote: Zygote, check: Calls | Stdin | Program, solution: str, limits: Limits) -> Verdict:
    """The verdict on one solution. Raises InfraError if the harness failed."""
    if isinstance(check, Calls):
        outcome, report = _judge_calls(zygote, check, solution, limits)
    elif isinstance(check, Stdin):
        outcome, report = judge_stdin(zygote, check, solution, limits)
    else:
        outcome, report = judge_program(zygote, check, solution, limits)
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
        tests=outcome.tests,
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
        question = {"id": identifier, "op": "outputs", "args": encode(tuple(arguments))}
        if channel.pending():
            raise BadValue("an answer before its question")
        channel.send(question)
        reply = channel.receive()
        if reply.get("id") != identifier:
            raise BadValue("an answer to another question")
        if "error" in reply:
            raise Failed(checked_fault(reply["error"]))
        yield decode(reply.get("value"))


class Failed(Exception):
    """The solution raised an exception; `fault` is its description of it."""

    def __init__(self, fault: dict[str, Any]) -> None:
        super().__init__(fault["type"])
        self.fault = fault


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
