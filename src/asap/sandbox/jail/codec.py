"""Values as bounded JSON, exchanged between processes that do not trust each other.

Encoding happens in the solution's process: the result is only a claim. Decoding is strict: it builds only exact types of the
standard library and numpy, from data with bounded bytes, nodes, depth and integers, and refuses keys crafted to collide.

JSON's own types encode themselves; any other value is an object with one key, its tag:
{"t": tuple} {"s": set} {"z": frozenset} {"d": [[key, value]...]} {"b": bytes in hex} {"y": bytearray} {"i": integer in hex}
{"o": the name of a type without an encoding}; further containers below, further values in `values`.
"""

import array
import base64
import collections
import importlib
import math
import types
from collections.abc import Callable, Sized
from typing import Any

from asap.sandbox.jail.arrays import from_buffer, is_buffer, is_buffer_type, numpy_of, sorted_from, sorted_of, to_scalar
from asap.sandbox.jail.channel import TRUSTED as TRUSTED
from asap.sandbox.jail.channel import Channel as Channel
from asap.sandbox.jail.channel import Closed as Closed
from asap.sandbox.jail.collisions import SAME_ITEMS, known_keys, plain_keys, refuse_equal_hashes, refuse_made_to_collide
from asap.sandbox.jail.limits import MAX_DEPTH, MAX_HEX, MAX_NODES
from asap.sandbox.jail.limits import BadValue as BadValue
from asap.sandbox.jail.limits import TooLarge as TooLarge
from asap.sandbox.jail.values import DECODED, ENCODED, NAMED

_SMALL = 1 << 62
_PLAIN = {bool, str, float, type(None)}
Foreign = Callable[[Any], Any]


class Opaque:
    """A value whose type has no encoding. It equals only itself."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name}>"


class Encoder:
    """Encodes the values of one message. `foreign` encodes what has no encoding here.

    `shared`, if given, encodes mutable containers instead of copying them.
    """

    def __init__(self, foreign: Foreign, shared: Foreign | None = None) -> None:
        self.foreign = foreign
        self.shared = shared
        self.nodes = 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        """The JSON form of a value."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return _encode_int(value)
        if depth > MAX_DEPTH:
            raise RecursionError("nested too deeply")
        if kind is tuple:
            return {"t": self.items(value, depth)}
        if kind in CONTAINERS:
            return self.body(value, kind, depth) if self.shared is None else self.shared(value)
        return self.rarer(value, kind, depth)

    def body(self, value: Any, kind: type, depth: int = 0) -> Any:
        """The form of a container's content. `kind` is the container's type, or the one among its bases."""
        return CONTAINERS[kind](self, value, depth)

    def rarer(self, value: Any, kind: type, depth: int) -> Any:
        """The form of a value that is neither plain nor a container of the standard library."""
        if kind is frozenset:
            refuse_equal_hashes(plain_keys(value), ValueError)
            return {"z": self.items(list(value), depth)}
        if kind is bytes:
            return {"b": value.hex()}
        if kind in ENCODED and (self.shared is not None or ENCODED[kind][0] not in NAMED):
            tag, parts = ENCODED[kind]
            return {tag: parts(value, lambda part: self.encode(part, depth + 1))}
        numpy = numpy_of(value)
        if numpy is not None and kind is numpy.ndarray and (is_buffer(value) or value.dtype == object):
            return _ndarray(self, value, depth) if self.shared is None else self.shared(value)
        if numpy is not None and isinstance(value, numpy.generic) and (scalar := to_scalar(value)):
            return {"scalar": scalar}
        if numpy is not None and isinstance(value, numpy.dtype) and is_buffer_type(value):
            return {"dtype": value.str}
        if sorted_of(value) is not None:
            return sorted_body(self, value, depth) if self.shared is None else self.shared(value)
        return self.foreign(value)

    def items(self, values: Any, depth: int) -> list[Any]:
        """The forms of the items of a list or tuple."""
        self.count(values)
        kinds = set(map(type, values))
        if kinds <= _PLAIN:
            return list(values)
        if kinds == {int} and min(values) > -_SMALL and max(values) < _SMALL:
            return list(values)
        if len(values) > SAME_ITEMS:
            refuse_made_to_collide(values, ValueError)
        return [self.encode(item, depth + 1) for item in values]

    def pairs(self, items: Any, depth: int) -> list[Any]:
        """The forms of the keys and values of a dict."""
        pairs = list(items)
        self.count(pairs)
        refuse_equal_hashes(plain_keys(key for key, _ in pairs), ValueError)
        return [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in pairs]

    def count(self, container: Sized) -> None:
        """Count nodes. Raises TooLarge."""
        self.nodes += len(container)
        if self.nodes > MAX_NODES:
            raise TooLarge("too many values")


