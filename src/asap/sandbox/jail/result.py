"""What became of test code, as its process tells the host."""

from typing import Any

Result = dict[str, Any]
"""`verdict` and `detail`; `fault` if it was an exception of the solution's; how many tests there were and `passed`, and which."""


def outcome(verdict: str, detail: str = "", fault: dict[str, Any] | None = None, passed: int = 0, total: int = 0) -> Result:
    """The result of test code."""
    return {"verdict": verdict, "detail": detail, "fault": fault, "passed": passed, "total": total, "tests": []}


def place(error: BaseException, file: str) -> str:
    """The line of the test code where an error occurred."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line} of the tests)" if line else ""


def missing_module(error: BaseException) -> str | None:
    """The module that is not here, if that is the error."""
    return error.name if isinstance(error, ModuleNotFoundError) and error.name != "solution" else None
