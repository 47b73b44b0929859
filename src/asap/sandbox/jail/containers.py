"""Mutable containers that both processes hold: what they refer to, an empty one, and a new content for an existing one."""

import array
import collections
import types
from collections import ChainMap, UserDict, UserList, UserString
from collections.abc import Callable
from typing import Any, NamedTuple

from asap.sandbox.jail.arrays import is_buffer, numpy_of, sorted_from, sorted_of
from asap.sandbox.jail.codec import CONTAINERS, Decoder
from asap.sandbox.jail.limits import BadValue


class Handling(NamedTuple):
    """How to handle one type of container, and its subclasses through the type's own methods."""

    parts: Callable[[Any], list[Any]]
    refill: Callable[[Any, Any], None]
    compact: bool = False  # its parts are bytes, compared by value


def container_type(kind: type) -> type | None:
    """The type of container that a type is or inherits from."""
    if kind in CONTAINERS:
        return kind
    return next((base for base in kind.__mro__ if base in CONTAINERS), None)


def _pairs(value: Any) -> list[Any]:
    return [*dict.keys(value), *dict.values(value)]


def _ordered_pairs(value: Any) -> list[Any]:
    return [item for pair in collections.OrderedDict.items(value) for item in pair]


def _attributes(value: Any) -> list[Any]:
    return [item for pair in vars(value).items() for item in pair]


def _fill_list(old: Any, new: Any) -> None:
    list.__setitem__(old, slice(None), new)


def _fill_dict(old: Any, new: Any) -> None:
    dict.clear(old)
    dict.update(old, new)
    if isinstance(old, collections.defaultdict):
        old.default_factory = new.default_factory


def _fill_ordered(old: Any, new: Any) -> None:
    collections.OrderedDict.clear(old)
    for key, item in new.items():
        collections.OrderedDict.__setitem__(old, key, item)


def _fill_set(old: Any, new: Any) -> None:
    set.clear(old)
    set.update(old, new)


def _fill_deque(old: Any, new: Any) -> None:
    collections.deque.clear(old)
    collections.deque.extend(old, new)


def _fill_buffer(old: Any, new: Any) -> None:
    old[:] = new


def _fill_namespace(old: Any, new: Any) -> None:
    vars(old).clear()
    vars(old).update(vars(new))


def _fill_array(old: Any, new: Any) -> None:
    if old.dtype != new.dtype:
        raise BadValue("another type of array")
    if old.shape != new.shape:
        old.resize(new.shape, refcheck=False)
    old[...] = new


def _fill_sorted(old: Any, new: Any) -> None:
    old.clear()
    old.update(new)


_OTHERS = ("deque", "array", "objects", "ndarray", "sorted")
KINDS: dict[type, Handling] = {
    list: Handling(lambda value: list.__getitem__(value, slice(None)), _fill_list),
    dict: Handling(_pairs, _fill_dict),
    set: Handling(lambda value: list(set.__iter__(value)), _fill_set),
    bytearray: Handling(lambda value: [bytes(value)], _fill_buffer, True),
    collections.deque: Handling(lambda value: list(collections.deque.__iter__(value)), _fill_deque),
    collections.Counter: Handling(_pairs, _fill_dict),
    collections.defaultdict: Handling(lambda value: [value.default_factory, *_pairs(value)], _fill_dict),
    collections.OrderedDict: Handling(_ordered_pairs, _fill_ordered),
    array.array: Handling(lambda value: [array.array.tobytes(value)], _fill_buffer, True),
    types.SimpleNamespace: Handling(_attributes, _fill_namespace),
}
_NUMBERS = Handling(lambda value: [value.tobytes(), value.shape], _fill_array, True)
_OBJECTS = Handling(lambda value: value.ravel().tolist(), _fill_array)
_SORTED = Handling(lambda value: _pairs(value) if isinstance(value, dict) else list(value), _fill_sorted)
_EMPTY: dict[str, Callable[[Any], Any]] = {
    "d": lambda kind: dict.__new__(kind or dict),
    "s": lambda kind: set.__new__(kind or set),
    "y": lambda kind: bytearray.__new__(kind or bytearray),
    "counter": lambda kind: dict.__new__(kind or collections.Counter),
    "defaultdict": lambda kind: collections.defaultdict.__new__(kind or collections.defaultdict),
    "ordered": lambda kind: collections.OrderedDict.__new__(kind or collections.OrderedDict),
    "namespace": lambda kind: types.SimpleNamespace.__new__(kind or types.SimpleNamespace),
}


