"""The shape of `src/asap`, read with `ast`: imports point down, no cycles, one name for one thing, docstrings, sizes.

`ALLOWED` lists the offenders that remain. An entry that offends no longer fails as well, so the lists only get shorter.
"""

import ast
import importlib.util
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

LONGEST_CHAIN = 13
"""Modules that import each other in a row."""
FILE_LINES, FUNCTION_LINES = 300, 60

ALLOWED: Mapping[str, Mapping[str, str]] = {
    "cycles": {},
    "imports inside functions": {
        "asap.__main__": "it starts the command line",
        "asap.lm.vocabulary_head": "the kernel needs Triton, which only builds for CUDA bring",
        "asap.prune.token_level": "torch is loaded only for a token classifier",
        "asap.train.fit": "TRL is loaded after unsloth, which changes it, and after its telemetry is switched off",
    },
    "names in two modules": {"to_sample": "plans of experiments that have begun fix the code that imports the one in shapes"},
    "docstrings": {},
    "sizes": {},
}

Place = Literal["top", "type checking", "function"]


class Import(NamedTuple):
    """One module of the package imports another."""

    importer: str
    imported: str
    line: int
    place: Place


class Offender(NamedTuple):
    """What breaks a rule: the key that `ALLOWED` knows it by, where it is, and what is wrong."""

    key: str
    where: str
    what: str


class Tree:
    """The modules of a package, by dotted name."""

    def __init__(self, root: Path) -> None:
        self.base = root.parent
        self.paths = {_module_name(root, path): path for path in sorted(root.rglob("*.py"))}
        self.modules = {name: ast.parse(path.read_text("utf-8")) for name, path in self.paths.items()}
        self.imports = [one for name, module in self.modules.items() for one in self._imports(name, module, "top") if one.imported != name]

    def where(self, name: str, line: int) -> str:
        return f"{self.paths[name].relative_to(self.base)}:{line}"

    def reached(self, *places: Place) -> Mapping[str, set[str]]:
        """What each module imports at these places."""
        reached = defaultdict[str, set[str]](set)
        for one in self.imports:
            if one.place in places:
                reached[one.importer].add(one.imported)
        return reached

    def _imports(self, name: str, node: ast.AST, place: Place) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                yield from (Import(name, imported, child.lineno, place) for imported in self._imported(name, child))
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from self._imports(name, child, "function")
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from self._imports(name, child, "type checking")
            else:
                yield from self._imports(name, child, place)

    def _imported(self, name: str, node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names if alias.name in self.paths]
        package = name if self.paths[name].name == "__init__.py" else name.rpartition(".")[0]
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        found = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in self.paths else base for alias in node.names]
        return [module for module in found if module in self.paths]


def _module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def longest_chain(tree: Tree) -> list[str]:
    """The longest row of modules of which each imports the next, at the top of the module."""
    reached = tree.reached("top")

    @cache
    def below(name: str) -> list[str]:
        return [name, *max((below(other) for other in sorted(reached[name])), key=len, default=[])]

    return max(map(below, tree.paths), key=len)


def cycles(tree: Tree) -> Iterator[Offender]:
    """Modules that import themselves by way of others, with imports inside functions and under TYPE_CHECKING."""
    reached = tree.reached("top", "type checking", "function")

    @cache
    def all_below(name: str) -> set[str]:
        seen, waiting = set[str](), [name]
        while waiting:
            new = reached[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    for one in tree.imports:
        if one.importer in all_below(one.imported):
            yield Offender(one.importer, tree.where(one.importer, one.line), f"imports {one.imported}, which imports it again")


def imports_inside_functions(tree: Tree) -> Iterator[Offender]:
    """Imports of own modules inside functions, except where start-up time needs them: the command line and the table of models."""
    for one in tree.imports:
        package = one.importer.split(".")[1:]
        if one.place == "function" and package[:1] != ["cli"] and package != ["lm", "specs"]:
            yield Offender(one.importer, tree.where(one.importer, one.line), f"imports {one.imported} inside a function")


def names_in_two_modules(tree: Tree) -> Iterator[Offender]:
    """Public names that several modules define. A command may share its verb, each program has its `main`, type variables are letters."""
    found = defaultdict[str, dict[str, int]](dict)
    for module, content in tree.modules.items():
        for statement in content.body:
            for name in _defined(statement):
                if len(name) > 1 and not name.startswith("_") and name != "main" and not _is_command(module, name):
                    found[name].setdefault(module, statement.lineno)
    for name, places in found.items():
        for module, line in places.items() if len(places) > 1 else ():
            yield Offender(name, tree.where(module, line), f"defines {name}, as {len(places) - 1} other modules do")


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target] if isinstance(statement, ast.AnnAssign) else []
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _is_command(module: str, name: str) -> bool:
    return module.split(".")[1:] == ["cli", name]


def docstrings(tree: Tree) -> Iterator[Offender]:
    """Modules without a docstring."""
    for name, module in tree.modules.items():
        if not ast.get_docstring(module):
            yield Offender(name, tree.where(name, 1), "has no module docstring")


