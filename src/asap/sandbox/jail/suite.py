"""The test code's process: a `check(candidate)` or the `test_` functions of a pytest file, with the solution behind a proxy.

It holds the tests and runs none of the solution's code. It supports the pytest features that generated problems use: test
functions and classes, `parametrize`, `skip`, `skipif`, plain fixtures; `raises` and `approx` are pytest's own, if installed.
"""

import ast
import builtins
import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asap.sandbox.jail.codec import BadValue, Channel
from asap.sandbox.jail.module import solution_module
from asap.sandbox.jail.proxy import Function
from asap.sandbox.jail.remote import Gone, Remote


@dataclass
class _Score:
    """The number of tests run and passed, and the first failure: its verdict and detail."""

    total: int = 0
    passed: int = 0
    verdict: str = "pass"
    detail: str = ""
    fault: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Case:
    """One test: a function and its arguments; `make` creates the instance if the function is a method."""

    name: str
    function: Callable[..., Any]
    make: Callable[[], Any] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def run_suite(host: Channel, solution: Channel) -> None:
    """Run the test code of the first message and report to the host how it ended."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    job = host.receive()
    remote = Remote(solution, capture=any(word in job["source"] for word in ("redirect_stdout", "capsys", "sys.stdout")))
    try:
        fault = remote.wait_until_ready()
        score = _Score(verdict="error", fault=fault) if fault else _scored(job, remote)
    except Gone:
        score = _Score(verdict="gone")
    except BadValue as error:
        remote.broken = Gone(str(error))
        score = _Score(verdict="gone")
    except BaseException as error:  # border: the problem's prelude, or this file
        score = _Score(verdict="infra", detail=f"{type(error).__name__}: {error}"[:300])
    if remote.broken is not None:  # even if the test code caught it
        score.verdict, score.detail = ("gone", "") if remote.broken.tampered is None else ("tamper", remote.broken.tampered)
    host.send({**vars(score), "calls": remote.calls})


def _scored(job: dict[str, Any], remote: Remote) -> _Score:
    if job["check"] is None:
        return _pytest_file(job, remote)
    namespace = _module("tests").__dict__
    exec(compile(job["prelude"], "problem.py", "exec", dont_inherit=True), namespace)
    records = {name: kind for name, kind in namespace.items() if isinstance(kind, type) and kind.__module__ == "tests"}
    if records:
        remote.set_records(records)
    proxy = Function(remote, job["entry"])
    namespace[job["entry"]] = namespace["candidate"] = proxy
    score = _Score(total=1)
    _attempt(score, "check", lambda: _run_check(job, namespace, proxy))
    return score


def _run_check(job: dict[str, Any], namespace: dict[str, Any], proxy: Function) -> None:
    exec(compile(job["source"], "tests.py", "exec", dont_inherit=True), namespace)
    namespace[job["check"]](proxy)


def _attempt(score: _Score, name: str, test: Callable[[], Any]) -> None:
    """Run one test and record the result."""
    try:
        test()
    except Gone:
        raise
    except BaseException as error:  # border: test code may raise anything
        fault = getattr(error, "fault", None)
        if fault is None and _is_skip(error):
            score.total -= 1
            return
        if score.verdict == "pass":
            score.verdict, score.fault = "error" if fault else "fail", fault
            score.detail = f"{name}: {type(error).__name__}: {str(error)[:200]}" + _place(error)
        return
    score.passed += 1


def _is_skip(error: BaseException) -> bool:
    """Whether a test skipped itself, judged by pytest's own class: a solution may name its exceptions as it likes."""
    outcomes = sys.modules.get("_pytest.outcomes")
    return outcomes is not None and isinstance(error, outcomes.Skipped)


