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
from collections.abc import Callable, Iterator
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
    own = list[types.CodeType]()
    sys.meta_path.insert(0, _Finder(_guard(own, evidence, mocks="mock" in source), own))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, guard: Callable[..., Any], own: list[types.CodeType]) -> None:
        self.guard, self.own = guard, own

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The test file, compiled by us."""
        if name != _NAME:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found is None or found.origin is None:
            return None
        return importlib.util.spec_from_file_location(name, found.origin, loader=_Loader(name, found.origin, self.guard, self.own))


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, guard: Callable[..., Any], own: list[types.CodeType]) -> None:
        super().__init__(name, path)
        self.guard, self.own = guard, own

    def source_to_code(self, data: Any, path: Any, *, _optimization: int = -1) -> types.CodeType:  # type: ignore[override]
        """The code, with the guard among its constants, where no name leads to it."""
        tree = ast.fix_missing_locations(_Guarded().visit(ast.parse(data, path)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of a text that is called: the guard takes its place
            code = _with_guard(compile(tree, path, "exec", dont_inherit=True), self.guard)
        self.own += _parts(code)
        return code


def _with_guard(code: types.CodeType, guard: Callable[..., Any]) -> types.CodeType:
    def bound(constant: Any) -> Any:
        if isinstance(constant, types.CodeType):
            return _with_guard(constant, guard)
        return guard if type(constant) is str and constant == _MARK else constant

    return code.replace(co_consts=tuple(map(bound, code.co_consts)))


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and all that lie in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


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


def _guard(own: list[types.CodeType], evidence: list[str], *, mocks: bool) -> Callable[[Any, bool], Any]:
    """The guard of a test file with this code. Not looked at: classes older than the solution, except mocks of tests that make none."""
    pairs, old = _pairs(), _classes() - (set() if mocks else _equal_to_any())

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
        elif kind not in old and not _defined_by(own, kind):
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


def _defined_by(own: list[types.CodeType], kind: type) -> bool:
    """Whether `__eq__` is the tests' own. Its file proves nothing: anybody can compile code under that name."""
    code = getattr(getattr(kind, "__eq__", None), "__code__", None)
    return any(code is part for part in own)


def _pairs() -> list[tuple[Any, Any]]:
    """Pairs of values that nothing honest equals both of, random so that no object can know them."""
    chance = random.SystemRandom()

    def number() -> int:
        return chance.getrandbits(62) + 1

    makers: list[Callable[[], Any]] = [number, lambda: float(number()), lambda: f"{number():x}", object, lambda: [number()]]
    makers += [lambda: (number(),), lambda: {number()}, lambda: {number(): number()}, lambda: number().to_bytes(8, "big")]
    return [(False, True), *((make(), make()) for make in makers)]
