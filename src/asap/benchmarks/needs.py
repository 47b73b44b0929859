"""Reads a test file to tell whether it uses the solution, and whether it needs what no sandbox gives: other programs, a shell, the network.

Only calls that the file surely makes count, with the program as a literal: those outside of `try`, of `raises` and of `__main__`, in a file
that skips, patches and looks for nothing. From such a file nobody learns whether a solution is right. No solution is asked.
"""

import ast
import builtins
import re
from collections.abc import Iterator

from asap.benchmarks.asserts import bound_names
from asap.python_code import UNREADABLE

_GUARDS = re.compile(r"skip|patch|mock|which\(|responses|httpserver|respx|vcr|CI\b")
_PYTHON = re.compile(r"(.*/)?python[\d.]*")
_RAISING = {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")} | {"asyncio.create_subprocess_exec"}
_SHELL = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"}
_SERVERS = "HTTPServer ThreadingHTTPServer TCPServer UDPServer ThreadingTCPServer"
_VERBS = "get post put delete head patch options request stream"
_NETWORK = {
    "socket": "socket create_connection create_server getaddrinfo gethostbyname",
    "urllib.request": "urlopen urlretrieve",
    "http.server": _SERVERS,
    "socketserver": _SERVERS,
    "asyncio": "open_connection start_server",
    "requests": _VERBS,
    "httpx": _VERBS,
    "smtplib": "SMTP SMTP_SSL",
    "ftplib": "FTP FTP_TLS",
}
_CONNECTS = {f"{module}.{name}" for module, names in _NETWORK.items() for name in names.split()}


def uses_solution(source: str) -> bool:
    """Whether a test file may use what it imports from the solution; if not, it says nothing. In doubt it does."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except UNREADABLE:
        return True
    if any(isinstance(node, ast.Constant) and "solution" in str(node.value) for node in nodes):
        return True
    imported, own = set[str](), {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "solution":
            imported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name for alias in node.names if alias.name == "solution"}
    loaded = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if "*" in imported:
        return bool(loaded - bound_names(nodes) - {*dir(builtins)})
    return bool(loaded & (imported - own))


def outside_need(source: str) -> str | None:
    """What a test file needs from outside of the sandbox, as `the program git` or `the network`; None if it surely needs nothing."""
    try:
        tree = ast.parse(source)
        calls = [] if _GUARDS.search(source) else list(_sure_calls(tree))
    except UNREADABLE:
        return None
    if not calls:
        return None
    names, texts = _imported(tree), _texts(tree)
    ignored = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return next((need for call in calls if (need := _need(call, names, texts, id(call) in ignored))), None)


def _need(call: ast.Call, names: dict[str, str], texts: dict[str, ast.expr], is_ignored: bool) -> str | None:
    """What a call needs. A shell command whose outcome nobody looks at is not needed."""
    path = _path(call.func, names)
    if path in _CONNECTS:
        return "the network"
    if path not in _RAISING | _SHELL or not call.args:
        return None
    told = {keyword.arg: keyword.value for keyword in call.keywords}
    shell = path in _SHELL or _is_true(told.get("shell"))
    if shell:
        checks = _is_true(told.get("check")) or path.rpartition(".")[2].startswith("check")
        return None if is_ignored and not checks else "a shell"
    command = call.args[0]
    command = texts.get(command.id, command) if isinstance(command, ast.Name) else command
    first = command.elts[0] if isinstance(command, ast.List | ast.Tuple) and command.elts else command
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value and not _PYTHON.fullmatch(first.value):
        return f"the program {first.value.rpartition('/')[2][:60]}"
    return None


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _sure_calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls in a test file that no `try`, `with raises(…)` or `if` may keep from mattering."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Try | ast.If | ast.IfExp) or (isinstance(child, ast.With | ast.AsyncWith) and _catches(child)):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _sure_calls(child)


def _catches(node: ast.With | ast.AsyncWith) -> bool:
    return any("raises" in (text := ast.unparse(item.context_expr).lower()) or "suppress" in text for item in node.items)


def _imported(tree: ast.AST) -> dict[str, str]:
    """The dotted name that each imported name stands for."""
    found = dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _texts(tree: ast.AST) -> dict[str, ast.expr]:
    """The names that are assigned once, with what."""
    found = [
        (node.targets[0].id, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    names = [name for name, _ in found]
    return {name: value for name, value in found if names.count(name) == 1}


def _path(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted name that an expression stands for; empty if it is none that was imported."""
    parts = list[str]()
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join([names[node.id], *parts]) if isinstance(node, ast.Name) and node.id in names else ""
