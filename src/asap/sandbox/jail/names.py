"""What both ends of a link have under the same name: types, modules, names of typing, members of enumerations."""

import array
import builtins
import collections
import collections.abc
import datetime
import decimal
import fractions
import importlib
import ipaddress
import pathlib
import re
import sys
import types
import typing
import uuid
import zoneinfo
from typing import Any

from asap.sandbox.jail.limits import BadValue

FROM_TEXT: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(decimal.Decimal, uuid.UUID, pathlib.PurePosixPath, pathlib.PosixPath, pathlib.PureWindowsPath),
        *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
        *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
    )
}
_UNLOADED = {"antigravity", "this", "idlelib", "turtle", "turtledemo", "test"}  # importing them does something, or takes long


def _named(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


TYPES: dict[str, type] = {
    _named(kind): kind
    for kind in (
        *(thing for thing in vars(builtins).values() if isinstance(thing, type)),
        *(thing for thing in vars(types).values() if isinstance(thing, type) and thing.__module__ == "builtins"),
        *(thing for thing in vars(collections).values() if isinstance(thing, type)),
        *(getattr(collections.abc, name) for name in collections.abc.__all__),
        *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone, datetime.tzinfo, zoneinfo.ZoneInfo),
        *(array.array, fractions.Fraction, pathlib.Path, pathlib.PurePath, re.Pattern, re.Match, *FROM_TEXT.values()),
    )
}
"""The types that are themselves on both sides; so are exceptions of the standard library, and numpy's types."""


def stdlib_class(name: Any) -> type | None:
    """The class of the standard library, of numpy or of sortedcontainers with a name. Its objects may have no value that crosses."""
    if type(name) is not str:
        return None
    module, _, own = name.rpartition(".")
    found = getattr(loaded(module), own, None)
    return found if isinstance(found, type) else None


def known_type(name: Any) -> type | None:
    """The type of a name, if both sides have it."""
    if type(name) is not str:
        return None
    if name in TYPES:
        return TYPES[name]
    module, _, own = name.rpartition(".")
    found = getattr(loaded(module), own, None)
    ours = isinstance(found, type) and (module.partition(".")[0] == "numpy" or issubclass(found, BaseException))
    return found if ours else None


def type_name(kind: type) -> str | None:
    """The name by which the other side knows a type, if it does."""
    module, name = getattr(kind, "__module__", None), getattr(kind, "__qualname__", None)
    if type(module) is not str or type(name) is not str:
        return None
    return f"{module}.{name}" if known_type(f"{module}.{name}") is kind else None


def loaded(module: str) -> types.ModuleType | None:
    """A module of the standard library or numpy, imported; None for any other."""
    top = module.partition(".")[0]
    if (top not in sys.stdlib_module_names and top != "numpy") or top in _UNLOADED or "__main__" in module:
        return None
    try:
        return importlib.import_module(module)
    except Exception:  # border: what an import may raise
        return None


def stdlib_constant(value: Any) -> list[str] | None:
    """The type and name of a member of one of the standard library's enumerations."""
    kind = type(value)
    if type(kind).__module__ != "enum" or kind.__module__.partition(".")[0] not in sys.stdlib_module_names:
        return None
    name = getattr(value, "_name_", None)
    found = getattr(getattr(loaded(kind.__module__), kind.__qualname__, None), str(name), None)
    return [kind.__module__, kind.__qualname__, name] if found is value and type(name) is str else None


def member(body: Any) -> Any:
    """A member of an enumeration of the standard library. Raises BadValue."""
    module, kind, name = texts(body, 3)
    enumeration = getattr(loaded(module), kind, None)
    if type(enumeration).__module__ != "enum":
        raise BadValue("no such enumeration")
    return enumeration[name]  # type: ignore[index]


def texts(body: Any, count: int) -> list[str]:
    """A list of so many texts. Raises BadValue."""
    if type(body) is not list or len(body) != count or not all(type(item) is str for item in body):
        raise BadValue("not texts")
    return body


def named_type(name: Any) -> type:
    """The type of a name. Raises BadValue."""
    found = known_type(name)
    if found is None:
        raise BadValue("no such type")
    return found


def named_module(name: Any) -> types.ModuleType:
    """The module of a name. Raises BadValue."""
    found = loaded(name) if type(name) is str else None
    if found is None:
        raise BadValue("no such module")
    return found


def named_typing(name: Any) -> Any:
    """The name of typing. Raises BadValue."""
    if type(name) is not str or not hasattr(typing, name):
        raise BadValue("no such name")
    return getattr(typing, name)


def by_name(value: Any) -> dict[str, Any] | None:
    """What both sides have under the same name: a type, a module, a name of typing, a member of an enumeration."""
    kind = type(value)
    if issubclass(kind, type):
        name = type_name(value)
        return None if name is None else {"type": name}
    if issubclass(kind, types.ModuleType):
        name = vars(value).get("__name__")
        return {"module": name} if type(name) is str and sys.modules.get(name) is value and loaded(name) is value else None
    if kind.__module__ == "typing":
        name = getattr(value, "__name__", None) or getattr(value, "_name", None)
        return {"typing": name} if type(name) is str and getattr(typing, name, None) is value else None
    member = stdlib_constant(value)
    return None if member is None else {"member": member}
