"""The module `solution` as test code imports it: each name is fetched from the solution's process when the tests ask for it."""

import sys
import types
from collections.abc import Collection
from typing import Any

from asap.sandbox.jail.remote import Remote


class SolutionModule(types.ModuleType):
    """Reads, sets and deletes names in the solution's own module, so both sides always see the same values."""

    def __init__(self, remote: Remote, wanted: Collection[str]) -> None:
        super().__init__("solution")
        self.__dict__["_asap"] = (remote, frozenset(wanted))

    def __getattr__(self, name: str) -> Any:
        remote, wanted = self.__dict__["_asap"]
        if name == "__all__":
            return [known for known in remote.names() if known in wanted]
        value = remote.ask("get", name=name)
        if not callable(value) or type(value) is type:
            remote.calls += 1  # it is the solution's answer already
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):  # the import system's own
            return super().__setattr__(name, value)
        remote, _ = self.__dict__["_asap"]
        return remote.ask("set", name=name, args=[value])  # type: ignore[no-any-return]

    def __delattr__(self, name: str) -> None:
        self.__dict__["_asap"][0].ask("delete", name=name)

    def __dir__(self) -> list[str]:
        remote, _ = self.__dict__["_asap"]
        return [*remote.names()]


def solution_module(remote: Remote, wanted: Collection[str]) -> types.ModuleType:
    """The module, registered for `import solution`. `from solution import *` brings those of its names that are in `wanted`."""
    module = SolutionModule(remote, wanted)
    sys.modules["solution"] = module
    return module
