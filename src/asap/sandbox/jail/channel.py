"""Messages between processes: JSON of bounded size over a stream socket."""

import _json
import json
import select
import socket
import struct
from typing import Any

from asap.sandbox.jail.limits import MAX_NODES
from asap.sandbox.jail.limits import BadValue as BadValue
from asap.sandbox.jail.limits import TooLarge as TooLarge

_HEADER = struct.Struct(">I")
TRUSTED = 1 << 30  # bytes of a message from our own code


class Closed(Exception):
    """The other end has closed."""


def _no_json(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} in a message")


# C functions, held here so that a solution may patch the modules `json`, `socket` and `builtins` as it likes
_to_json: Any = _json.make_encoder(None, _no_json, _json.encode_basestring_ascii, None, ":", ",", False, False, True)
_from_json: Any = _json.make_scanner(json.JSONDecoder())  # type: ignore[arg-type]
_poll, _POLLIN = select.poll, select.POLLIN
_send, _receive = socket.socket.sendall, socket.socket.recv
_size = len


class Channel:
    """Length-prefixed JSON messages over a stream socket, with a limit in bytes for each direction."""

    def __init__(self, link: socket.socket, send_limit: int, receive_limit: int) -> None:
        self.link = link
        self.send_limit = send_limit
        self.receive_limit = receive_limit

    def send(self, message: Any) -> None:
        """Send a message. Raises TooLarge if it is over the limit, Closed if the other end no longer reads."""
        body = "".join(_to_json(message, 0)).encode("ascii")
        if _size(body) > self.send_limit:
            raise TooLarge("too many bytes")
        if _values_in(body) > 3 * MAX_NODES:
            raise TooLarge("too many values")
        try:
            _send(self.link, _HEADER.pack(_size(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def receive(self) -> dict[str, Any]:
        """The next message. Raises Closed at the end, BadValue for anything that is not a message."""
        (size,) = _HEADER.unpack(self._exactly(_HEADER.size))
        if size > self.receive_limit:
            raise BadValue("a message of too many bytes")
        body = self._exactly(size)
        if _values_in(body) > 3 * MAX_NODES:
            raise BadValue("a message of too many values")
        try:
            text = body.decode("ascii")
            message, end = _from_json(text, 0)
        except (ValueError, RecursionError, StopIteration):
            raise BadValue("a message that is not JSON") from None
        if type(message) is not dict or end != len(text):
            raise BadValue("a message that is not an object")
        return message

    def pending(self) -> bool:
        """Whether unrequested data is waiting."""
        poll = _poll()
        poll.register(self.link, _POLLIN)
        return bool(poll.poll(0))

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = _receive(self.link, min(size, 1 << 20))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed
            parts.append(part)
            size -= _size(part)
        return b"".join(parts)


def _values_in(body: bytes) -> int:
    """At least how many values a message holds, before it is parsed."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")
