"""What a verdict says of a package that is missing."""

import re
import sys
from dataclasses import replace

from asap.sandbox.packages import PACKAGE_OF, Packages, is_installed, providers
from asap.sandbox.verdict import Verdict

_NOT_FOUND = re.compile(r"(?:^|: )ModuleNotFoundError: No module named '(\w+)[\w.]*'")
_TESTS_NEED = re.compile(r"the tests need ([\w-]+)[\w.-]*")


def explained(verdict: Verdict, packages: Packages) -> Verdict:
    """A verdict with what to do about a package that is missing. One that plain Python would have found here is no solution's fault."""
    tests = _TESTS_NEED.fullmatch(verdict.detail) if verdict.verdict == "infra" else None
    solution = _NOT_FOUND.search(verdict.detail) if verdict.verdict == "error" else None
    if solution and not packages.module(solution[1]) and (found := providers().get(solution[1])):
        detail = f"needs {found[0]}, which is installed here: add --packages {found[0]}"
        return replace(verdict, verdict="infra", detail=detail, needs=found[0])
    if tests and not packages.module(tests[1]):
        name = providers().get(tests[1], [tests[1]])[0]
        here = f"add --packages {name}" if is_installed(name) else f"pip install {PACKAGE_OF.get(name, name)} into the environment of asap"
        return replace(verdict, detail=f"{verdict.detail}: {here}", needs=name)
    if solution and solution[1] not in sys.stdlib_module_names and not packages.module(solution[1]):
        return replace(verdict, detail=f"{verdict.detail} (nor is it installed beside asap)")
    return verdict
