"""How every command speaks: the options that all commands share, taken out of the words before a command reads its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

_FLAGS = {"--json": "json", "--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose", "--debug": "debug"}


class Manner(NamedTuple):
    """`json`: one document on stdout instead of text. `quiet`: no progress. `verbose`: the first row whole. `debug`: tracebacks."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False


_current = Manner()


def without_manner(words: Sequence[str]) -> tuple[list[str], Manner]:
    """The words without the options of every command, and what these ask for. What stands after `--` stays."""
    end = words.index("--") if "--" in words else len(words)
    asked = {_FLAGS[word]: True for word in words[:end] if word in _FLAGS}
    return [*(word for word in words[:end] if word not in _FLAGS), *words[end:]], Manner(**asked)


def manner() -> Manner:
    """How the command that runs now should speak."""
    return _current


@contextmanager
def speaking(asked: Manner) -> Iterator[None]:
    """Let commands speak so until the block ends."""
    global _current
    before, _current = _current, asked
    try:
        yield
    finally:
        _current = before
