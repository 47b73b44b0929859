"""The folders of converted models in the user's cache: each is whole, to the last byte, or is made anew.

The digest of every file is made at the conversion and kept in SHA256SUMS, in the format of `sha256sum`. A folder is made under another
name and renamed when it is complete, by one process at a time; what killed processes left is removed by the next one. Folders are as
readable as the user's umask says, so that a cache can be shared.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from asap.errors import InputError
from asap.lm.cache import file_sha256
from asap.revealed import revealed

SUMS = "SHA256SUMS"
_SCRATCH = ".converting-"
_LOCK = ".lock"
MISSING = "it is not there"


def damage_in(folder: Path, *, remember: bool = True) -> str | None:
    """What is wrong with a converted model (MISSING where there is none); None for a whole one. Raises InputError if it is unreadable.

    `remember` as in `file_sha256`.
    """
    try:
        found = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        if SUMS not in found:
            return f"it has no {SUMS}"
        sums = _read_sums((folder / SUMS).read_bytes())
        if missing := sorted(sums.keys() - found):
            return f"{missing[0]} is missing"
        if strange := sorted(found - sums.keys() - {SUMS}):
            return f"{strange[0]} is not part of it"
        changed = next((name for name in sorted(sums) if file_sha256(folder / name, remember=remember) != sums[name]), None)
        return f"{changed} has changed" if changed else None if sums else f"its {SUMS} is empty"
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        raise InputError(
            f"the converted model {folder} cannot be read ({error.strerror}); have its owner run chmod -R a+rX {folder.parent}, "
            "or set ASAP_CACHE to a folder of your own"
        ) from error


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder of a converted model, whole; where it is not, `make` writes it into a folder that it is given."""
    if damage_in(folder) is None:
        _clean(folder.parent)
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent):
            _remove_scratch(folder.parent)
            damage = damage_in(folder)  # another process may have been quicker
            if damage not in (None, MISSING):
                print(f"note: the converted model {revealed(str(folder))} is damaged ({damage}); it is made anew", file=sys.stderr)
            if damage is not None:
                _replace(folder, make)
    except OSError as error:
        raise InputError(
            f"the model cache {folder.parent} cannot be written ({error.strerror}); set ASAP_CACHE to a writable folder with enough room"
        ) from error
    return folder


def _replace(folder: Path, make: Callable[[Path], None]) -> None:
    scratch = folder.with_name(f"{_SCRATCH}{uuid4().hex}")
    scratch.mkdir()  # and not mkdtemp, whose folders nobody else may read
    try:
        make(scratch)
        files = sorted(scratch.iterdir())
        for file in files:
            file.chmod(scratch.stat().st_mode & 0o666)  # safetensors writes files that nobody else may read
        (scratch / SUMS).write_text("".join(f"{file_sha256(file)}  {file.name}\n" for file in files), "utf-8")
        former = scratch.with_name(f"{scratch.name}-former")
        with suppress(FileNotFoundError):
            folder.rename(former)
        scratch.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read_sums(content: bytes) -> dict[str, str]:
    """The digests by name."""
    lines = content.decode("utf-8", "replace").splitlines()
    return {name: digest for line in lines for digest, _, name in [line.partition("  ")] if name and os.sep not in name}


def _clean(models: Path) -> None:
    """Remove what killed conversions left, unless somebody converts now."""
    with suppress(OSError):
        if any(models.glob(f"{_SCRATCH}*")):
            with _alone(models, wait=False):
                _remove_scratch(models)


def _remove_scratch(models: Path) -> None:
    for left in models.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _alone(models: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock of a cache, which ends with the process. Raises OSError where it is not to be had."""
    lock = os.open(models / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(lock)
