"""Values of the standard library and of numpy as JSON: for each type a tag, its parts, and a strict constructor.

Nothing here runs code of a solution: a tag names one known type, and its parts are numbers and texts of bounded size.
"""

import collections
import collections.abc
import datetime
import decimal
import fractions
import re
import time
import types
import zoneinfo
from collections.abc import Callable
from typing import Any

from asap.sandbox.jail.arrays import from_buffer, from_scalar
from asap.sandbox.jail.limits import BadValue, TooLarge
from asap.sandbox.jail.names import FROM_TEXT, member, named_module, named_type, named_typing, texts

Coder = Callable[[Any], Any]
"""Encodes or decodes a part of a value."""

_MAX_DIGITS, _MAX_EXPONENT = 100_000, 1_000_000
_MAX_BITS = 1 << 20  # of a fraction's two integers: reducing them is quadratic
_CONSTANTS: dict[str, Any] = {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}
_VIEWS: dict[str, type] = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")


def _numbers(body: Any, count: int) -> list[int]:
    if type(body) is not list or len(body) != count or not all(type(item) is int for item in body):
        raise BadValue("not integers")
    return body


def _from_text(body: Any, part: Coder) -> Any:
    name, text = texts(body, 2)
    if name == "Decimal" and len(text) > _MAX_DIGITS + 20:
        raise BadValue("a decimal of too many digits")
    if name == "Decimal":
        return _bounded(decimal.Decimal(text), BadValue)
    return FROM_TEXT[name](text)


def _bounded(value: decimal.Decimal, error: type[Exception] = TooLarge) -> decimal.Decimal:
    if abs(value.adjusted()) > _MAX_EXPONENT or len(value.as_tuple().digits) > _MAX_DIGITS:
        raise error("a decimal of too many digits")
    return value


def _to_fraction(value: fractions.Fraction, part: Coder) -> Any:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
        raise TooLarge("a fraction of too many digits")
    return [part(value.numerator), part(value.denominator)]


def _from_fraction(body: Any, part: Coder) -> Any:
    above, below = (part(item) for item in body)
    if type(above) is not int or type(below) is not int or max(above.bit_length(), below.bit_length()) > _MAX_BITS:
        raise BadValue("not a fraction")
    return fractions.Fraction(above, below)


def _to_time(value: Any, part: Coder) -> Any:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, part(value.tzinfo)]


def _from_time(body: Any, part: Coder) -> Any:
    hour, minute, second, micro, fold = _numbers(body[:5], 5)
    return datetime.time(hour, minute, second, micro, part(body[5]), fold=fold)


def _to_datetime(value: Any, part: Coder) -> Any:
    return [value.year, value.month, value.day, *_to_time(value, part)]


def _from_datetime(body: Any, part: Coder) -> Any:
    *day, hour, minute, second, micro, fold = _numbers(body[:8], 8)
    return datetime.datetime(day[0], day[1], day[2], hour, minute, second, micro, part(body[8]), fold=fold)


def _to_zone(value: datetime.timezone, part: Coder) -> Any:
    name = value.tzname(None)
    delta = value.utcoffset(None)
    return [part(delta), None if datetime.timezone(delta).tzname(None) == name else name]


def _from_zone(body: Any, part: Coder) -> Any:
    delta, name = part(body[0]), body[1]
    return datetime.timezone(delta) if name is None else datetime.timezone(delta, name)


def _to_region(value: zoneinfo.ZoneInfo, part: Coder) -> Any:
    if value.key is None:
        raise ValueError("a time zone without a name does not leave its process")
    return value.key


def _from_region(body: Any, part: Coder) -> Any:
    if type(body) is not str or not _ZONE.fullmatch(body):
        raise BadValue("no such time zone")
    return zoneinfo.ZoneInfo(body)


def _to_view(value: Any, part: Coder) -> Any:
    kind = next(name for name, view in _VIEWS.items() if isinstance(value, view))
    if kind == "items":
        return [kind, part(dict(value))]
    return [kind, part(dict.fromkeys(value) if kind == "keys" else dict(enumerate(value)))]


def _from_view(body: Any, part: Coder) -> Any:
    kind, content = body
    return getattr(part(content), {"keys": "keys", "values": "values", "items": "items"}[kind])()


def _to_memory(value: memoryview, part: Coder) -> Any:
    return [value.format, list(value.shape or ()), part(value.tobytes())]


