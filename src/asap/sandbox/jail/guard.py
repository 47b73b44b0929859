"""Compiles a test file so that what it compares passes through a guard, which notices objects that claim to equal everything.

An honest object may equal a plain value; it does not equal two different random ones, and no absolute value is below -1.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import random
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

from asap.sandbox.jail.pytest_file import TEST_FILE

_NAME = TEST_FILE.removesuffix(".py")
_MARK = "the guard of what tests compare"
_PLAIN = frozenset([int, float, str, bytes, bool, complex, type(None), range, bytearray, types.FunctionType, type])
_BOXES = (list, tuple, set, frozenset)
_DEPTH = 4
_MOST = 10_000  # items of one container that are looked at


def guard_tests(source: str, evidence: list[str]) -> None:
    """Have the test file compiled with the guard when it is imported. What it notices is added to `evidence`."""
    sys.meta_path.insert(0, _Finder(_guard(source, evidence)))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, guard: Callable[..., Any]) -> None:
        self.guard = guard

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The test file, compiled by us."""
        if name != _NAME:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found is None or found.origin is None:
            return None
        return importlib.util.spec_from_file_location(name, found.origin, loader=_Loader(name, found.origin, self.guard))


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, guard: Callable[..., Any]) -> None:
        super().__init__(name, path)
        self.guard = guard

    def source_to_code(self, data: Any, path: Any, *, _optimization: int = -1) -> types.CodeType:  # type: ignore[override]
        """The code, with the guard among its constants, where no name leads to it."""
        tree = ast.fix_missing_locations(_Guarded().visit(ast.parse(data, path)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of a text that is called: the guard takes its place
            return _with_guard(compile(tree, path, "exec", dont_inherit=True), self.guard)


def _with_guard(code: types.CodeType, guard: Callable[..., Any]) -> types.CodeType:
    def bound(constant: Any) -> Any:
        if isinstance(constant, types.CodeType):
            return _with_guard(constant, guard)
        return guard if type(constant) is str and constant == _MARK else constant

    return code.replace(co_consts=tuple(map(bound, code.co_consts)))


class _Guarded(ast.NodeTransformer):
    """Passes through the guard what is compared, and the arguments of assertEqual and its like."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.left = _passed(node.left)
        node.comparators = [_passed(each) for each in node.comparators]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if name.startswith("assert") and not name.startswith(("assert_called", "assert_any", "assert_has", "assert_not_called")):
            node.args = [each if isinstance(each, ast.Starred) else _passed(each) for each in node.args]
        return node


def _passed(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Constant):
        return node
    size = isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and "abs" in ast.unparse(node.func)
    return ast.Call(ast.Constant(_MARK), [node, ast.Constant(size)], [])


def _guard(source: str, evidence: list[str]) -> Callable[[Any, bool], Any]:
    """The guard of a test file. Classes that are older than the solution are not looked at, nor are mocks of a file that makes some."""
    pairs, old, own = _pairs(), _classes() - (set() if "mock" in source else _equal_to_any()), "__eq__" in source

    def guard(value: Any, size: bool) -> Any:
        if type(value) not in _PLAIN:
            look(value, size, 0)
        return value

    def look(value: Any, size: bool, depth: int) -> None:
        kind = type(value)
        if kind in _BOXES or kind is dict:
            items = [*value, *value.values()] if kind is dict else list(value)
            if depth < _DEPTH and not set(map(type, items)) <= _PLAIN:
                for item in items[:_MOST]:
                    look(item, False, depth + 1)
        elif kind not in old and not (own and _defined_by_tests(kind)):
            if any(_says(lambda: value == one) and _says(lambda: value == other) for one, other in pairs):  # noqa: B023
                evidence.append(f"an object of the class {kind.__name__[:80]} equals everything")
            elif size and _says(lambda: value < -1):
                evidence.append(f"an absolute value of the class {kind.__name__[:80]} is below zero")

    return guard


def _classes() -> set[type]:
    """All classes that there are."""
    found, fresh = set[type](), [object]
    while fresh:
        fresh = [kind for above in fresh for kind in type.__subclasses__(above) if kind not in found]
        found.update(fresh)
    return found


def _equal_to_any() -> set[type]:
    """Classes of mocks, and of pytest's `approx`, that can be made to equal anything."""
    return {kind for kind in _classes() if kind.__module__ in ("unittest.mock", "_pytest.python_api")}


def _says(question: Callable[[], Any]) -> bool:
    try:
        return question() is True
    except Exception:  # an honest object may know nothing of such a value
        return False


def _defined_by_tests(kind: type) -> bool:
    code = getattr(getattr(kind, "__eq__", None), "__code__", None)
    return code is not None and code.co_filename.endswith(TEST_FILE)


def _pairs() -> list[tuple[Any, Any]]:
    """Pairs of values that nothing honest equals both of, random so that no object can know them."""
    chance = random.SystemRandom()

    def number() -> int:
        return chance.getrandbits(62) + 1

    makers: list[Callable[[], Any]] = [number, lambda: float(number()), lambda: f"{number():x}", object, lambda: [number()]]
    makers += [lambda: (number(),), lambda: {number()}, lambda: {number(): number()}, lambda: number().to_bytes(8, "big")]
    return [(False, True), *((make(), make()) for make in makers)]
