"""Judges whole programs: each standard input gets its own process, and the output is compared here."""

import contextlib
import os
import select
from collections.abc import Sequence
from typing import Any

from asap.benchmarks.problem import Stdin
from asap.sandbox.jail.channel import BadValue, Channel, Closed
from asap.sandbox.jail.faults import checked_fault
from asap.sandbox.outcome import Outcome, of_fault
from asap.sandbox.outcome import ending as ended
from asap.sandbox.verdict import Limits, Report, Word, short_value
from asap.sandbox.zygote import InfraError, Run, Zygote


def judge_stdin(zygote: Zygote, check: Stdin, solution: str, limits: Limits) -> tuple[Outcome, Report]:
    """The outcome over all inputs, each with its own process and limits, and a report with the times added up."""
    total, reports = len(check.inputs), [Report("exit", 0, 0.0, 0.0, 0.0)]
    for number, (given, expected) in enumerate(zip(check.inputs, check.expected, strict=True)):
        ending, printed, report = _run_program(zygote, solution, given, limits)
        reports.append(report)
        word, detail = _of_program(ending, printed, report, limits)
        if word is None:
            text = printed.decode("utf-8", "replace")
            if _equal_text(check, text, expected):
                continue
            word, detail = "fail", f"{short_value(text)} instead of {short_value(expected)}"
        return Outcome(word, f"input {number}: {detail}", number, total), _sum(reports)
    return Outcome("pass", passed=total, total=total), _sum(reports)


def _equal_text(check: Stdin, output: str, expected: str) -> bool:
    try:
        return bool(check.equal(output, expected))
    except Exception:  # border: as in judge._equal
        return False


def _sum(reports: Sequence[Report]) -> Report:
    last = reports[-1]
    cpu_s, wall_s = sum(report.cpu_s for report in reports), sum(report.wall_s for report in reports)
    return Report(last.reason, last.status, round(cpu_s, 4), round(wall_s, 4), max(report.peak_mb for report in reports))


def _of_program(ending: dict[str, Any], printed: bytes, report: Report, limits: Limits) -> tuple[Word | None, str]:
    """The verdict on how a program ended; None if its output decides."""
    if len(printed) > limits.output_bytes:
        return "output", f"more than {limits.output_bytes} bytes"
    if "error" in ending:
        try:
            return of_fault(checked_fault(ending["error"]))
        except BadValue as error:
            return "tamper", str(error)
    if report.reason == "exit" and report.status == 0:
        return None, ""
    return ended(report, limits)


def _run_program(zygote: Zygote, solution: str, given: str, limits: Limits) -> tuple[dict[str, Any], bytes, Report]:
    """How a program says it ended, what it printed (at most one byte more than the limit), and the report of its run."""
    stdin = os.memfd_create("input")
    try:
        with os.fdopen(os.dup(stdin), "wb") as file:
            file.write(given.encode("utf-8", "surrogatepass"))
        os.lseek(stdin, 0, os.SEEK_SET)
        run = zygote.run("program", limits, streams=(stdin,))
    finally:
        os.close(stdin)
    try:
        channel = run.channel()
        output = run.output()
        try:
            with contextlib.suppress(Closed):  # its report will say why
                channel.send({"code": solution})
            printed = _printed(run, output, limits)
            return _said(channel) if len(printed) <= limits.output_bytes else {}, printed, run.end()
        finally:
            os.close(output)
    finally:
        run.close()


def _said(channel: Channel) -> dict[str, Any]:
    """The closing message of a finished program; empty if it sent none."""
    try:
        return channel.receive() if channel.pending() else {}
    except (Closed, BadValue):
        return {}


def _printed(run: Run, output: int, limits: Limits) -> bytes:
    """The output until the run ends or exceeds its limit."""
    os.set_blocking(output, False)
    parts, size = [], 0
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(run.leash, select.POLLIN)
    deadline_ms = 1000 * (limits.wall_s + 20)
    while True:
        events = dict(poll.poll(deadline_ms))
        if not events:
            raise InfraError("a run outlived its limits")
        while True:
            try:
                part = os.read(output, min(1 << 16, limits.output_bytes + 1 - size))
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > limits.output_bytes:
                return b"".join(parts)
        if run.leash.fileno() in events:
            return b"".join(parts)
        if events.get(output, 0) & select.POLLHUP and not events[output] & select.POLLIN:
            poll.unregister(output)
