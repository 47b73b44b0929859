"""Values as bounded JSON, exchanged between processes that do not trust each other.

Encoding happens in the solution's process and is lenient: the result is only a claim. Decoding is strict: it builds only exact
builtin types, from data with bounded bytes, nodes, depth and integers, and refuses keys crafted to collide.

JSON's own types encode themselves; any other value is an object with one key, its tag:
{"t": tuple} {"s": set} {"z": frozenset} {"d": [[key, value]...]} {"b": bytes in hex} {"y": bytearray} {"i": integer in hex}
{"c": [real, imaginary]} {"r": [start, stop, step]} {"o": the name of a type without an encoding}.
"""

import json
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sized
from typing import Any

MAX_NODES = 2_000_000
MAX_DEPTH = 100
MAX_HEX = 1_000_000  # digits of one integer: 4 million bits
_SMALL = 1 << 62
_PLAIN = {bool, str, float, type(None)}
_SAME_KEYS = 64  # dict keys that may share a hash: each further key is compared with all earlier ones
_SAME_ITEMS = 1000  # list items that may share a hash: a comparison may put them into a set
_HEADER = struct.Struct(">I")
TRUSTED = 1 << 30  # bytes of a message from our own code


class BadValue(Exception):
    """Data that no honest encoder sends."""


class TooLarge(Exception):
    """A value or message over the limits."""


class Opaque:
    """A value whose type has no encoding. It equals only itself."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name}>"


def encode(value: Any, foreign: Callable[[Any], Any] | None = None) -> Any:
    """The JSON form of a value. `foreign` encodes values without an encoding here; the default is {"o": type}."""
    return _Encoder(foreign or (lambda other: {"o": type(other).__name__[:80]})).encode(value, 0)


class _Encoder:
    def __init__(self, foreign: Callable[[Any], Any]) -> None:
        self.foreign = foreign
        self.nodes = 0

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return _encode_int(value)
        if depth > MAX_DEPTH:
            raise RecursionError("nested too deeply")
        if isinstance(value, list):
            return self.items(value, depth)
        if isinstance(value, tuple):
            return {"t": self.items(value, depth)}
        if isinstance(value, dict):
            self.count(value)
            return {"d": [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in dict.items(value)]}
        return self.rarer(value, depth)

    def rarer(self, value: Any, depth: int) -> Any:
        """The form of a set, bytes, or a number of a subclass or of numpy; anything else is foreign."""
        if isinstance(value, set | frozenset):
            return {"s" if isinstance(value, set) else "z": self.items(value, depth)}
        if isinstance(value, bytes | bytearray):
            return {"b" if isinstance(value, bytes) else "y": bytes(value).hex()}
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return _encode_int(int.__int__(value))
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, complex):
            return {"c": [value.real, value.imag]}
        if isinstance(value, range):
            return {"r": [_encode_int(part) for part in (value.start, value.stop, value.step)]}
        if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
            return self.encode(value.item(), depth + 1)
        return self.foreign(value)

    def items(self, values: Any, depth: int) -> list[Any]:
        self.count(values)
        kinds = set(map(type, values))
        if kinds <= _PLAIN:
            return list(values)
        if kinds == {int} and min(values) > -_SMALL and max(values) < _SMALL:
            return list(values)
        return [self.encode(item, depth + 1) for item in values]

    def count(self, container: Sized) -> None:
        self.nodes += len(container)
        if self.nodes > MAX_NODES:
            raise TooLarge("too many values")


def _encode_int(value: int) -> Any:
    if -_SMALL < value < _SMALL:
        return value
    if value.bit_length() > 4 * MAX_HEX:
        raise TooLarge("an integer of too many digits")
    return {"i": f"{value:x}"}


def decode(data: Any, foreign: Callable[[str, Any], Any] | None = None) -> Any:
    """The value of a JSON form. Raises BadValue if invalid. `foreign(tag, body)` decodes the caller's own tags, or raises BadValue."""
    try:
        return _Decoder(foreign or _no_tag).decode(data, 0)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise BadValue(type(error).__name__) from None


