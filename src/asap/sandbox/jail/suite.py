"""The test code's process: a `check(candidate)`, with the solution behind a proxy.

It holds the tests and runs none of the solution's code. pytest files are run by `apart` and `together`.
"""

import os
import sys
import types
from collections.abc import Callable
from typing import Any

from asap.sandbox.jail.codec import BadValue, Channel
from asap.sandbox.jail.remote import Gone, Remote
from asap.sandbox.jail.result import Result, missing_module, outcome, place


def run_suite(host: Channel, solution: Channel) -> None:
    """Run the `check` of the first message and report to the host how it ended."""
    serve_tests(host, solution, _checked)


def serve_tests(host: Channel, solution: Channel, test: Callable[[dict[str, Any], Remote], Result]) -> None:
    """Run test code against a solution's process, and report to the host how it ended."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    job = host.receive()
    remote = Remote(solution, capture=any(word in job["source"] for word in ("redirect_stdout", "capsys", "sys.stdout")))
    try:
        fault = remote.wait_until_ready()
        result = outcome("error", fault=fault) if fault else test(job, remote)
    except Gone:
        result = outcome("gone")
    except BadValue as error:
        remote.broken = Gone(str(error))
        result = outcome("gone")
    except BaseException as error:  # border: the problem's prelude, or this file
        result = _lacking(error) or outcome("infra", f"{type(error).__name__}: {error}"[:300])
    if remote.broken is not None:  # even if the test code caught it
        word, detail = ("gone", "") if remote.broken.tampered is None else ("tamper", remote.broken.tampered)
        result = {**result, "verdict": word, "detail": detail}
    elif result["verdict"] == "fail":
        result |= _explained(result, remote)
    host.send({**result, "calls": remote.calls})


def _explained(result: Result, remote: Remote) -> Result:
    """What a failure owes to the two processes: all, if the tests did what never works so; maybe some, where a solution had its part."""
    if remote.needs is not None:
        return outcome("infra", f"the tests need {remote.needs}")
    if remote.lacking:
        return {"detail": f"{result['detail']} (from another process, {remote.lacking[0]} is not the solution's own)"}
    return {}


def _checked(job: dict[str, Any], remote: Remote) -> Result:
    tests = types.ModuleType("tests")
    sys.modules["tests"] = tests
    namespace = tests.__dict__
    exec(compile(job["prelude"], "problem.py", "exec", dont_inherit=True), namespace)
    records = {name: kind for name, kind in namespace.items() if isinstance(kind, type) and kind.__module__ == "tests"}
    if records:
        remote.set_records(records)
    proxy = remote.entry(job["entry"])
    namespace[job["entry"]] = namespace["candidate"] = proxy
    try:
        exec(compile(job["source"], "tests.py", "exec", dont_inherit=True), namespace)
        namespace[job["check"]](proxy)
    except Gone:
        raise
    except BaseException as error:  # border: test code may raise anything
        fault = getattr(error, "fault", None)
        if fault is None and (lacking := _lacking(error)):
            return lacking
        detail = f"check: {type(error).__name__}: {str(error)[:200]}" + place(error, "tests.py")
        return outcome("error" if fault else "fail", detail, fault, total=1)
    return outcome("pass", passed=1, total=1)


def _lacking(error: BaseException) -> Result | None:
    """The result of test code that imports a module which is not here; None if that is not what went wrong."""
    module = missing_module(error)
    return outcome("infra", f"the tests need {module}") if module else None
