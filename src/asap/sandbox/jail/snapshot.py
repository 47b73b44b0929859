"""What functions and classes of modules were at one moment, to tell later whether somebody has put others in their place."""

import ast
import builtins
import importlib
import operator
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_FREE = (
    "print input open exit quit help copyright credits license breakpoint excepthook displayhook unraisablehook breakpointhook last_type "
    "last_value last_exc showwarning _showwarnmsg_impl"
)
_BUILTINS = frozenset(dir(builtins))
_variables: Any = vars(types.ModuleType)["__dict__"].__get__  # `vars` would ask the object
_attributes: Any = vars(type)["__dict__"].__get__
_PLAIN = (int, float, str, bytes, bool, complex, tuple, frozenset, type(None))


Changes = Callable[[], list[str]]
"""Says what has changed; one is enough."""


class Snapshot:
    """Names and classes of modules. Names in `exempt` may change: the tests change them. So may those that pytest or programs set.

    So may, of each module, the names in `unread`. `watched` are the numbers of these modules, classes and functions: what the interpreter
    tells its hook of (`__code__`, `__defaults__`, `__class__`, `__bases__`) shows in no name.
    """

    def __init__(self, modules: Mapping[str, types.ModuleType], exempt: frozenset[str], unread: Mapping[str, frozenset[str]]) -> None:
        self._exempt = exempt
        self._modules = {name: module for name, module in modules.items() if sys.modules.get(name) is module}
        self._spaces: list[tuple[str, Mapping[str, Any], Mapping[str, Any], frozenset[str], bool]] = []
        self.watched = set(map(id, modules.values()))
        free = exempt | {*_FREE.split()}
        for module in modules.values():
            self._add(module.__name__, vars(module), free | unread.get(module.__name__, frozenset()))

    def add_tests(self, name: str, module: types.ModuleType) -> None:
        """Take down the tests' module too, with its plain variables. It holds objects of the solution's, whose code must not run here."""
        self._add(name, _variables(module), self._exempt, values=True)

    def _add(self, name: str, space: Mapping[str, Any], exempt: frozenset[str], *, values: bool = False) -> None:
        before: dict[str, Any] = space.copy()  # type: ignore[attr-defined]  # hashes nothing anew, as `dict` would
        self._spaces.append((name, space, before, exempt, values))
        for key, value in before.items():
            if issubclass(type(value), types.FunctionType):
                self.watched.add(id(value))
            elif issubclass(type(value), type) and type(key) is str and key not in exempt:
                self._add_class(name, _attributes(value), id(value), exempt)

    def _add_class(self, owner: str, space: Mapping[str, Any], number: int, exempt: frozenset[str]) -> None:
        """Take down a class, if it is one of this module's own."""
        module = space.get("__module__")
        if type(module) is str and module == owner:
            before: dict[str, Any] = space.copy()  # type: ignore[attr-defined]
            self._spaces.append((f"a class of {owner}", space, before, exempt, False))
            self.watched |= {number, *(id(each) for each in before.values() if issubclass(type(each), types.FunctionType))}

    def comparison(self) -> Changes:
        """What compares with this snapshot: a closure over C functions, so that no name leads to any part of it."""
        every, each, same, size, is_called, below, kind_of, text = all, map, operator.is_, len, callable, issubclass, type, str
        unique, least, found, modules, spaces = set, min, sys.modules.get, self._modules, self._spaces
        kept, plain, names, missing = (types.ModuleType, classmethod, staticmethod, property), _PLAIN, _BUILTINS, object()

        def changes() -> list[str]:
            for owner, space, before, exempt, values in spaces:
                if size(space) == size(before) and every(each(same, space, before)) and every(each(same, space.values(), before.values())):
                    continue
                for key, value in before.items():
                    watched = is_called(value) or below(kind_of(value), kept) or (values and below(kind_of(value), plain))
                    if watched and kind_of(key) is text and key not in exempt and space.get(key, missing) is not value:
                        return [f"{owner}.{key} is not what it was"]
                if hidden := unique([key for key in space if kind_of(key) is text and key in names and key not in before]):
                    return [f"{owner} hides {least(hidden)}"]
            if not every(each(same, each(found, modules), modules.values())):
                return ["sys.modules is not what it was"]
            return []

        return changes


def intact(modules: Sequence[types.ModuleType]) -> Callable[[], bool]:
    """What tells whether these modules and their classes are as they are now: a closure, as a snapshot's comparison."""
    every, each, same, size = all, map, operator.is_, len
    owners: list[Any] = [*modules]
    for module in modules:
        owners += [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
    spaces = [(vars(owner).get, dict(vars(owner))) for owner in owners]
    sizes = [(vars(module), len(vars(module))) for module in modules]

    def is_intact() -> bool:
        for get, before in spaces:
            if not every(each(same, each(get, before), before.values())):
                return False
        return every([size(space) == count for space, count in sizes])  # a new name would hide a builtin

    return is_intact


def used_modules(source: str) -> tuple[dict[str, types.ModuleType], set[str]]:
    """The modules that a test file uses, loaded now, and the names of those that are missing.

    Packages load some when their name is read: no solution is to be the first. One that a test file only tries to import is not missing.
    """
    found, missing = dict[str, types.ModuleType](), set[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, attributes, is_tried in _paths(source):
            try:
                value: Any = importlib.import_module(name)
                for attribute in ("", *attributes):
                    value = getattr(value, attribute) if attribute else value
                    if not isinstance(value, types.ModuleType):
                        break
                    found[value.__name__] = value
            except ModuleNotFoundError as error:
                missing |= {error.name or name} if not is_tried else set()
            except Exception:  # border: the tests will say what is wrong
                pass
    return found, missing


def _paths(source: str) -> set[tuple[str, tuple[str, ...], bool]]:
    """The modules that a test file imports, what it reads of each, as `numpy` and `testing`, `assert_allclose`, and whether in a `try`."""
    nodes, bound = list(_nodes(source)), dict[str, tuple[str, tuple[str, ...], bool]]()
    tried = {id(inner) for node in nodes if isinstance(node, ast.Try) for inner in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                bound[alias.asname or alias.name] = (alias.name, (), id(node) in tried)
                bound |= {} if alias.asname else {first: (first, (), id(node) in tried)}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            bound |= {alias.asname or alias.name: (node.module, (alias.name,), id(node) in tried) for alias in node.names}
    paths = {*bound.values()}
    for node in nodes:
        root, parts = _parts(node) if isinstance(node, ast.Attribute) else ("", ())
        if root in bound:
            name, attributes, is_tried = bound[root]
            paths.add((name, (*attributes, *parts), is_tried))
    return {path for path in paths if path[0].partition(".")[0] != "solution"}


def _parts(node: ast.expr) -> tuple[str, tuple[str, ...]]:
    """The name that a chain of attributes begins with (empty if with something else), and the attributes."""
    parts = list[str]()
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else ""), tuple(parts)


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
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return iter(())
