"""A mapping of a table's file, read strictly: what is not known, is missing or has another kind of value is refused in one sentence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from asap.errors import UsageError

_NAME = re.compile(r"[^\W_][\w +.()-]*")
Options = Mapping[str, Any]
"""Options of an asap command without their dashes, with what is typed behind them; true stands for a flag."""


@contextmanager
def said_at(place: str) -> Iterator[None]:
    """Have what the block refuses say where it stands."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


@dataclass(frozen=True)
class Fields:
    """The values of one mapping. `place` says where it is, such as `table1.yaml: scales: laptop`."""

    values: Mapping[str, Any]
    place: str

    @classmethod
    def of(cls, value: Any, place: str, known: Sequence[str] = ()) -> "Fields":
        """The mapping at a place, whose names are among those that are `known`, if any are given. Raises UsageError."""
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise UsageError(f"{place} is {value!r:.60}; names with values are expected there, one a line")
        fields = cls(value, place)
        for name in value:
            if known and name not in known:
                raise UsageError(f"{place} has {name!r}, which is not known there; allowed: {', '.join(known)}")
        return fields

    def at(self, name: str) -> str:
        """The place of a value."""
        return f"{self.place}: {name}"

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._value(name, default)
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{self.at(name)} is {value!r:.60}; a text is expected")
        return " ".join(value.split())

    def number(self, name: str, *, zero: bool = False) -> float:
        """A number above 0; with `zero` also 0."""
        value = self._value(name, None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf") or (value == 0 and not zero):
            raise UsageError(f"{self.at(name)} is {value!r:.60}; a number{', 0 or more,' if zero else ' above 0'} is expected")
        return value

    def whole(self, name: str) -> int:
        """A whole number, 1 or more."""
        value = self._value(name, None)
        if type(value) is not int or value < 1:
            raise UsageError(f"{self.at(name)} is {value!r:.60}; a whole number, 1 or more, is expected")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; a single one is a list, too."""
        value = self.values.get(name, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(text, str) and text.strip() for text in found):
            raise UsageError(f"{self.at(name)} is {value!r:.60}; a text or a list of texts is expected")
        return tuple(" ".join(text.split()) for text in found)

    def inner(self, name: str, known: Sequence[str] = ()) -> "Fields":
        """The mapping of this name."""
        return Fields.of(self._value(name, None), self.at(name), known)

    def each(self, name: str) -> "list[Fields]":
        """The mappings of this name, which need each other's names only: those of folders and of words of commands."""
        found = self.inner(name)
        for inner in found.values:
            if not _NAME.fullmatch(inner):
                raise UsageError(f"{found.place} names {inner!r:.60}; letters, digits, spaces and - _ + . ( ) are expected")
        return [Fields.of(value, found.at(inner)) for inner, value in found.values.items()]

    def options(self, name: str, known: Sequence[str]) -> Options:
        """The options of a command; none if the name is not there."""
        if name not in self.values:
            return {}
        found = self.inner(name, known)
        for option, value in found.values.items():
            single = [value] if not isinstance(value, list) else value
            if not single or not all(isinstance(one, str | int | float) for one in single):
                raise UsageError(f"{found.at(option)} is {value!r:.60}; a text, a number, true, or a list of texts is expected")
        return found.values

    def _value(self, name: str, default: Any) -> Any:
        if name not in self.values and default is None:
            raise UsageError(f"{self.place} lacks {name}")
        return self.values.get(name, default)
