"""The one place that prints: everything that a command writes to stdout and stderr passes through here.

Text is escaped (`asap.revealed`), and a stream that cannot be written to, since it is closed, full, or a pipe that nobody reads, does not
stop the command: the rest of its text is dropped.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from asap.cli.manner import manner
from asap.revealed import revealed

if TYPE_CHECKING:
    from rich.console import Console

_BAR_UP = "\x1b[A"  # how tqdm moves between its bars


class Screen:
    """A stream that takes text without ever raising an error. `failure` is the error that ended it."""

    def __init__(self, stream: TextIO, *, is_stdout: bool) -> None:
        self.stream = stream
        self.is_stdout = is_stdout
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text, escaped. The bars of libraries may go back to the start of a line, in a terminal only."""
        if not text.replace(_BAR_UP, "").strip("\n"):
            self.write_as_it_is(text if self.isatty() else text.replace(_BAR_UP, ""))
        elif text.startswith("\r"):
            self.write_as_it_is(("\r" if self.isatty() else "\n") + revealed(text[1:]))
        else:
            self.write_as_it_is(revealed(text))
        return len(text)

    def write_as_it_is(self, text: str) -> int:
        """Write a text whose control characters are ours."""
        if self.failure is None:
            encoding = self.stream.encoding or "utf-8"
            try:
                self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
                self.stream.flush()
            except (OSError, ValueError) as error:  # a ValueError where it is closed
                self.failure = error if isinstance(error, OSError) else OSError(str(error))
                self._abandon()
        return len(text)

    def isatty(self) -> bool:
        """Whether it is a terminal that takes text."""
        return self.failure is None and not self.stream.closed and self.stream.isatty()

    def flush(self) -> None:
        """Nothing is held back."""

    def _abandon(self) -> None:
        """Lead what others write to the same stream, such as the interpreter at its end, to nowhere."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


class _AsItIs:
    """The stream of a console, which escapes what it shows and steers the terminal itself."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.write = screen.write_as_it_is

    def __getattr__(self, name: str) -> Any:
        return getattr(self._screen, name)


@contextmanager
def screens() -> Iterator[list[Screen]]:
    """stdout and stderr as screens, until the block ends."""
    before = sys.stdout, sys.stderr
    made = [Screen(stream, is_stdout=stream is sys.stdout) for stream in before if stream is not None]
    for screen in made:
        if screen.is_stdout:
            sys.stdout = cast(TextIO, screen)
        else:
            sys.stderr = cast(TextIO, screen)
    try:
        yield made
    finally:
        sys.stdout, sys.stderr = before


def say(text: str, *, error: bool = False) -> None:
    """Print one line, whatever the names in it hold; to stderr if it is about an error."""
    print(revealed(text, keep=""), file=sys.stderr if error else sys.stdout)


def console_for(*, stderr: bool = False) -> "Console":
    """A console for text that people read, coloured only where that is wanted and possible. With --quiet, nothing on stderr."""
    from rich.console import Console
    from rich.segment import Segment

    class SafeConsole(Console):
        """Escapes the text of all that it renders."""

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for part in super().render(renderable, options):
                yield part if part.control else Segment(revealed(part.text), part.style)

    stream = sys.stderr if stderr else sys.stdout
    file = cast(TextIO, _AsItIs(stream)) if isinstance(stream, Screen) else None
    return SafeConsole(
        file=file,
        stderr=stderr,
        quiet=stderr and manner().quiet,
        color_system=_colours(terminal := stream is not None and stream.isatty()),
        force_terminal=terminal,  # where FORCE_COLOR colours a log, no bar moves in it
        markup=False,
        emoji=False,
        highlight=False,
    )


def _colours(terminal: bool) -> Literal["auto", "standard"] | None:
    """The colours of a stream: none with NO_COLOR or --json, else those that the terminal has; elsewhere none without FORCE_COLOR."""
    if os.environ.get("NO_COLOR") or manner().json:
        return None
    return "standard" if os.environ.get("FORCE_COLOR") else "auto" if terminal else None  # auto: none with TERM=dumb


def interrupted(out: Path) -> int:
    """Print how to continue an interrupted run, and return its exit code."""
    say(f"asap: interrupted; what was done is kept in {out}: the same command again continues there", error=True)
    return 130
