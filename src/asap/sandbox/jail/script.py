"""A solution as a file: its module and code look as if the interpreter had started with it, or imported it."""

import builtins
import sys
import types
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

_FILE = "solution.py"
_ENCODING_MARK = "\ufeff"


def new_module(name: str, code: str) -> types.ModuleType:
    """An empty module that `import name` finds, with the code in a file of the working folder, for `inspect` and tracebacks."""
    path = Path.cwd() / _FILE
    path.write_bytes(code.encode("utf-8", "surrogatepass"))
    module = types.ModuleType(name)
    loader = SourceFileLoader(name, str(path))
    spec = None if name == "__main__" else ModuleSpec(name, loader, origin=str(path))
    vars(module).update(__file__=str(path), __loader__=loader, __spec__=spec, __builtins__=builtins, __cached__=None)
    sys.modules[name] = module
    sys.argv, sys.path[0] = [_FILE], str(path.parent)
    return module


def compiled(code: str) -> types.CodeType:
    """A solution's code object. `dont_inherit` keeps our own __future__ imports out of it."""
    return compile(code.removeprefix(_ENCODING_MARK), str(Path.cwd() / _FILE), "exec", dont_inherit=True)
