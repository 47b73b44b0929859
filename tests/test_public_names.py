"""The public surface is what `asap.__all__` says, every name loads, and importing the package stays light."""

import inspect
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin, get_type_hints

import asap


def test_every_public_name_loads_and_is_documented() -> None:
    for name in asap.__all__:
        thing = getattr(asap, name)
        assert thing.__doc__ or get_origin(thing), name  # a type's other name has the words of the type


def test_the_public_names_are_kept() -> None:
    assert sorted(asap.__all__) == asap.__all__
    assert len(asap.__all__) == 69
    assert set(asap._HOME) == set(asap.__all__)


INTERNAL = {
    "Spoken", "TurnOf",  # of a conversation's turn, which ASAP makes and reads
    "ModelRequest", "Worked",  # inside of Scoring: Steps asks with them
    "TraceRequests", "Units", "PhraseChunker",  # of a record's own work
    "ThinkTags", "LogprobColumns", "Condition",  # what RowRules makes of its fields
    "Reservation",  # inside of SpendingLimit
}  # fmt: skip


def test_the_types_of_all_that_is_public_are_public_too() -> None:
    public = {getattr(asap, name) for name in asap.__all__}
    signatures = [one for name in asap.__all__ for one in _signatures(getattr(asap, name))]
    types = {found for signature in signatures for found in _inside([*get_type_hints(signature, localns={"CausalLM": object}).values()])}
    assert len(types) > 40
    assert {found.__name__ for found in types if found.__module__.startswith("asap") and found not in public} == INTERNAL


def _signatures(thing: Any) -> Iterator[Any]:
    """A public function, or a class with its public methods and properties."""
    if inspect.isfunction(thing):
        yield thing
    elif isinstance(thing, type):
        yield thing
        members = (member for name, member in vars(thing).items() if name == "__init__" or not name.startswith("_"))
        found = (member.fget if isinstance(member, property) else getattr(member, "__func__", member) for member in members)
        yield from (member for member in found if inspect.isfunction(member))


def _inside(hints: Sequence[Any]) -> Iterator[type]:
    """The classes in annotations, in whatever they are."""
    for hint in hints:
        if isinstance(hint, list | tuple):
            yield from _inside(hint)
        elif get_args(hint):
            yield from _inside(get_args(hint))
        elif isinstance(hint, type):
            yield hint


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(asap, "prune_everything")


def test_importing_the_package_and_its_command_line_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "numpy", "pyarrow", "datasets", "yaml")
    code = f"import sys, asap, asap.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
