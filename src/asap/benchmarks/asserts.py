"""Test code that imports nothing from the solution, such as bare assert statements, made into a pytest file that does.

Published assert statements (MBPP, AceCode) run in the solution's own namespace. Here they get what they use by name: the solution's
functions and classes, and modules of the standard library, which a solution's own import would have brought.
"""

import ast
import builtins
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence

from asap.python_code import defined_names

_IMPORTS_SOLUTION = re.compile(r"^[ \t]*(from\s+solution\s+import|import\s+solution)\b", re.MULTILINE)
_HAS_TESTS = re.compile(r"^[ \t]*(async\s+)?def\s+test|^class\s+\w*Test|^class\s+\w+\(.*TestCase", re.MULTILINE)
_FUTURE = re.compile(r"\s*from\s+__future__\s")


def pytest_file(source: str, references: Sequence[str] = ()) -> str:
    """Python test code as a pytest file: bare statements become one test. Raises SyntaxError."""
    if _HAS_TESTS.search(source):
        return source if _IMPORTS_SOLUTION.search(source) else _importing(source, references)
    return asserts_file([source], "", references)


def asserts_file(statements: Sequence[str], before: str, references: Sequence[str] = ()) -> str:
    """A pytest file with one test of all these statements; `before` runs ahead of it. Raises SyntaxError, also if they assert nothing."""
    tree = ast.parse("\n".join(textwrap.dedent(statement) for statement in statements))
    if not any(map(_asserts, ast.walk(tree))):
        raise SyntaxError("the statements assert nothing, so every solution would pass")
    body = ast.unparse(tree)  # indenting it changes no text in it
    before = textwrap.dedent(before).strip("\n")
    imports = _imports([before, body], references)
    head, inside = ([line for line in imports if _is_collected(line) == inner] for inner in (False, True))
    return "\n".join([*head, before, "", "def test_all():", *(f"    {line}" for line in inside), textwrap.indent(body, "    "), ""])


def _is_collected(line: str) -> bool:
    """Whether pytest would take what an import brings for a test, as MBPP's `test_distinct`."""
    return line.rpartition(" ")[2].lower().startswith("test")


def _asserts(node: ast.AST) -> bool:
    """Whether a node can fail a test: assert, raise, or a call such as `assert_allclose`."""
    name = node.func if isinstance(node, ast.Call) else None
    called = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
    return isinstance(node, ast.Assert | ast.Raise) or "assert" in called.lower()


def _importing(source: str, references: Sequence[str]) -> str:
    lines = source.split("\n")
    first = max((number for number, line in enumerate(lines, 1) if _FUTURE.match(line)), default=0)
    return "\n".join([*lines[:first], *_imports([source], references), *lines[first:]])


def _imports(sources: Iterable[str], references: Sequence[str]) -> list[str]:
    """The imports that this code lacks. A builtin's name is the solution's if a reference defines it, as MBPP's `sum`."""
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    loaded = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    own = {name for reference in references for name in defined_names(reference)}
    known = bound_names(nodes) | {"__file__", "__builtins__", "__cached__"}  # the tests' own, as in any module
    missing = [name for name in dict.fromkeys(loaded) if name not in known and (name in own or not hasattr(builtins, name))]
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    modules = [name for name in missing if name in sys.stdlib_module_names and name not in own | called]
    wanted = [name for name in missing if name not in modules]
    return [f"import {name}" for name in modules] + [f"from solution import {name}" for name in wanted]


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that code binds itself: variables, parameters, functions, classes, imports."""
    names = set[str]()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names