def _no_tag(tag: str, body: Any) -> Any:
    raise BadValue(f"no such tag: {tag[:20]!a}")


class _Decoder:
    def __init__(self, foreign: Callable[[str, Any], Any]) -> None:
        self.foreign = foreign

    def decode(self, data: Any, depth: int) -> Any:
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
        if tag == "i" or tag in ("b", "y", "o"):
            return _from_text(tag, body)
        if tag == "c" and _list_of(body, 2, float):
            return complex(*body)
        if tag == "r" and type(body) is list and len(body) == 3:
            return range(*self.items(body, depth))
        if tag == "t":
            return tuple(self.items(body, depth))
        if tag in ("s", "z"):
            items = self.items(body, depth)
            _refuse_equal_hashes(items)
            return set(items) if tag == "s" else frozenset(items)
        if tag == "d" and type(body) is list and all(type(pair) is list and len(pair) == 2 for pair in body):
            keys = self.items([key for key, _ in body], depth)
            _refuse_equal_hashes(keys)
            return dict(zip(keys, self.items([item for _, item in body], depth), strict=True))
        return self.foreign(tag, body)

    def items(self, data: Any, depth: int) -> list[Any]:
        if type(data) is not list:
            raise BadValue("not a list")
        kinds = set(map(type, data))
        items = list(data) if kinds <= _PLAIN | {int} else [self.decode(item, depth + 1) for item in data]
        if len(items) > _SAME_ITEMS and not kinds <= _PLAIN:
            _refuse_made_to_collide(items)
        return items


def _list_of(body: Any, length: int, kind: type) -> bool:
    return type(body) is list and len(body) == length and all(type(item) is kind for item in body)


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


def _refuse_equal_hashes(keys: Iterable[Any]) -> None:
    """Raise BadValue if many keys share a hash: they make a dict or set quadratic, and only a deliberate choice of keys does that."""
    counts = Counter(map(hash, keys))
    if len(counts) and max(counts.values()) > _SAME_KEYS:
        raise BadValue("keys that collide")


def _refuse_made_to_collide(items: list[Any]) -> None:
    """The same for the items of a list, many of which may be equal."""
    hashes = [(hash(item), item) for item in items if type(item) in (int, float) or (type(item) is tuple and _hashable(item))]
    if not hashes:
        return
    common, count = Counter(number for number, _ in hashes).most_common(1)[0]
    if count > _SAME_ITEMS and len({json.dumps(encode(item)) for number, item in hashes if number == common}) > _SAME_ITEMS:
        raise BadValue("items that collide")


def _hashable(item: Any) -> bool:
    try:
        hash(item)
    except TypeError:
        return False
    return True


class Closed(Exception):
    """The other end has closed."""


class Channel:
    """Length-prefixed JSON messages over a stream socket, with a limit in bytes for each direction."""

    def __init__(self, link: socket.socket, send_limit: int, receive_limit: int) -> None:
        self.link = link
        self.send_limit = send_limit
        self.receive_limit = receive_limit

    def send(self, message: Any) -> None:
        """Send a message. Raises TooLarge if it is over the limit, Closed if the other end no longer reads."""
        body = json.dumps(message, separators=(",", ":")).encode("ascii")
        if len(body) > self.send_limit:
            raise TooLarge("too many bytes")
        try:
            self.link.sendall(_HEADER.pack(len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def receive(self) -> dict[str, Any]:
        """The next message. Raises Closed at the end, BadValue for anything that is not a message."""
        (size,) = _HEADER.unpack(self._exactly(_HEADER.size))
        if size > self.receive_limit:
            raise BadValue("a message of too many bytes")
        body = self._exactly(size)
        if body.count(b",") + body.count(b"[") + body.count(b"{") > 3 * MAX_NODES:
            raise BadValue("a message of too many values")
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise BadValue("a message that is not JSON") from None
        if type(message) is not dict:
            raise BadValue("a message that is not an object")
        return message

    def pending(self) -> bool:
        """Whether unrequested data is waiting."""
        return bool(select.select([self.link], [], [], 0)[0])

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = self.link.recv(min(size, 1 << 20))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
