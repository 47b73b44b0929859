"""What a command comes to, on stdout: text for people or, with `--json`, one document for machines and nothing else.

docs/command-line.md lists the fields of each command.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from typing import Any

from asap.cli.manner import manner
from asap.json_values import as_json
from asap.revealed import revealed
from asap.versions import __version__

_document = dict[str, Any]()


def show(text: str | None, **fields: Any) -> None:
    """Print a part of the result, if it is text; with --json, add its fields to the document instead."""
    _document.update(fields)
    if text is not None and not manner().json:
        print(text)


def show_written(out: PathLike[str], files: Sequence[str], **fields: Any) -> None:
    """Print which files a command wrote into its output folder."""
    folder = os.fspath(out)
    show(revealed(f"written: {folder}/{', '.join(files)}", keep=""), out=folder, files=list(files), **fields)


@contextmanager
def one_document(command: str) -> Iterator[dict[str, Any]]:
    """The document of a command's result, printed with --json when the block ends; until then, whatever is printed goes to stderr."""
    _document.clear()
    if not manner().json:
        yield _document
        return
    screen, sys.stdout = sys.stdout, sys.stderr
    try:
        with _stdout_on_stderr(screen):
            yield _document
    finally:
        sys.stdout = screen
        found = {"command": command, "asap": __version__, **_document}
        print(json.dumps(as_json(found), indent=2, allow_nan=False), file=screen)  # in ASCII, so that nothing in it has to be escaped


@contextmanager
def _stdout_on_stderr(screen: Any) -> Iterator[None]:
    """Lead what libraries and child processes write to the file of stdout to stderr, until the block ends."""
    number = kept = None
    with suppress(AttributeError, OSError, ValueError):  # a stream that is no file, or is closed
        number, other = screen.fileno(), sys.stderr.fileno()
        kept = os.dup(number)
        os.dup2(other, number)
    try:
        yield
    finally:
        if number is not None and kept is not None:
            with suppress(OSError, ValueError):
                screen.flush()
            os.dup2(kept, number)
            os.close(kept)
