"""Reads a pytest file to tell whether a solution can be tested from another process, without running either.

Apart, the tests see a solution through proxies in a process of its own: nothing that it does can judge it. Together, tests and solution
share a process, as their authors meant it. Only the test file decides here, and a reference solution may (`asap.evaluate.reference`);
the solution under test never does.
"""

import ast
import builtins
from collections import Counter
from collections.abc import Iterator

from asap.benchmarks.problem import Isolation
from asap.python_code import UNREADABLE

_FIXTURES = (
    "capsys capsysbinary capfd capfdbinary caplog monkeypatch tmp_path tmp_path_factory tmpdir tmpdir_factory recwarn mocker pytester"
)
_MODULES = (
    "asyncio builtins concurrent contextvars ctypes dataclasses doctest faulthandler gc glob importlib inspect locale logging mock "
    "multiprocessing pathlib pickle resource runpy shutil signal socket sqlite3 subprocess tempfile threading tracemalloc unittest.mock "
    "warnings weakref"
)
_ATTRIBUTES = {
    "os": "environ getenv putenv chdir getcwd remove unlink mkdir makedirs rmdir listdir scandir walk stat open urandom umask",
    "path": "exists lexists isfile isdir getsize getmtime",
    "sys": "stdin stderr modules argv setrecursionlimit getrecursionlimit settrace setprofile getrefcount",
    "random": "seed setstate",
    "time": "process_time process_time_ns thread_time tzset",
    "mark": "filterwarnings",
    "pytest": "warns deprecated_call MonkeyPatch",
}
_CALLS = (
    "open input redirect_stderr redirect_stdin assertWarns assertWarnsRegex assertLogs assertNoLogs catch_warnings "
    "errstate seterr getcontext setcontext localcontext set_printoptions printoptions"
)
_PATCHED = ("builtins", "time", "random", "os", "sys", "math")
_PROCESSES = ("subprocess", "multiprocessing", "ProcessPoolExecutor", "os.fork", "os.system", "os.popen", "os.spawn")
_CONSTANTS = (type(None), bool, type(Ellipsis))


def isolation_of(source: str, *, reference_passes_apart: bool = False) -> Isolation:
    """How a test file has to run. What only may fail apart runs together, unless the reference solution passes apart."""
    try:
        tree = ast.parse(source)
    except UNREADABLE:
        return "apart"
    names = _Names(tree)
    if any(_must_share(node, names) for node in ast.walk(tree)):
        return "together"
    return "together" if not reference_passes_apart and any(_may_share(node, names) for node in ast.walk(tree)) else "apart"


def needs_processes(source: str) -> bool:
    """Whether a test file starts processes."""
    return any(word in source for word in _PROCESSES)


class _Names:
    """What a test file calls the solution: `modules` are names of the module itself, `things` are names imported from it."""

    def __init__(self, tree: ast.AST) -> None:
        self.modules, self.things = {"solution"}, set[str]()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.modules |= {alias.asname for alias in node.names if alias.name == "solution" and alias.asname}
            elif isinstance(node, ast.ImportFrom) and node.module == "solution":
                self.things |= {alias.asname or alias.name for alias in node.names}
        self.called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}

    def of_module(self, node: ast.expr) -> bool:
        """Whether an expression is the solution's module."""
        return isinstance(node, ast.Name) and node.id in self.modules


def _must_share(node: ast.AST, names: _Names) -> bool:
    """Whether a part of a test file never works from another process."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any({name, name.partition(".")[0]} & {*_MODULES.split()} for name in _imported(node))
    if isinstance(node, ast.AsyncFunctionDef | ast.Await):
        return True
    if isinstance(node, ast.FunctionDef):
        return any(argument.arg in _FIXTURES.split() for argument in [*node.args.args, *node.args.kwonlyargs])
    if isinstance(node, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id in names.things for base in node.bases) or any(
            isinstance(base, ast.Attribute) and names.of_module(base.value) for base in node.bases
        )
    if isinstance(node, ast.Call):
        return _last_name(node.func) in _CALLS.split() or (
            _last_name(node.func) in ("setattr", "delattr") and names.of_module(node.args[0])
        )
    if isinstance(node, ast.Attribute):
        if node.attr == "__all__":  # a proxy has one of its own
            return True
        if isinstance(node.ctx, ast.Store | ast.Del) and isinstance(node.value, ast.Name):
            return node.value.id in names.modules | names.things or (node.value.id in _PATCHED and node.attr != "stdout")
        return node.attr in _ATTRIBUTES.get(_last_name(node.value), "").split()
    return False


def _may_share(node: ast.AST, names: _Names) -> bool:
    """Whether a part of a test file may not work from another process: classes, identity, variables and attributes of the solution."""
    if isinstance(node, ast.Compare):
        pairs = zip(node.ops, [node.left, *node.comparators][:-1], node.comparators, strict=True)
        return any(isinstance(op, ast.Is | ast.IsNot) and not (_constant(left) or _constant(right)) for op, left, right in pairs)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any(name.partition(".")[0] in ("copy", "types", "abc", "enum") for name in _imported(node)) or _imports_class(node)
    if isinstance(node, ast.Attribute):
        if names.of_module(node.value):
            return id(node) not in names.called or node.attr[:1].isupper()
        return node.attr == "stdout" or (isinstance(node.value, ast.Name) and node.value.id in names.things)
    return isinstance(node, ast.Call) and _last_name(node.func) in ("redirect_stdout", "isinstance") and _other_kind(node)


def _imports_class(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "solution" and any(alias.name[:1].isupper() for alias in node.names)


def _other_kind(node: ast.Call) -> bool:
    """Whether a call redirects output, or tests for a class that is no builtin."""
    if _last_name(node.func) != "isinstance" or len(node.args) != 2:
        return True
    kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
    return not all(isinstance(kind, ast.Name) and hasattr(builtins, kind.id) for kind in kinds)


def _constant(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and isinstance(node.value, _CONSTANTS)) or (
        isinstance(node, ast.Name) and hasattr(builtins, node.id)
    )


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The dotted names that an import statement may load."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def named_tests(source: str) -> list[str]:
    """The tests that a reader of the file sees: `test_a`, `TestB.test_c`. Where pytest's rules leave a doubt, none is named."""
    try:
        tree = ast.parse(source)
    except UNREADABLE:
        return []
    found = list[str]()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and not _no_test(node):
            found.append(node.name)
        elif isinstance(node, ast.ClassDef) and not _no_test(node) and _collected(node):
            found += [
                f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test")
            ]
    once = {name for name, times in Counter(found).items() if times == 1}
    rebound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    return [name for name in found if name in once and name.partition(".")[0] not in rebound]


def _collected(node: ast.ClassDef) -> bool:
    """Whether a class is surely collected: a TestCase, or a Test… class without bases and without a constructor."""
    if any(_last_name(base) == "TestCase" for base in node.bases):
        return True
    own = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    return node.name.startswith("Test") and not node.bases and not own & {"__init__", "__new__"}


def _no_test(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a decorator or `__test__` may take it out of the tests."""
    if isinstance(node, ast.ClassDef) and any("__test__" in ast.dump(each) for each in node.body):
        return True
    return any(_last_name(each.func if isinstance(each, ast.Call) else each) in ("fixture", "patch") for each in node.decorator_list)
