"""The user's cache folder, and digests of files, which are remembered there.

What remembered digests cannot see: damage below the file system, and a change made while the clock was set back. Everything else that
changes a file changes its size, its inode or its times, and then all of it is read again.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from asap.atomic import replacing
from asap.errors import InputError

_DIGESTS = "digests.json"
_WORTH = 1 << 24  # bytes; smaller files are read faster than looked up
_SETTLED_NS = 2_000_000_000  # a file that changed just now may change again without another time
_MOST = 256  # digests that are remembered


def cache_folder() -> Path:
    """Where converted models are kept: $ASAP_CACHE, else asap/ in the user's cache folder. Raises InputError where there is no such."""
    try:
        if chosen := os.environ.get("ASAP_CACHE"):
            return Path(chosen).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asap"
    except RuntimeError as error:
        raise InputError(
            "there is no home folder to keep converted models in (HOME is not set, and the system does not know this user); "
            "set ASAP_CACHE to the full path of a writable folder"
        ) from error


class _State(NamedTuple):
    """What changes with a file's bytes."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "_State":
        """The state of a file."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    @property
    def is_settled(self) -> bool:
        """Whether the next change will show in the times."""
        return time.time_ns() - max(self.mtime_ns, self.ctime_ns) > _SETTLED_NS


def file_sha256(file: Path, *, remember: bool = True) -> str:
    """Hex SHA-256 of all bytes of a file; a large file is read again only when it changed. Raises OSError.

    `remember` False: nothing is written, but what is remembered counts.
    """
    path = Path(os.path.realpath(file))
    state = _State.of(path)
    if state.size < _WORTH or not state.is_settled:
        return _sha256(path)
    remembered = _remembered()
    entry = remembered.get(str(path))
    if isinstance(entry, list) and entry[:-1] == [*state] and isinstance(entry[-1], str):
        return entry[-1]
    digest = _sha256_once(path, state)
    if remember and _State.of(path) == state:
        others = {known: remembered[known] for known in remembered if known != str(path)}
        _remember({**others, str(path): [*state, digest]})
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _sha256_once(path: Path, state: _State) -> str:
    """The digest of a file in a state; for caches that cannot be written."""
    return _sha256(path)


def _remembered() -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError, InputError):
        found = json.loads((cache_folder() / _DIGESTS).read_text("utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _remember(digests: dict[str, Any]) -> None:
    with suppress(OSError, InputError):  # without a cache they are made again the next time
        cache_folder().mkdir(parents=True, exist_ok=True)
        with replacing(cache_folder() / _DIGESTS) as file:
            json.dump(dict(list(digests.items())[-_MOST:]), file, indent=0)