def _from_memory(body: Any, part: Coder) -> Any:
    form, shape, data = body
    flat = memoryview(part(data))
    return flat if form == "B" and len(shape) == 1 else flat.cast("B").cast(form, shape)


def _to_pattern(value: re.Pattern[Any], part: Coder) -> Any:
    return [part(value.pattern), value.flags]


def _from_pattern(body: Any, part: Coder) -> Any:
    pattern, flags = part(body[0]), body[1]
    if type(pattern) not in (str, bytes) or type(flags) is not int or len(pattern) > 10_000:
        raise BadValue("not a pattern")
    return re.compile(pattern, flags)


ENCODED: dict[type, tuple[str, Callable[[Any, Coder], Any]]] = {
    **{kind: ("text", lambda value, part: [type(value).__name__, str(value)]) for kind in FROM_TEXT.values()},
    decimal.Decimal: ("text", lambda value, part: ["Decimal", str(_bounded(value))]),
    complex: ("c", lambda value, part: [value.real, value.imag]),
    range: ("r", lambda value, part: [part(value.start), part(value.stop), part(value.step)]),
    slice: ("slice", lambda value, part: [part(value.start), part(value.stop), part(value.step)]),
    fractions.Fraction: ("fraction", _to_fraction),
    datetime.date: ("date", lambda value, part: [value.year, value.month, value.day]),
    datetime.time: ("time", _to_time),
    datetime.datetime: ("datetime", _to_datetime),
    datetime.timedelta: ("delta", lambda value, part: [value.days, value.seconds, value.microseconds]),
    datetime.timezone: ("zone", _to_zone),
    zoneinfo.ZoneInfo: ("region", _to_region),
    time.struct_time: ("struct_time", lambda value, part: [part(item) for item in tuple(value)]),
    type(Ellipsis): ("constant", lambda value, part: "Ellipsis"),
    type(NotImplemented): ("constant", lambda value, part: "NotImplemented"),
    **dict.fromkeys((*_VIEWS.values(), *(type(getattr(collections.OrderedDict(), name)()) for name in _VIEWS)), ("view", _to_view)),
    memoryview: ("memory", _to_memory),
    re.Pattern: ("pattern", _to_pattern),
    types.GenericAlias: ("alias", lambda value, part: [part(value.__origin__), part(value.__args__)]),
    types.MappingProxyType: ("proxied", lambda value, part: part(dict(value))),
}
"""For each type that crosses by value: its tag, and its parts."""

DECODED: dict[str, Callable[[Any, Coder], Any]] = {
    "text": _from_text,
    "c": lambda body, part: complex(*_floats(body)),
    "r": lambda body, part: range(*(_integer(part(item)) for item in body)),
    "slice": lambda body, part: slice(*(part(item) for item in body[:3])),
    "fraction": _from_fraction,
    "date": lambda body, part: datetime.date(*_numbers(body, 3)),
    "time": _from_time,
    "datetime": _from_datetime,
    "delta": lambda body, part: datetime.timedelta(*_numbers(body, 3)),
    "zone": _from_zone,
    "region": _from_region,
    "struct_time": lambda body, part: time.struct_time([part(item) for item in body]),
    "constant": lambda body, part: _CONSTANTS[body],
    "view": _from_view,
    "memory": _from_memory,
    "pattern": _from_pattern,
    "scalar": lambda body, part: from_scalar(body),
    "dtype": lambda body, part: from_buffer(body, [0], "").dtype,
    "member": lambda body, part: member(body),
    "type": lambda body, part: named_type(body),
    "module": lambda body, part: named_module(body),
    "typing": lambda body, part: named_typing(body),
    "alias": lambda body, part: types.GenericAlias(part(body[0]), part(body[1])),
    "proxied": lambda body, part: types.MappingProxyType(part(body)),
}
"""For each tag, what makes the value of its parts. They may raise anything for parts that no encoder makes."""


def _floats(body: Any) -> list[float]:
    if type(body) is not list or len(body) != 2 or not all(type(item) is float for item in body):
        raise BadValue("not two floats")
    return body


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise BadValue("not an integer")
    return value


NAMED = frozenset(("type", "module", "typing", "member", "pattern", "alias"))
"""Tags that only a sandboxed process decodes, for they import modules or compile patterns."""
