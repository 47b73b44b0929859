"""The other columns of a row: which travel along with its sample, as what JSON can hold, and under which names they are written.

A value keeps its nesting. What JSON has no form for becomes text: times in ISO 8601, decimals as written, bytes in Base64.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from asap.errors import InputError, RowError, UsageError

OWN = ("id", "question", "cot", "answer", "messages")
"""The columns of pruned.jsonl that ASAP makes."""
_RENAMED = "source_"
_SHOWN = 40


def kept_columns(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names that `--keep-columns` lists: none for `none`, None (which means all) for `all`. Raises UsageError."""
    if names is None or [*names] == ["all"]:
        return None
    if not all(names):
        raise UsageError(f"--keep-columns is {','.join(names)!r}; write all, none, or names with commas between them")
    return () if [*names] == ["none"] else tuple(dict.fromkeys(names))


def check_kept(keep: Sequence[str], others: Sequence[str]) -> None:
    """Raise InputError for a name to keep that is none of these, the other columns of all rows."""
    missing = ", ".join(repr(name) for name in keep if name not in others)
    if missing:
        shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        raise InputError(f"--keep-columns names {missing}, which no row has; its other columns are: {shown or 'none'}")


class OtherColumns(dict[str, Any]):
    """Other columns as JSON holds them."""

    @cached_property
    def text(self) -> str:
        """The same as JSON text."""
        return json.dumps(self, ensure_ascii=False)


def travelling(columns: Mapping[str, Any], keep: Sequence[str] | None = None) -> OtherColumns:
    """The columns that travel along (all, or those in `keep`), as JSON holds them. Raises RowError for one nested too deeply."""
    found = OtherColumns((name, value) for name, value in columns.items() if keep is None or name in keep)
    try:
        try:
            found.text.encode()
        except (TypeError, UnicodeEncodeError):  # values that JSON does not have
            found = OtherColumns((_text(name), plain(value)) for name, value in found.items())
    except RecursionError as error:
        raise RowError("bad_value", "the values of a column are nested too deeply") from error
    return found


def plain(value: Any) -> Any:
    """A value as JSON holds it. Half a surrogate pair, which no file in UTF-8 can hold, becomes U+FFFD."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inside) for inside in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value.total_seconds()) if isinstance(value, timedelta) else _text(str(value))


def beside(row: Mapping[str, Any], columns: Mapping[str, Any], taken: Sequence[str] = ()) -> dict[str, Any]:
    """A row with columns beside its own. One that has the name of a column of the row, or one in `taken`, gets `source_` before it.

    Null under such a name says nothing and is left out.
    """
    whole = dict(row)
    for name, value in columns.items():
        if value is None and (name in row or name in taken):
            continue
        written = name
        while written in whole or written in taken or (written != name and written in columns):
            written = f"{_RENAMED}{written}"
        whole[written] = value
    return whole


def is_former(name: str, value: Any, cot: str) -> bool:
    """Whether a column is one of ours with the trace in it, such as the conversation in `messages`: ours takes its place."""
    return name in OWN and holds_text(value, cot.strip())


def holds_text(value: Any, text: str) -> bool:
    """Whether a text is inside of a value."""
    if isinstance(value, str):
        return text in value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(holds_text(one, text) for one in inside)


def strict_line(row: Mapping[str, Any]) -> str:
    """A row as a line of JSONL. Raises ValueError if a number in it is one that JSON does not have: NaN or infinity."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def line_of(row: Mapping[str, Any]) -> str:
    """A row as a line of JSONL; numbers that JSON does not have become null."""
    try:
        return strict_line(row)
    except ValueError:
        return strict_line(finite(row))


def finite(value: Any) -> Any:
    """A JSON value with null in the place of NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inside) for key, inside in value.items()}
    return [finite(inside) for inside in value] if isinstance(value, list | tuple) else value


def _text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
