"""What a verdict says of a package that is missing."""

import re
import sys
from dataclasses import replace

from asap.sandbox.known_packages import FIXTURES, KNOWN
from asap.sandbox.packages import Packages, is_installed, providers
from asap.sandbox.verdict import Verdict

_NOT_FOUND = re.compile(r"(?:^|: )ModuleNotFoundError: No module named '(\w+)[\w.]*'")
_TESTS_NEED = re.compile(r"the tests need (the fixture )?([\w-]+)[\w.-]*")


def explained(verdict: Verdict, packages: Packages) -> Verdict:
    """A verdict with what to do about a package that is missing.

    Nothing can be said of a solution that imports a package which is installed here, or is widely known. A module that is neither is the
    solution's error.
    """
    if verdict.verdict == "infra" and (found := _TESTS_NEED.fullmatch(verdict.detail)) and not packages.module(found[2]):
        if found[1] and found[2] not in FIXTURES:
            return verdict
        name, remedy = _package(FIXTURES[found[2]] if found[1] else found[2])
        return replace(verdict, detail=f"{verdict.detail}: {remedy}", needs=name)
    if verdict.verdict == "error" and (found := _NOT_FOUND.search(verdict.detail)):
        module = found[1]
        if module in sys.stdlib_module_names or packages.module(module):
            return verdict
        if module in providers() or module in KNOWN:
            name, remedy = _package(module)
            return replace(verdict, verdict="infra", detail=f"needs {name}: {remedy}", needs=name)
        return replace(verdict, detail=f"{verdict.detail} (no package with this module is installed beside asap)")
    return verdict


def _package(module: str) -> tuple[str, str]:
    """The package of a module, and how to make it visible."""
    name = next(iter(providers().get(module, [])), KNOWN.get(module, module))
    add = f"add --packages {name}"
    return name, add if is_installed(name) else f"pip install {name} into the environment of asap, and {add}"
