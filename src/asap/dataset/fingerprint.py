"""The fingerprint of a source: equal fingerprints mean equal rows. It is read from the bytes, since times and sizes may deceive."""

import hashlib
from pathlib import Path
from uuid import uuid4

from asap.dataset.hub import hub_revision, looks_like_hub_id
from asap.digest import content_digest
from asap.errors import InputError

_PIECE = 1 << 20


def fingerprint(name: str) -> str:
    """The digest of a file, of all files in a folder, or of a Hub data set's revision.

    What can be read only once, such as a pipe, has another one each time; so has what is not there, which reading will refuse.
    """
    path = Path(name)
    try:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
            return content_digest([(file.relative_to(path).as_posix(), _bytes_digest(file)) for file in inside])
        if path.is_file():
            return _bytes_digest(path)
        if not path.exists() and looks_like_hub_id(name):
            return hub_revision(name)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from error
    except ValueError:  # a NUL in the name
        pass
    return uuid4().hex


def _bytes_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
