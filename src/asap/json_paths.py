"""JSON values, and texts of them: what stands at a path, and the same with other strings at some paths.

In a text every other character stays: parsing it and writing it again would change numbers (`1e5`), escapes, spaces and keys that stand
twice.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Path = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""
Edits: TypeAlias = dict[Path, str | None]
"""The strings that stand at some paths instead; None for an element of a list that goes."""
_Range = tuple[int, int]
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def value_at(row: Any, path: Path) -> Any:
    """What stands in a row at a path."""
    for key in path:
        row = row[key]
    return row


def changed(value: Any, changes: Edits) -> Any:
    """A copy of a value with these changes."""
    for path, new in changes.items():
        if new is not None:
            value = _with(value, path, new)
    for path in sorted((path for path, new in changes.items() if new is None), key=_order, reverse=True):
        value = _without(value, path)
    return value


def _with(row: Any, path: Path, value: str) -> Any:
    """A copy of a row with another value at a path."""
    if not path:
        return value
    copy: Any = list(row) if isinstance(row, (list, tuple)) else dict(row)
    copy[path[0]] = _with(row[path[0]], path[1:], value)
    return copy


def _without(row: Any, path: Path) -> Any:
    """A copy of a row without the element of a list at a path."""
    copy: Any = list(row) if isinstance(row, (list, tuple)) else dict(row)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _without(row[path[0]], path[1:])
    return copy


def element(path: Path) -> Path:
    """The path of the innermost element of a list that holds what is at a path."""
    return next((path[: end + 1] for end in reversed(range(len(path))) if isinstance(path[end], int)), ())


def _order(path: Path) -> list[tuple[int, str]]:
    """A key that sorts paths by their places in lists."""
    return [(key, "") if isinstance(key, int) else (-1, key) for key in path]


def edits_in(key: str | int, edits: Edits) -> Edits:
    """Those of the edits of a value that are in what stands under a key."""
    return {path[1:]: new for path, new in edits.items() if path[0] == key}


def edited(text: str, changes: Edits) -> str:
    """A JSON text with these changes."""
    if not changes:
        return text
    pieces, at = list[str](), 0
    for (start, end), new in sorted(_edits(text, _visible(text, 0), changes, ascii_only=text.isascii())):
        pieces += [text[at:start], new]
        at = end
    return "".join([*pieces, text[at:]])


def _edits(text: str, at: int, changes: Edits, *, ascii_only: bool) -> Iterator[tuple[_Range, str]]:
    """What is written where instead, for changes inside the list or object that begins at a place."""
    inside: dict[str | int, Edits] = {}
    for (key, *rest), change in changes.items():
        inside.setdefault(key, {})[tuple(rest)] = change
    spans = dict(_values(text, at))
    gone = [key for key in spans if inside.get(key, {}).get((), "") is None]
    for key, below in inside.items():
        if () not in below:
            yield from _edits(text, spans[key][0], below, ascii_only=ascii_only)
        elif (new := below[()]) is not None:
            yield spans[key], json.dumps(new, ensure_ascii=ascii_only)
    yield from ((span, "") for span in _cuts(spans, gone))


def _cuts(spans: Mapping[Any, _Range], gone: list[Any]) -> Iterator[_Range]:
    """What leaves a list with these elements, each with one of the commas beside it."""
    kept = [key for key in spans if key not in gone] if gone else []
    last = max(kept, default=None)
    for key in gone:
        if last is not None and key < last:
            yield spans[key][0], spans[key + 1][0]
    behind = [spans[key] for key in gone if last is None or key > last]
    if behind:
        yield behind[0][0] if last is None else spans[last][1], behind[-1][1]


def _values(text: str, at: int) -> Iterator[tuple[str | int, _Range]]:
    """Each value of the list or object that begins at a place, by its index or key."""
    is_object, number = text[at] == "{", 0
    at = _visible(text, at + 1)
    while text[at] not in "]}":
        key: str | int = number
        if is_object:
            key, colon = _DECODER.raw_decode(text, at)
            at = _visible(text, _visible(text, colon) + 1)
        end = _DECODER.raw_decode(text, at)[1]
        yield key, (at, end)
        at, number = _visible(text, end), number + 1
        at = _visible(text, at + 1) if text[at] == "," else at


def _visible(text: str, at: int) -> int:
    """The first place from here on that is no white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at
