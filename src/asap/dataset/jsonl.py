"""JSONL files, plain or compressed with gzip or zstd, one row at a time; also those that hold one JSON list of rows."""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

from asap.dataset.json_array import array_rows
from asap.dataset.raw import LARGEST_ROW, RawRow, not_an_object
from asap.errors import InputError

_HEAD = 1 << 16
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def jsonl_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a JSONL file, or of one JSON list. Blank lines are skipped; an unreadable line becomes a row with an error."""
    source, number, rows = str(path), 0, 0
    try:
        with opened(path) as stream:
            if _is_array(source, stream.peek(_HEAD)[:_HEAD]):
                for row in array_rows(source, stream):
                    number, rows = row.line, rows + 1
                    yield row
            for number, line in enumerate(_lines(stream), 1):
                if line is None or line.strip():
                    rows += 1
                    yield _parsed(source, number, line)
    except (EOFError, zlib.error) as error:
        raise InputError(
            f"{source}: the compressed data is truncated or corrupt after line {number} ({error}); get the file again"
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{source}: cannot be read ({error.strerror})") from error
        # gzip and pyarrow report damaged data as an OSError without a number
        raise InputError(
            f"{source}: the compressed data is truncated or corrupt after line {number} ({error}); get the file again"
        ) from error
    if not rows:
        raise InputError(f"{source}: the file is empty; JSONL with one object per line is expected")


def _lines(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """The lines of a stream, None for one that is too long to be read: a few compressed bytes may hold gigabytes."""
    if stream.peek(3).startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    while line := stream.readline(LARGEST_ROW + 1):
        if len(line) <= LARGEST_ROW:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(_HEAD)
        yield None


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, decompressed if it is compressed."""
    with ExitStack() as stack:
        file = stack.enter_context(_buffered(path.open("rb", buffering=0)))
        magic = file.peek(4)
        if path.suffix == ".gz" or magic.startswith(_GZIP):
            yield stack.enter_context(_buffered(gzip.GzipFile(fileobj=file)))
        elif path.suffix in (".zst", ".zstd") or magic.startswith(_ZSTD):
            # pyarrow detects a truncated frame; zstandard's own stream reader just ends there
            from pyarrow import CompressedInputStream, PythonFile

            yield stack.enter_context(_buffered(CompressedInputStream(PythonFile(file, mode="r"), "zstd")))
        else:
            yield file


def _buffered(stream: object) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, stream), _HEAD)


def _is_array(source: str, head: bytes) -> bool:
    """Whether the first 64 KiB begin a JSON list of rows. Raises InputError if they cannot be the start of a JSONL file either."""
    if b"\0" in head or _mostly_not_utf8(head):
        raise InputError(f"{source}: this is a binary file (or not UTF-8 text); allowed: JSONL (also .gz, .zst) in UTF-8, or Parquet")
    lines = head.removeprefix(codecs.BOM_UTF8).lstrip().split(b"\n", 1)
    first = lines[0].rstrip()
    if first == b"{":
        plain = source.removesuffix(".gz").removesuffix(".zst")
        target = f"{plain.removesuffix('.json').removesuffix('.jsonl')}-rows.jsonl"
        reader = {".gz": "gzip -dc", ".zst": "zstd -dc"}.get(Path(source).suffix, "cat")
        raise InputError(
            f"{source}: the file holds pretty-printed JSON; JSONL (one object per line) or one list of rows is expected, "
            f"convert it with: {reader} '{source}' | jq -c . > '{target}'"
        )
    return first == b"[" or (first.startswith(b"[") and first[1:].lstrip().startswith(b"{"))


def _mostly_not_utf8(head: bytes) -> bool:
    """Whether more than half of the lines are not UTF-8: a single bad line only loses its own row."""
    *lines, last = head.split(b"\n")
    broken = [_not_utf8(line) for line in lines if line.strip()]
    if last.strip():  # it may end in the middle of a character
        broken.append(_not_utf8(last, final=len(head) < _HEAD))
    return 2 * sum(broken) > len(broken)


def _not_utf8(data: bytes, final: bool = True) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError:
        return True
    return False


def _parsed(source: str, number: int, line: bytes | None) -> RawRow:
    if line is None:
        return RawRow.bad(source, number, "too_long", f"the line has more than {LARGEST_ROW >> 20} MiB")
    try:
        value = json.loads(line.rstrip(b"\r\n").decode("utf-8"))
    except UnicodeDecodeError as error:
        return RawRow.bad(source, number, "bad_utf8", f"byte {error.start + 1} of the line is not valid UTF-8 ({error.reason})")
    except json.JSONDecodeError as error:
        return RawRow.bad(source, number, "bad_json", f"column {error.colno}: {error.msg}")
    except RecursionError:
        return RawRow.bad(source, number, "bad_json", "the values are nested too deeply")
    except ValueError as error:  # a whole number of more than 4,300 digits
        return RawRow.bad(source, number, "bad_json", str(error))
    if not isinstance(value, dict):
        return not_an_object(source, number, "line", value)
    return RawRow.good(source, number, value)


def read_json(path: Path) -> object:
    """The value of a small JSON file in a data set's folder."""
    try:
        with path.open(encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error})") from error