def _place(error: BaseException) -> str:
    """The line of the test code where the error occurred."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "tests.py":
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line} of the tests)" if line else ""


def _module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module
    return module


def _pytest_file(job: dict[str, Any], remote: Remote) -> _Score:
    score = _Score()
    tree = ast.parse(job["source"])
    own = _bound(tree) | set(dir(builtins))  # `from solution import *` must not put the solution's `all` or `pytest` into the tests
    solution_module(remote, {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - own)
    tests = _module("test_solution")
    exec(compile(job["prelude"], "problem.py", "exec", dont_inherit=True), tests.__dict__)
    imported = _Score(total=1)
    _attempt(imported, "import", lambda: exec(compile(tree, "tests.py", "exec", dont_inherit=True), tests.__dict__))
    if imported.verdict != "pass":
        return imported
    fixtures = {name: thing for name, thing in vars(tests).items() if _fixture_function(thing) is not None}
    for case in _cases(tests):
        score.total += 1
        _attempt(score, case.name, lambda case=case: _run_case(case, fixtures))  # type: ignore[misc]
    if score.verdict == "pass" and not score.passed:
        score.verdict, score.detail = "infra", "the test file has no test"
    return score


def _bound(tree: ast.Module) -> set[str]:
    """The names that the test code binds itself: imports, functions, classes and variables."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "solution"):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return names


def _cases(module: types.ModuleType) -> Iterator[_Case]:
    for name, thing in list(vars(module).items()):
        if isinstance(thing, types.FunctionType) and name.startswith("test"):
            yield from _parametrized(name, thing, None)
        elif type(thing) is type and (name.startswith("Test") or hasattr(thing, "assertEqual")):
            for method, function in vars(thing).items():
                if method.startswith("test") and isinstance(function, types.FunctionType):
                    yield from _parametrized(f"{name}.{method}", function, thing)


def _parametrized(name: str, function: Callable[..., Any], make: Callable[[], Any] | None) -> Iterator[_Case]:
    """A case for each combination of the values in `parametrize` marks."""
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    combinations: list[dict[str, Any]] = [{}]
    for mark in marks:
        names, rows = mark.args[0], mark.args[1]
        names = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
        combinations = [{**one, **_row(names, row)} for one in combinations for row in rows]
    if any(_skips(mark) for mark in getattr(function, "pytestmark", [])):
        return
    for arguments in combinations:
        yield _Case(name, function, make, arguments)


def _row(names: list[str], row: Any) -> dict[str, Any]:
    values = getattr(row, "values", row) if type(row).__name__ == "ParameterSet" else row
    return {names[0]: values} if len(names) == 1 and values is row else dict(zip(names, values, strict=True))


def _skips(mark: Any) -> bool:
    return mark.name == "skip" or (mark.name == "skipif" and bool(mark.args and mark.args[0]))


def _fixture_function(thing: Any) -> Callable[..., Any] | None:
    if type(thing).__name__ == "FixtureFunctionDefinition":
        found: Callable[..., Any] = thing._get_wrapped_function()
        return found
    return None


def _run_case(case: _Case, fixtures: dict[str, Any]) -> None:
    values: dict[str, Any] = dict(case.arguments)
    endings: list[Any] = []
    owner = case.make() if case.make else None
    function = case.function.__get__(owner) if owner is not None else case.function
    for name in ("setup_method", "setUp"):
        if isinstance(getattr(type(owner), name, None), types.FunctionType):
            _with(getattr(owner, name), {"method": function}, {}, [])
    _with(function, values, fixtures, endings)
    for ending in reversed(endings):
        next(ending, None)


def _with(function: Callable[..., Any], values: dict[str, Any], fixtures: dict[str, Any], endings: list[Any]) -> Any:
    """The result of a function called with the arguments that it names, taken from values and fixtures."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount][int(hasattr(function, "__self__")) :]
    for name in names:
        if name not in values and name in fixtures:
            made = _with(_fixture_function(fixtures[name]), values, fixtures, endings)  # type: ignore[arg-type]
            if isinstance(made, types.GeneratorType):
                endings.append(made)
                made = next(made)
            values[name] = made
    return function(**{name: values[name] for name in names if name in values})
