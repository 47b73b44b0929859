"""What functions and classes of modules were at one moment, to tell later whether somebody has put others in their place."""

import ast
import builtins
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

_FREE = (
    "print input open exit quit help copyright credits license breakpoint excepthook displayhook unraisablehook breakpointhook last_type "
    "last_value last_exc showwarning _showwarnmsg_impl"
)
_BUILTINS = frozenset(dir(builtins))
_MISSING = object()
_PLAIN = (int, float, str, bytes, bool, complex, tuple, frozenset, type(None))


class Snapshot:
    """Names, classes and code of modules. Names in `exempt` may change: the tests change them. So may those that pytest or programs set."""

    def __init__(self, modules: Mapping[str, types.ModuleType], exempt: frozenset[str]) -> None:
        self._names: list[tuple[str, Mapping[str, Any], str, Any]] = []
        self._codes: list[tuple[types.FunctionType, types.CodeType]] = []
        self._spaces: list[tuple[str, Mapping[str, Any], frozenset[str]]] = []
        for name, module in modules.items():
            self._names.append(("sys.modules", sys.modules, name, module))
            self.add(module, exempt | {*_FREE.split()})

    def add(self, module: types.ModuleType, exempt: frozenset[str], *, values: bool = False) -> None:
        """Take down a module too; with `values`, also its plain variables."""
        space = vars(module)
        self._spaces.append((module.__name__, space, frozenset(space)))
        for key, value in list(space.items()):
            if key in exempt:
                continue
            if callable(value) or isinstance(value, types.ModuleType) or (values and type(value) in _PLAIN):
                self._names.append((module.__name__, space, key, value))
            self._take_code(value)
            if isinstance(value, type) and value.__module__ == module.__name__:
                self._take_class(value, exempt)

    def _take_class(self, kind: type, exempt: frozenset[str]) -> None:
        for key, value in list(vars(kind).items()):
            inner = getattr(value, "__func__", getattr(value, "fget", value))
            if key not in exempt and (callable(inner) or isinstance(value, property)):
                self._names.append((kind.__qualname__, vars(kind), key, value))
                self._take_code(inner)

    def _take_code(self, function: Any) -> None:
        if isinstance(function, types.FunctionType):
            self._codes.append((function, function.__code__))

    def changes(self) -> list[str]:
        """What has changed; one is enough."""
        for owner, space, key, value in self._names:
            if space.get(key, _MISSING) is not value:
                return [f"{owner}.{key} is not what it was"]
        for function, code in self._codes:
            if function.__code__ is not code:
                return [f"the code of {function.__qualname__}"]
        for owner, space, before in self._spaces:
            if len(space) != len(before) and (hidden := (set(space) - before) & _BUILTINS):
                return [f"{owner} hides {min(hidden)}"]
        return []


def imported_names(source: str) -> list[str]:
    """The modules that a test file imports, except the solution."""
    return sorted({name for node in _nodes(source) for name in _modules(node) if name.partition(".")[0] != "solution"})


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module


def own_names(source: str) -> frozenset[str]:
    """The names that a test file itself may change: those it assigns to, those it patches, and words of dotted names in other calls.

    A name in any text or keyword would be too much: `xfail(raises=KeyError)` replaces no `pytest.raises`, and `count("all")` no `all`.
    """
    found = set[str]()
    for node in _nodes(source):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found |= set(node.names)
        elif isinstance(node, ast.Call):
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            patches = _patches(node.func)
            found |= {word for text in texts if patches or "." in text for word in text.split(".") if word.isidentifier()}
            found |= {keyword.arg for keyword in node.keywords if keyword.arg and patches}
    return frozenset(found)


def _patches(function: ast.expr) -> bool:
    """Whether a call is one of those that put something in a name's place: `setattr`, `patch.object`."""
    name = function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    return name in ("setattr", "delattr", "patch", "object", "multiple", "spy")


def _nodes(source: str) -> Iterator[ast.AST]:
    try:
        return ast.walk(ast.parse(source))
    except (SyntaxError, ValueError):
        return iter(())
