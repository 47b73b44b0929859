"""One message in the making: values, and the news of the objects that they refer to."""

import sys
from typing import Any

from asap.sandbox.jail.arrays import sorted_of
from asap.sandbox.jail.codec import Encoder, TooLarge, ndarray_body, sorted_body
from asap.sandbox.jail.containers import FIELDS, KINDS, RECORD, Handling, container_type, fields_of, kind_of, unchanged
from asap.sandbox.jail.generators import let_go
from asap.sandbox.jail.names import by_name

MODULE, ENTRY = 0, 2
MOST_THINGS = 1_000_000
_FOLLOWED, _FOLLOWED_PARTS = 1000, 10_000
_PLAIN = {bool, str, float, type(None), int}
Body = dict[str, Any]


def _references(thing: list[Any]) -> int:
    """References to an item that one list and its copy hold, as `_fresh_body` sees them."""
    parts = list.copy(thing)
    for part in parts:
        return sys.getrefcount(part)
    return 0


_LIST = list
_IN_FRESH = _references([object()])


class Known:
    """The objects that both ends know: by number, and `before`, what each container referred to at the last message."""

    def __init__(self, own: int) -> None:
        self.own = own  # 0: this end gives even numbers, 1: odd ones
        self.things: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.before: dict[int, list[Any]] = {}
        self.records: tuple[str, ...] = ()
        self._last = ENTRY + own

    def describe(self, thing: Any, packing: "Packing") -> Body:
        """What the other end has to know of an object of this one."""
        raise NotImplementedError

    def register(self, number: int, thing: Any) -> None:
        """Know an object by a number."""
        self.things[number] = thing
        self.numbers[id(thing)] = number

    def given(self, thing: Any) -> int:
        """A new number for an object of this end."""
        if len(self.things) > MOST_THINGS:
            raise TooLarge("too many objects")
        self._last += 2
        self.register(self._last, thing)
        return self._last

    def forget(self, number: int) -> None:
        """No longer know a number."""
        self.before.pop(number, None)
        thing = self.things.pop(number, None)
        let_go(thing)
        if self.numbers.get(id(thing)) == number:
            del self.numbers[id(thing)]

    def kind(self, thing: Any) -> Handling | None:
        """How to handle an object whose content is in both processes; None if it is in one."""
        kind = type(thing)
        if kind in KINDS:
            return KINDS[kind]
        return RECORD if kind.__name__ in self.records or kind in FIELDS.values() else kind_of(thing)

    def named(self, thing: Any) -> Body | None:
        """What the other end has under the same name."""
        return by_name(thing)


class Packing:
    """One message in the making."""

    def __init__(self, link: Known, fresh: bool = False) -> None:
        self.link = link
        self._fresh = set[int]()
        self._is_fresh = fresh
        self.encoder = Encoder(self._foreign, self._shared)
        self.message: dict[str, Any] = {}
        self._heap: list[Any] = []
        self._queue: list[int] = []
        self._seen: set[int] = set()
        self._given: list[int] = []

    def finish(self) -> None:
        """Add the news of all containers to the message."""
        if self._is_fresh:
            self._fresh.update(self._queue)
        self._drain()
        before = self.link.before
        if len(before) <= _FOLLOWED and sum(map(len, before.values())) <= _FOLLOWED_PARTS:
            for number in list(before):
                self._touch(number)
            self._drain()
        self.message["heap"] = self._heap

    def undo(self) -> None:
        """The message is not sent: the other end learns of none of it."""
        for number in self._seen:
            self.link.before[number] = [object()]
        for number in self._given:
            self.link.forget(number)

    def tells(self, number: int) -> bool:
        """Whether the message brings what is new of a container."""
        return number in self._seen

    def class_of(self, thing: Any) -> Any:
        """The reference to an object's class as one of this end, even if the other has it too."""
        return self._numbered(type(thing))

    def _shared(self, value: Any) -> Any:
        number = self.link.numbers.get(id(value))
        if number is None:
            number = self._new(value)
        self._touch(number)
        return {"n": number}

    def _foreign(self, value: Any) -> Any:
        named = self.link.named(value) if issubclass(type(value), type) else None
        if named is not None:
            return named
        if id(value) in self.link.numbers:
            number = self.link.numbers[id(value)]
            if number in self.link.before:
                self._touch(number)
            return {"n": number}
        if self.link.kind(value) is not None:
            return self._shared(value)
        return self.link.named(value) or self._numbered(value)

    def _numbered(self, value: Any) -> Any:
        if id(value) not in self.link.numbers:
            number = self._new(value)
            self._heap.append([number, self.link.describe(value, self)])
        return {"n": self.link.numbers[id(value)]}

    def _new(self, value: Any) -> int:
        number = self.link.given(value)
        self._given.append(number)
        return number

    def _touch(self, number: int) -> None:
        if number not in self._seen:
            self._seen.add(number)
            self._queue.append(number)

    def _drain(self) -> None:
        while self._queue:
            self._visit(self._queue.pop())

    def _visit(self, number: int) -> None:
        thing = self.link.things[number]
        kind = self.link.kind(thing)
        assert kind is not None
        parts, before = kind.parts(thing), self.link.before.get(number)
        if before is None or not unchanged(kind, parts, before):
            self.link.before[number] = parts
            self._heap.append([number, self._fresh_body(thing, parts) if number in self._fresh else self._body(thing, kind)])
        elif not kind.compact:
            for part in parts:
                if type(part) not in _PLAIN:
                    self.encoder.encode(part)

    def _fresh_body(self, thing: Any, parts: list[Any]) -> Any:
        """The content of a list that only this message holds. Its lists of plain values, if only it holds them, need no number."""
        if type(thing) is not list:
            kind = self.link.kind(thing)
            assert kind is not None
            return self._body(thing, kind)
        if _LIST not in set(map(type, parts)):
            return self.encoder.items(parts, 0)
        self.encoder.count(parts)
        body = list[Any]()
        for part in parts:
            if type(part) is not list or sys.getrefcount(part) > _IN_FRESH:
                body.append(self.encoder.encode(part))
            elif set(map(type, part)) <= _PLAIN:
                body.append(self.encoder.items(part, 0))
            else:
                body.append(self._shared(part))
                self._fresh.add(self.link.numbers[id(part)])
        return body

    def _body(self, thing: Any, kind: Handling) -> Any:
        if kind is RECORD:
            return {"record": [type(thing).__name__, {name: self.encoder.encode(item) for name, item in fields_of(thing).items()}]}
        if sorted_of(thing) is not None:
            return sorted_body(self.encoder, thing)
        if type(thing) is list:
            return self.encoder.items(list.copy(thing), 0)
        base = container_type(type(thing))
        if base is None:
            return ndarray_body(self.encoder, thing)
        body = self.encoder.body(thing, base)
        return body if type(thing) is base else {"sub": [self.class_of(thing), body]}
