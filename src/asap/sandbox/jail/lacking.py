"""Whether tests lack what they say, judged by the test file and by what was there before the solution.

In one process a solution can raise whatever the tests would raise for want of a package or a fixture: nobody is to believe that alone.
"""

import ast
from collections.abc import Collection


def is_lacking(source: str, detail: str, modules: Collection[str]) -> bool:
    """Whether a test file explains why nothing can be said; `modules` are those that were missing when it was read."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    kind, _, need = detail.partition("the tests need ")
    if kind or not need:
        return "skip" in source if detail == "every test is skipped" else detail == "the test file has no test"
    if need == "pytest-asyncio":
        return any(isinstance(node, ast.AsyncFunctionDef) for node in nodes)
    if need.startswith("the fixture "):
        asked = {node.arg for node in nodes if isinstance(node, ast.arg)}
        asked |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        return need.removeprefix("the fixture ") in asked
    return need in modules
