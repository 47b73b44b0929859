"""Values as JSON has them: browsers and other tools refuse the NaN and Infinity that Python writes. And settings as people write them."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

_LONGEST = 120


def as_json(value: Any) -> Any:
    """The value as JSON has it: NaN and infinity become null, named tuples objects, paths and other objects text."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if hasattr(value, "_asdict"):
        return as_json(value._asdict())
    if isinstance(value, Sequence | set | frozenset):
        return [as_json(one) for one in value]
    return str(value)


def told_apart(there: Mapping[str, Any], here: Mapping[str, Any], names: Collection[str], *, as_here: str = "here") -> str:
    """In which of these settings two runs differ, as they are written on a command line: `ratio is 0.5 there and 0.25 here; …`."""
    said = "; ".join(f"{name} is {one} there and {other} {as_here}" for name, one, other in _unlike(there, here, names))
    return said or ", ".join(names)  # a setting that only one has, as null


def _unlike(there: Mapping[str, Any], here: Mapping[str, Any], names: Iterable[str], before: str = "") -> Iterator[tuple[str, str, str]]:
    for name in names:
        one, other = there.get(name), here.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _unlike(one, other, dict.fromkeys([*one, *other]), f"{before}{name}.")
        elif one != other:
            texts = _written(one), _written(other)
            yield f"{before}{name}", *(texts if texts[0] != texts[1] else map(json.dumps, map(as_json, (one, other))))


def _written(value: Any) -> str:
    """A setting as it is typed: a list with commas, a mapping as key=value; at most 120 characters."""
    if value is None or value in ("", [], (), {}):
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        text = ",".join(f"{key}={_written(one)}" for key, one in value.items())
    else:
        text = ",".join(map(_written, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
