"""Python as models write it: which info strings name it, what is a program, what chats and web pages did to its characters.

Programs are parsed here, never run: they are untrusted.
"""

import ast
import builtins
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence

_LINE = re.compile(r"\r\n|\r|\n")  # as in Python; str.splitlines ends lines at more characters
_NAME = re.compile(
    r"(?:\{(?:code|sourcecode|exec|jupyter)[\w-]*\}\s*)?[{.\s]*(?:language-|lang-)?"
    r"(?:python|py)[0-9.]*(?:[_-](?:code|solution|program|script))?(?![\w+#-])",
    re.IGNORECASE,
)
_DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
_CALLED = re.compile(r"(?<![.\w])(\w+)[ \t]*\(")
_CELL = re.compile(r"\A\s*---\n(?:.*\n)*?---\n|^[ \t]*(?:[%!]|:[\w-]+:(?=[ \t\n])).*\n?", re.MULTILINE)
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What `ast.parse` raises for text that is no code, and for code that is nested too deeply for it."""
_LONGEST = 200_000  # characters; what is longer is not parsed
_SPACES = (0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)
_INVISIBLE = (0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)
_PLAIN = {**dict.fromkeys(_SPACES, " "), **dict.fromkeys(_INVISIBLE)}
_BUILTINS = frozenset(dir(builtins))
_ACTS = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign),
    *(ast.For, ast.While, ast.If, ast.With, ast.Try),
)


def is_python(info: str) -> bool:
    """Whether an info string names Python: `python3.10`, `{.python .numberLines}`, `py title="x"`, `python:file.py`, …"""
    return _NAME.match(info) is not None


def parsed(code: str) -> ast.Module | None:
    """The syntax tree of a program; None if it is none, or too long to look at."""
    if len(code) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except UNREADABLE:
        return None


def is_program(text: str) -> bool:
    """Whether a text is a program: it parses, and a statement of it defines, imports, assigns, branches or prints something."""
    tree = parsed(text)
    return tree is not None and any(_acts(statement) for statement in tree.body)


def _acts(statement: ast.stmt) -> bool:
    match statement:
        case ast.AnnAssign():
            return statement.value is not None  # not "Answer: x"
        case ast.Expr(ast.Call(ast.Name("print"))):
            return True
    return isinstance(statement, _ACTS)


def mended(code: str) -> str:
    """The code, where it does not parse but for such damage without it: odd white space, indentation, prompts, options of a notebook."""
    if parsed(code) is not None:
        return code
    plain = textwrap.dedent(code.translate(_PLAIN))
    others = (plain, _without_prompts(plain), _CELL.sub("", plain))
    return next((text for text in others if text.strip() and parsed(text) is not None), code)


def _without_prompts(session: str) -> str:
    """What was typed in an interactive session."""
    return "\n".join(line[4:] for line in _LINE.split(session) if line.startswith((">>> ", "... ")) or line in (">>>", "..."))


def defined_names(code: str) -> list[str]:
    """The functions and classes at the top level of code, in order, whether it parses or not."""
    return _DEFINED.findall(code)


def defines(code: str, names: Iterable[str]) -> bool:
    """Whether code defines one of these names at its top level."""
    return any(re.search(rf"(?m)^(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b|^{name}[ \t]*(?::[^=\n]*)?=(?!=)", code) for name in names)


def is_aside(code: str, earlier: str) -> bool:
    """Whether code only demonstrates earlier code (calls its definitions and defines nothing), declares it, or quotes at most half of it.

    In 40 of 545 real answers the last block is an example, a walk-through or an alternative instead of the tested code.
    """
    lines, earlier_lines = ({line.strip() for line in _LINE.split(text)} - {""} for text in (code, earlier))
    names, earlier_names = (set(defined_names(text)) for text in (code, earlier))
    if lines <= earlier_lines and 2 * len(lines) <= len(earlier_lines) and (not names or _is_part(code, earlier)):
        return True
    return not earlier_names.isdisjoint(_CALLED.findall(code)) if not names else names <= earlier_names and _only_declares(code)


def _is_part(code: str, whole: str) -> bool:
    """Whether the lines of code stand together in other code; a definition that omits some is another one."""
    lines, others = (["", *(line.strip() for line in _LINE.split(text) if line.strip()), ""] for text in (code, whole))
    return "\n".join(lines) in "\n".join(others)


def _only_declares(code: str) -> bool:
    """Whether code consists of functions without bodies: `def f(x): ...`, perhaps with a docstring."""
    tree = parsed(code)
    functions = tree.body if tree else []
    return bool(functions) and all(isinstance(one, ast.FunctionDef) and all(map(_is_constant, one.body)) for one in functions)


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def with_definitions(code: str, earlier: Sequence[str], names: Iterable[str] = ()) -> str:
    """The code behind those top-level statements of earlier pieces that bind one of the names, or one that it reads, but does not bind."""
    missing, needed = _unbound(code).union(name for name in names if not defines(code, [name])), list[str]()
    for piece in reversed(earlier if missing else []):
        tree, lines = parsed(piece), _LINE.split(piece)
        for statement in reversed(tree.body if tree else []):
            if found := missing.intersection(_binds(statement)):
                first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
                needed.append("\n".join(lines[first - 1 : statement.end_lineno]))
                missing = (missing - found) | _unbound(needed[-1])
    return "\n".join([*reversed(needed), code])


def _unbound(code: str) -> set[str]:
    """The names that code reads but binds nowhere, without builtins; none where it does not parse or imports all of a module."""
    tree = parsed(code)
    nodes = list(ast.walk(tree)) if tree else []
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {name for node in nodes for name in _bound(node)}
    return set() if "*" in bound else read - bound - _BUILTINS


def _binds(statement: ast.stmt) -> Iterator[str]:
    """The names that a definition, an import or an assignment binds."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        for node in ast.walk(statement):
            yield from _bound(node)
    elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield from _bound(alias)


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(name, ast.Store()) | ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name) | ast.arg(name):
            yield name
        case ast.alias(name, as_name):
            yield as_name or name.split(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
