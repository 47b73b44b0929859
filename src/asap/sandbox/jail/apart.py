"""Runs a pytest file in a process of its own, with the module `solution` behind a proxy."""

import ast
import builtins
from typing import Any

from asap.sandbox.jail.codec import Channel
from asap.sandbox.jail.module import solution_module
from asap.sandbox.jail.pytest_file import Plugin, Tally, run_pytest
from asap.sandbox.jail.remote import Remote
from asap.sandbox.jail.result import Result
from asap.sandbox.jail.suite import serve_tests


def run_apart(host: Channel, solution: Channel) -> None:
    """Run the test file of the first message and report to the host what became of its tests."""
    serve_tests(host, solution, _tested)


def _tested(job: dict[str, Any], remote: Remote) -> Result:
    tree = ast.parse(job["source"])
    own = _bound(tree) | set(dir(builtins))  # `from solution import *` must not put the solution's `all` or `pytest` into the tests
    solution_module(remote, {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - own)
    tally = Tally()
    run_pytest(job["source"], Plugin(tally.add, lambda error: getattr(error, "fault", None)))
    return tally.result()


def _bound(tree: ast.Module) -> set[str]:
    """The names that the test code binds itself: imports, functions, classes and variables."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "solution"):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return names
