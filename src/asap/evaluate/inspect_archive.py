"""The files in an `.eval` archive of inspect: a zip, whose entries newer versions compress with Zstandard.

Python's zipfile reads Zstandard from 3.14 on, so pyarrow unpacks these entries.
"""

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from asap.dataset.raw import LARGEST_ROW, RawRow
from asap.errors import InputError, one_line

_ZSTD = 93
_LOCAL_HEADER, _LOCAL_NAMES = 30, 26
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, KeyError)
_UNREADABLE = (*_DAMAGED, RuntimeError, OSError, ValueError)  # a RuntimeError for what is encrypted, packed unknown, or nested too deeply


def archive_samples(path: Path) -> Iterator[RawRow]:
    """The samples in an archive, by their names. Raises InputError."""
    with _explained(path), zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("samples/") and name.endswith(".json"))
        for number, name in enumerate(names, 1):
            content = _content(path, archive, name)
            if content is None:
                yield RawRow.bad(str(path), number, "too_long", f"{name} has more than {LARGEST_ROW >> 20} MiB")
                continue
            value = json.loads(content)
            good = isinstance(value, dict)
            yield RawRow.good(str(path), number, value) if good else RawRow.bad(str(path), number, "not_an_object", "an object is expected")


def archive_header(path: Path) -> dict[str, Any]:
    """What an archive says about its run: the log without its samples; of a run that was cut off, how it began. Raises InputError."""
    with _explained(path), zipfile.ZipFile(path) as archive:
        name = "header.json" if "header.json" in archive.namelist() else "_journal/start.json"
        value = json.loads(_content(path, archive, name) or b"null")
        return value if isinstance(value, dict) else {}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what goes wrong with an archive into an InputError."""
    try:
        yield
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read as inspect's archive ({one_line(error)}); convert it with: inspect log convert --to json"
        ) from error


def _content(path: Path, archive: zipfile.ZipFile, name: str) -> bytes | None:
    """A file in an archive; None for one that is too large: a few packed bytes may hold gigabytes, whatever their entry says."""
    entry = archive.getinfo(name)
    with _zstandard(path, entry) if entry.compress_type == _ZSTD else archive.open(entry) as file:
        content = file.read(LARGEST_ROW + 1)
    if len(content) > LARGEST_ROW:
        return None
    if zlib.crc32(content) != entry.CRC:
        raise zipfile.BadZipFile(f"{name} has another checksum than its entry says")
    return content


def _zstandard(path: Path, entry: zipfile.ZipInfo) -> IO[bytes]:
    from pyarrow import BufferReader, CompressedInputStream

    with path.open("rb") as file:
        file.seek(entry.header_offset)
        lengths = struct.unpack("<HH", file.read(_LOCAL_HEADER)[_LOCAL_NAMES:])
        file.seek(sum(lengths), 1)
        packed = file.read(entry.compress_size)
    return cast("IO[bytes]", CompressedInputStream(BufferReader(packed), "zstd"))
