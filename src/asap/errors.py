"""The error tree. Every message is one sentence that names the location, the value and the allowed values.

AsapError
├── UsageError     a command or a call requests something impossible
├── InputError     a source, a model or an output folder cannot be used
├── MissingExtra   an optional package is not installed
└── RowError       one row cannot be used; the run continues and records it
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class AsapError(Exception):
    """Base class of every error that this package raises on purpose."""


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Says that nothing has this name, which one may be meant, and which there are."""
    near = get_close_matches(name, names := [*known], 1)
    return f"unknown {what} {name!r}; {f'did you mean {near[0]}? ' if near else ''}choose from {', '.join(names)}"


class UsageError(AsapError, ValueError):
    """A command or a call requests something impossible."""


class NoSandbox(UsageError):
    """Untrusted code cannot be run safely on this machine; the message says how that is mended."""


class InputError(AsapError, ValueError):
    """A source, a model or an output folder cannot be used."""


class Busy(InputError):
    """Another asap process holds the folder."""

    @classmethod
    def of(cls, folder: object) -> "Busy":
        """The error about a folder."""
        return cls(f"another asap process is working in {folder}; wait for it or choose another --out")


class MissingExtra(AsapError, ImportError):
    """An optional package is not installed; the message includes the install command."""


class RowError(AsapError, ValueError):
    """One row cannot be used. `reason` is a short code such as `no_think`; `detail` is a sentence.

    Where that sentence names options of the command line, `in_python` has those of a function instead.
    """

    def __init__(self, reason: str, detail: str, row_id: str | None = None, in_python: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.row_id = row_id
        self.in_python = in_python

    def of_row(self, row_id: str | None) -> "RowError":
        """The same error of a row with this id."""
        return RowError(self.reason, self.detail, row_id, self.in_python)

    def for_python(self) -> "RowError":
        """The error as it is raised to a caller in Python."""
        return self if self.in_python is None else RowError(self.reason, self.in_python, self.row_id)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail, self.row_id, self.in_python)
