"""One end of the link between test code and a solution: which objects both processes know, and messages that refer to them.

Values are copied. Everything else has a number, even for the solution's objects, odd for those of the tests; a message introduces a
number once, in its `heap`. A mutable container is in both processes: each message brings its new content if that has changed, so
that identity, sharing, cycles and changes in place are as in one process. Containers that the message does not refer to are
followed only while they are few. An end drops a number once nothing else refers to its object, and tells the other.
"""

import sys
from collections.abc import Coroutine
from typing import Any

from asap.sandbox.jail.codec import BadValue, Channel, Decoder
from asap.sandbox.jail.containers import FIELDS, RECORD, blank, container_type, content_of, is_body, is_hashing, is_pinned, unchanged
from asap.sandbox.jail.packing import ENTRY, MODULE, MOST_THINGS, Known, Packing

_OFTEN = 256  # things that are looked through with every message
ALONE = 2  # references to an object that only the table of things holds


class Link(Known):
    """What both ends share. Subclasses say how to describe an object to the other end, and how to make one of a description."""

    def __init__(self, channel: Channel, own: int) -> None:
        super().__init__(own)
        self.channel = channel
        self.decoder = Decoder(self._referred, named=True)
        self._pending: dict[int, Any] = {}
        self._survived = 0

    def made(self, number: int, tag: str, content: Any) -> Any:
        """The object that stands here for one of the other end."""
        raise NotImplementedError

    trusting = False
    """Whether the other end may judge values of this one."""

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call of the other end's object returns."""
        raise NotImplementedError

    def misses(self, what: str) -> None:
        """Note what never works from another process."""

    def lacks(self, what: str) -> None:
        """Note what an object of the other process is not asked."""

    def awaited(self, number: int) -> Coroutine[Any, Any, Any]:
        """A coroutine that waits for the other end's."""
        raise NotImplementedError

    def ask(self, operation: str, *, target: int = MODULE, name: str = "", args: Any = (), kwargs: Any = None) -> Any:
        """What an operation on the other end's object returns."""
        raise NotImplementedError

    def common(self, name: Any) -> Any:
        """A function that both ends have. Raises BadValue."""
        raise BadValue("no such function")

    def empty_record(self, name: Any) -> Any:
        """A record without fields."""
        raise NotImplementedError

    def packing(self, fresh: bool = False, **values: Any) -> "Packing":
        """A message with these values and the news of what they refer to. `fresh`: nothing but the caller holds the value."""
        made = Packing(self, fresh)
        try:
            made.message = {name: made.encoder.encode(value) for name, value in values.items()}
            made.finish()
        except BaseException:
            made.undo()
            raise
        return made

    def loaded(self, message: dict[str, Any]) -> None:
        """Take in the news of a message. Raises BadValue."""
        heap = message.get("heap", [])
        if type(heap) is not list or not all(type(entry) is list and len(entry) == 2 and type(entry[0]) is int for entry in heap):
            raise BadValue("not a heap")
        for number, body in heap:
            if number not in self.things:
                if number % 2 == self.own or number < 0 or len(self.things) > 2 * MOST_THINGS:
                    raise BadValue("not a number to give")
                self._pending[number] = body
        last = []
        for number, body in heap:
            if type(self._resolved(number)) is list and type(body) is list:
                self._fill_list(number, body)
            elif content_of(body) is not None:
                last.append((number, body))
        for number, body in sorted(last, key=lambda entry: is_hashing(entry[1])):
            self._fill(number, body)

    def decoded(self, data: Any) -> Any:
        """A value of the message that was loaded. Raises BadValue."""
        return self.decoder.decode(data)

    def dropped(self, message: dict[str, Any]) -> None:
        """Forget what the other end has dropped."""
        numbers = message.get("dropped", [])
        if type(numbers) is not list or not all(type(number) is int and number > ENTRY for number in numbers):
            raise BadValue("not numbers")
        for number in numbers:
            self.forget(number)

    def sweep(self, packing: "Packing | None") -> list[int]:
        """Drop what only this table still holds, and return its numbers for the other end. The message brings its last changes."""
        if _OFTEN < len(self.things) <= 2 * self._survived:
            return []
        count, things = sys.getrefcount, self.things
        dropped = [
            number for number in list(things) if number in things and count(things[number]) <= ALONE and self._dropped(number, packing)
        ]
        self._survived = len(things)
        return dropped

    def _dropped(self, number: int, packing: "Packing | None") -> bool:
        """Whether an object that nothing else refers to may be forgotten; if so, forget it."""
        if number in self.before:
            told = packing is not None and packing.tells(number)
            if (number % 2 == self.own and is_pinned(self.things[number])) or not (told or self._is_unchanged(number)):
                return False
        elif number % 2 == self.own:
            return False  # the other end may ask for it at any time
        self.forget(number)
        return True

    def _is_unchanged(self, number: int) -> bool:
        kind = self.kind(self.things[number])
        return kind is not None and unchanged(kind, kind.parts(self.things[number]), self.before[number])

    def _referred(self, tag: str, number: Any) -> Any:
        if tag == "common":
            return self.common(number)
        if tag != "n" or type(number) is not int:
            raise BadValue(f"no such tag: {tag[:20]!a}")
        return self._resolved(number)

    def _resolved(self, number: int) -> Any:
        if number in self.things:
            return self.things[number]
        if number not in self._pending:
            raise BadValue("no such object")
        body = self._pending.pop(number)
        thing = [] if type(body) is list else self._created(number, body)
        self.register(number, thing)
        return thing

    def _fill_list(self, number: int, body: list[Any]) -> None:
        new = self.decoder.decode(body)
        self.things[number][:] = new
        self.before[number] = new

    def _created(self, number: int, body: Any) -> Any:
        if is_body(body):
            return blank(body, self.decoder)
        if type(body) is not dict or len(body) != 1:
            raise BadValue("not an object")
        ((tag, content),) = body.items()
        if tag == "record" and content[0] in FIELDS:
            return FIELDS[content[0]].__new__(FIELDS[content[0]])
        if tag == "record":
            return self.empty_record(content[0])
        return self.made(number, tag, content)

    def _fill(self, number: int, body: Any) -> None:
        thing = self.things[number]
        kind = self.kind(thing)
        inner = content_of(body)
        if kind is None:
            raise BadValue("no container")
        if kind is RECORD:
            kind.refill(thing, {name: self.decoded(item) for name, item in inner.items()})
        else:
            new = self.decoded(inner)
            if type(new) not in (type(thing), container_type(type(thing))):
                raise BadValue("another container")
            kind.refill(thing, new)
        self.before[number] = kind.parts(thing)