def encode(value: Any, foreign: Foreign | None = None) -> Any:
    """The JSON form of a value as a tree: it keeps no identities. `foreign` is for values without one; the default is {"o": type}."""
    return Encoder(foreign or (lambda other: {"o": type(other).__name__[:80]})).encode(value)


def _encode_int(value: int) -> Any:
    if -_SMALL < value < _SMALL:
        return value
    if value.bit_length() > 4 * MAX_HEX:
        raise TooLarge("an integer of too many digits")
    return {"i": f"{value:x}"}


def _set(encoder: Encoder, value: set[Any], depth: int) -> Any:
    items = list(set.__iter__(value))
    refuse_equal_hashes(plain_keys(items), ValueError)
    return {"s": encoder.items(items, depth)}


def _ndarray(encoder: Encoder, value: Any, depth: int) -> Any:
    if value.dtype == object:
        return {"objects": [list(value.shape), encoder.items(value.ravel().tolist(), depth)]}
    return {"ndarray": [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}


CONTAINERS: dict[type, Callable[[Encoder, Any, int], Any]] = {
    list: lambda encoder, value, depth: encoder.items(list.__getitem__(value, slice(None)), depth),
    dict: lambda encoder, value, depth: {"d": encoder.pairs(dict.items(value), depth)},
    set: _set,
    bytearray: lambda encoder, value, depth: {"y": bytes(value).hex()},
    collections.deque: lambda encoder, value, depth: {
        "deque": [value.maxlen, encoder.items(list(collections.deque.__iter__(value)), depth)]
    },
    collections.Counter: lambda encoder, value, depth: {"counter": encoder.pairs(dict.items(value), depth)},
    collections.defaultdict: lambda encoder, value, depth: {
        "defaultdict": [encoder.encode(value.default_factory, depth + 1), encoder.pairs(dict.items(value), depth)]
    },
    collections.OrderedDict: lambda encoder, value, depth: {"ordered": encoder.pairs(collections.OrderedDict.items(value), depth)},
    array.array: lambda encoder, value, depth: {"array": [value.typecode, value.tobytes().hex()]},
    types.SimpleNamespace: lambda encoder, value, depth: {"namespace": encoder.pairs(vars(value).items(), depth)},
}
"""The content of each mutable container. numpy's arrays are one more, if numpy is loaded."""


def sorted_body(encoder: Encoder, value: Any, depth: int = 0) -> Any:
    """The content of a sorted container."""
    name = type(value).__name__
    return {"sorted": [name, encoder.pairs(value.items(), depth) if name == "SortedDict" else encoder.items(list(value), depth)]}


def _sorted(decoder: "Decoder", body: Any, depth: int) -> Any:
    name, items = body
    made = sorted_from(name)
    made.update(decoder.pairs(items, depth) if name == "SortedDict" else decoder.items(items, depth))
    return made


def ndarray_body(encoder: Encoder, value: Any) -> Any:
    """The content of a numpy array."""
    return _ndarray(encoder, value, 0)


def decode(data: Any, foreign: Callable[[str, Any], Any] | None = None) -> Any:
    """The value of a JSON form. Raises BadValue if invalid. `foreign(tag, body)` decodes the caller's own tags, or raises BadValue."""
    return Decoder(foreign or _no_tag).decode(data)


def _no_tag(tag: str, body: Any) -> Any:
    raise BadValue(f"no such tag: {tag[:20]!a}")


class Decoder:
    """Decodes values; `foreign` decodes tags that are not the codec's. `named`: also what is imported by name or compiled."""

    def __init__(self, foreign: Callable[[str, Any], Any], named: bool = False) -> None:
        self.foreign = foreign
        self.named = named

    def decode(self, data: Any) -> Any:
        """The value of a JSON form. Raises BadValue."""
        try:
            return self.value(data, 0)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise BadValue(f"{type(error).__name__}: {error}"[:100]) from None

    def value(self, data: Any, depth: int) -> Any:
        """The value of a part, `depth` levels down."""
        kind = type(data)
        if kind in _PLAIN or kind is int:
            return data
        if depth > 2 * MAX_DEPTH:  # an encoder counts a tag and its content as one level
            raise BadValue("nested too deeply")
        if kind is list:
            return self.items(data, depth)
        if kind is not dict or len(data) != 1:
            raise BadValue("not a tagged value")
        ((tag, body),) = data.items()
        return self.tagged(tag, body, depth)

    def tagged(self, tag: str, body: Any, depth: int) -> Any:
        """The value of a tag."""
        if tag == "t":
            return tuple(self.items(body, depth))
        if tag in ("i", "b", "y", "o"):
            return _from_text(tag, body)
        if tag in ("s", "z"):
            items = self.items(body, depth)
            refuse_equal_hashes(known_keys(items), BadValue)
            return set(items) if tag == "s" else frozenset(items)
        if tag in _MADE:
            return _MADE[tag](self, body, depth)
        if tag in DECODED and (self.named or tag not in NAMED):
            return DECODED[tag](body, lambda part: self.value(part, depth + 1))
        return self.foreign(tag, body)

    def items(self, data: Any, depth: int) -> list[Any]:
        """The values of a list."""
        if type(data) is not list:
            raise BadValue("not a list")
        kinds = set(map(type, data))
        items = list(data) if kinds <= _PLAIN | {int} else [self.value(item, depth + 1) for item in data]
        if len(items) > SAME_ITEMS and not kinds <= _PLAIN:
            refuse_made_to_collide(items, BadValue)
        return items

    def pairs(self, body: Any, depth: int) -> dict[Any, Any]:
        """The dict of a list of keys and values."""
        if type(body) is not list or not all(type(pair) is list and len(pair) == 2 for pair in body):
            raise BadValue("not pairs")
        keys = self.items([key for key, _ in body], depth)
        refuse_equal_hashes(known_keys(keys), BadValue)
        return dict(zip(keys, self.items([item for _, item in body], depth), strict=True))


def _deque(decoder: Decoder, body: Any, depth: int) -> Any:
    size, items = body
    if size is not None and (type(size) is not int or size < 0):
        raise BadValue("not a length")
    return collections.deque(decoder.items(items, depth), size)


def _objects(decoder: Decoder, body: Any, depth: int) -> Any:
    shape, items = body
    numpy = importlib.import_module("numpy")
    flat = numpy.empty(len(items), object)
    flat[:] = decoder.items(items, depth)
    if math.prod(shape) != len(items):
        raise BadValue("not a shape")
    return flat.reshape(shape)


_MADE: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "d": lambda decoder, body, depth: decoder.pairs(body, depth),
    "deque": _deque,
    "counter": lambda decoder, body, depth: collections.Counter(decoder.pairs(body, depth)),
    "defaultdict": lambda decoder, body, depth: collections.defaultdict(decoder.value(body[0], depth), decoder.pairs(body[1], depth)),
    "ordered": lambda decoder, body, depth: collections.OrderedDict(decoder.pairs(body, depth)),
    "array": lambda decoder, body, depth: array.array(body[0], bytes.fromhex(body[1])),
    "ndarray": lambda decoder, body, depth: from_buffer(*body),
    "objects": _objects,
    "sorted": _sorted,
    "namespace": lambda decoder, body, depth: types.SimpleNamespace(**decoder.pairs(body, depth)),
}


def _from_text(tag: str, body: Any) -> Any:
    if type(body) is not str:
        raise BadValue("not a text")
    if tag == "o":
        return Opaque(body[:80])
    if tag == "i":
        if len(body) > MAX_HEX + 1:
            raise BadValue("an integer of too many digits")
        return int(body, 16)
    return bytes.fromhex(body) if tag == "b" else bytearray.fromhex(body)
