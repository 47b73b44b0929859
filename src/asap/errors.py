"""The error tree. Every message is one sentence that names the location, the value and the allowed values.

AsapError
├── UsageError     a command or a call requests something impossible
├── InputError     a source, a model or an output folder cannot be used
├── MissingExtra   an optional package is not installed
└── RowError       one row cannot be used; the run continues and records it
"""


class AsapError(Exception):
    """Base class of every error that this package raises on purpose."""


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())


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
    """One row cannot be used. `reason` is a short code such as `no_think`; `detail` is a sentence."""

    def __init__(self, reason: str, detail: str, row_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.row_id = row_id

    def __reduce__(self) -> tuple[type["RowError"], tuple[str, str, str | None]]:
        return type(self), (self.reason, self.detail, self.row_id)
