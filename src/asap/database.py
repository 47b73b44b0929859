"""What SQLite says when a file cannot be used, as one sentence for the person whose run it is."""

import sqlite3
from pathlib import Path

from asap.errors import InputError


class Busy(InputError):
    """Another asap process holds the folder."""


def trouble(error: sqlite3.Error, file: Path) -> InputError:
    """What is wrong with a database file of an output folder, and what to do; to be raised."""
    text, folder = str(error), file.parent
    if "locked" in text:
        return Busy(f"another asap process is working in {folder}; wait for it or choose another --out")
    if "full" in text:
        return InputError(f"the disk of {folder} is full; free some space and run the same command again, nothing that was done is lost")
    if "not a database" in text or "malformed" in text:
        return InputError(f"{file} is damaged ({text}); move it away to start over")
    return InputError(f"{file} cannot be used ({text})")
