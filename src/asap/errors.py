"""The error tree. Every message is one sentence that names the place, the value and what is allowed.

AsapError
├── UsageError     a command or a call asks for something impossible
├── InputError     a source, a model or an output folder cannot be used
├── MissingExtra   an optional package is not installed
└── RowError       one row cannot be used; the run goes on and records it
"""


class AsapError(Exception):
    """Base of everything that this package raises on purpose."""


def one_line(error: BaseException) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split())


class UsageError(AsapError, ValueError):
    """A command or a call asks for something impossible."""


class InputError(AsapError, ValueError):
    """A source, a model or an output folder cannot be used."""


class MissingExtra(AsapError, ImportError):
    """An optional package is not installed; the message holds the install line."""


class RowError(AsapError, ValueError):
    """One row cannot be used. `reason` is a short code such as `no_think`; `detail` is a sentence."""

    def __init__(self, reason: str, detail: str, row_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.row_id = row_id

    def __reduce__(self) -> tuple[type["RowError"], tuple[str, str, str | None]]:
        return type(self), (self.reason, self.detail, self.row_id)
