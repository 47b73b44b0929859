"""Texts that people edit after we wrote them, cards and configs: an edited one stays, and ours is written beside it.

The last line of such a file is a comment with the digest of all above it, the seal. So the file itself tells whether it is as we wrote
it, also after a kill, in a copied folder, and without any other file. JSON has no comments: there, what we would write tells.
"""

import re
from collections.abc import Collection, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

from asap.atomic import replacing
from asap.errors import InputError

_COMMENT = {".md": "<!-- {} -->", ".yaml": "# {}"}
_SAID = "sha256 of what stands above: {}; an edited copy is kept"
_SEAL = re.compile(rb"(?:<!--|#) sha256 of what stands above: ([0-9a-f]{16});[^\n]*\n\Z")
_LARGEST = 1 << 24


def write_sealed(path: Path, text: str, others: Collection[str] = ()) -> Path:
    """Write a text whole and sealed, and return where: at `path`, or beside it where the file there was edited.

    `others`: what we may have written into a file without comments, beside this text.
    """
    sealed = _sealed(text, path.suffix)
    ours = {*others, sealed}
    where = next(place for place in _places(path) if _may_replace(place, ours))
    with replacing(where) as file:
        file.write(sealed)
    beside = next(place for place in _places(path) if place != path)
    if where == path and beside.is_file() and _may_replace(beside, ours):
        beside.unlink()  # of a time when the file was edited
    return where


def _places(path: Path) -> Iterator[Path]:
    """NAME.EXT, NAME.asap.EXT, NAME.asap2.EXT and so on."""
    yield path
    for number in count(1):
        yield path.with_name(f"{path.stem}.asap{number if number > 1 else ''}{path.suffix}")


def _sealed(text: str, suffix: str) -> str:
    return text + _COMMENT[suffix].format(_SAID.format(_digest(text.encode()))) + "\n" if suffix in _COMMENT else text


def _may_replace(path: Path, ours: Collection[str]) -> bool:
    """Whether nothing is at a path, or what we wrote there."""
    if not path.exists() and not path.is_symlink():
        return True
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}), so asap does not know whether to keep it") from error
    if not content or content in {text.encode() for text in ours}:
        return True
    seal = _SEAL.search(content)
    return seal is not None and seal[1].decode() == _digest(content[: seal.start()])


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