def sizes(tree: Tree) -> Iterator[Offender]:
    """Files and functions that are too long. A command's signature holds its options, so its length says nothing."""
    for name, module in tree.modules.items():
        lines = len(tree.paths[name].read_text("utf-8").splitlines())
        if lines > FILE_LINES:
            yield Offender(name, tree.where(name, lines), f"has {lines} lines, more than {FILE_LINES}")
        for node in ast.walk(module):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not _is_command(name, node.name):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield Offender(f"{name}.{node.name}", tree.where(name, node.lineno), f"{node.name} has {length} lines")


PROPERTIES: Mapping[str, Callable[[Tree], Iterator[Offender]]] = {
    "cycles": cycles,
    "imports inside functions": imports_inside_functions,
    "names in two modules": names_in_two_modules,
    "docstrings": docstrings,
    "sizes": sizes,
}


@pytest.fixture(scope="module")
def asap_tree() -> Tree:
    return Tree(Path(__file__).parent.parent / "src" / "asap")


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_package_keeps_its_shape(asap_tree: Tree, name: str) -> None:
    offenders = list(PROPERTIES[name](asap_tree))
    new = [f"{one.where}: {one.what}" for one in offenders if one.key not in ALLOWED[name]]
    assert not new, "\n".join(new)
    gone = ALLOWED[name].keys() - {one.key for one in offenders}
    assert not gone, f"take these out of ALLOWED[{name!r}]: {', '.join(sorted(gone))}"


def test_imports_point_down(asap_tree: Tree) -> None:
    chain = longest_chain(asap_tree)
    assert len(chain) <= LONGEST_CHAIN, " > ".join(chain)


def planted(root: Path, **files: str) -> Tree:
    """A package `toy` of these modules (`a__b` is toy/a/b.py), each with a docstring unless it says otherwise."""
    for name, text in {"__init__": "", **files}.items():
        path = root / "toy" / Path(*name.split("__") if name != "__init__" else [name]).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.startswith("#") else f'"""A module."""\n{text}', "utf-8")
    return Tree(root / "toy")


def found(offenders: Iterator[Offender]) -> list[tuple[str, str]]:
    return [(one.key, one.where) for one in offenders]


def test_a_planted_chain_is_measured(tmp_path: Path) -> None:
    tree = planted(
        tmp_path, a="from toy import b", b="from toy.c import x\nfrom .d import y", c="import toy.d", d="def f():\n    from toy import a"
    )
    assert longest_chain(tree) == ["toy.a", "toy.b", "toy.c", "toy.d"]


@pytest.mark.parametrize(
    "back",
    ["from toy import a", "def f():\n    import toy.a", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy.a import A"],
)
def test_a_planted_cycle_is_found(tmp_path: Path, back: str) -> None:
    tree = planted(tmp_path, a="from toy.b import B", b="from toy.c import C", c=back, d="import toy.a")
    assert found(cycles(tree)) == [
        ("toy.a", "toy/a.py:2"),
        ("toy.b", "toy/b.py:2"),
        ("toy.c", f"toy/c.py:{2 + back.count(chr(10))}"),
    ]


def test_a_planted_import_inside_a_function_is_found(tmp_path: Path) -> None:
    lazy = "class A:\n    def f(self):\n        if True:\n            from toy import b\n        import json"
    tree = planted(tmp_path, a=lazy, b="", cli__x="def f():\n    import toy.b", lm__specs="async def f():\n    import toy.b")
    assert found(imports_inside_functions(tree)) == [("toy.a", "toy/a.py:5")]


def test_a_planted_name_in_two_modules_is_found(tmp_path: Path) -> None:
    tree = planted(
        tmp_path,
        a="class Job: ...\n_own = 1\nT = xx, YY = 1, 2\ndef cut(): ...\ndef main(): ...",
        b="from toy.a import Job\n_own = T = 1\nYY: int = 3\ndef main(): ...",
        c="def f():\n    YY = 1\nasync def Job(): ...",
        cli__cut="def cut(): ...",
    )
    assert found(names_in_two_modules(tree)) == [
        ("Job", "toy/a.py:2"),
        ("Job", "toy/c.py:4"),
        ("YY", "toy/a.py:4"),
        ("YY", "toy/b.py:4"),
    ]


def test_a_planted_module_without_a_docstring_is_found(tmp_path: Path) -> None:
    assert found(docstrings(planted(tmp_path, a="", b="# a comment\nx = 1"))) == [("toy.b", "toy/b.py:1")]


def test_planted_sizes_are_found(tmp_path: Path) -> None:
    body = "\n".join(["    x = 1"] * FUNCTION_LINES)
    tree = planted(
        tmp_path, a=f"def f():\n{body}", b="\n" * FILE_LINES, c="\n" * (FILE_LINES - 1), cli__d=f"def d():\n{body}\ndef e():\n{body}"
    )
    assert found(sizes(tree)) == [("toy.a.f", "toy/a.py:2"), ("toy.b", "toy/b.py:301"), ("toy.cli.d.e", "toy/cli/d.py:63")]