def blank(body: Any, decoder: Decoder, kind: type | None = None) -> Any:
    """An empty container for a content; `kind` is its class, if a subclass."""
    if type(body) is list:
        return list.__new__(kind or list)
    if type(body) is not dict or len(body) != 1:
        raise BadValue("not a container")
    ((tag, content),) = body.items()
    if tag in _EMPTY:
        return _EMPTY[tag](kind)
    if tag == "deque":
        made: Any = collections.deque.__new__(kind or collections.deque)
        collections.deque.__init__(made, (), content[0])
        return made
    if tag == "array":
        return array.array.__new__(kind or array.array, content[0])
    if tag == "sorted":
        return sorted_from(content[0])
    if tag == "objects":
        return decoder.decode({"objects": [content[0], [None] * len(content[1])]})
    if tag == "ndarray":
        return decoder.decode(body)
    raise BadValue("no such container")


def is_body(body: Any) -> bool:
    """Whether a JSON form is the content of a container."""
    return type(body) is list or (type(body) is dict and len(body) == 1 and (next(iter(body)) in _EMPTY or next(iter(body)) in _OTHERS))


def kind_of(value: Any) -> Handling | None:
    """How to handle a value, if it is a container."""
    found = container_type(type(value))
    if found is type(value):
        return KINDS[found]
    if sorted_of(value) is not None:
        return _SORTED
    if found is not None:
        return KINDS[found]
    if (numpy := numpy_of(value)) is None or type(value) is not numpy.ndarray:
        return None
    return _OBJECTS if value.dtype == object else _NUMBERS if is_buffer(value) else None


def unchanged(kind: Handling, parts: list[Any], before: list[Any]) -> bool:
    """Whether a container still refers to the same things."""
    if kind.compact:
        return parts == before
    return len(parts) == len(before) and all(map(_is, parts, before))


def _is(one: Any, other: Any) -> bool:
    return one is other


_HASHING = ("d", "s", "counter", "defaultdict", "ordered", "sorted")
FIELDS: dict[str, Any] = {kind.__name__: kind for kind in (UserDict, UserList, UserString, ChainMap)}
"""Containers in Python: their content is their fields."""


def is_pinned(thing: Any) -> bool:
    """Whether an object is more than its content: the other end may call its methods."""
    return container_type(type(thing)) not in (None, type(thing)) and sorted_of(thing) is None


def content_of(body: Any) -> Any:
    """The content in a description, if it is a container's."""
    if is_body(body):
        return body
    if type(body) is dict and type(body.get("sub")) is list and len(body["sub"]) == 2:
        return body["sub"][1]
    if type(body) is dict and type(body.get("record")) is list and len(body["record"]) == 2 and type(body["record"][1]) is dict:
        return body["record"][1]
    return None


def is_hashing(body: Any) -> bool:
    """Whether a content is filled by hashing what it holds."""
    inner = content_of(body)
    return type(inner) is dict and next(iter(inner), None) in _HASHING


def fields_of(thing: Any) -> dict[str, Any]:
    """The fields of a record."""
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()) if name != "__dict__"]
    return {**{name: getattr(thing, name) for name in slots if hasattr(thing, name)}, **getattr(thing, "__dict__", {})}


def _set_fields(thing: Any, fields: dict[str, Any]) -> None:
    for name in fields_of(thing).keys() - fields.keys():
        object.__delattr__(thing, name)
    for name, item in fields.items():
        object.__setattr__(thing, name, item)


RECORD = Handling(lambda thing: [item for pair in fields_of(thing).items() for item in pair], _set_fields)
