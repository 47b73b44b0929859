"""Objects that cross between test code and a solution: records by value, everything else by number.

A record is an object of a class that the problem itself defines (ListNode, TreeNode). A message lists each of its records once in
its `heap`, as [class, {field: value}], and values refer to them by index, which preserves shared nodes, cycles and long lists.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from asap.sandbox.jail.codec import BadValue, TooLarge, decode, encode

_MAX_RECORDS = 500_000


class Packer:
    """Encodes one message. `own` encodes values that are neither plain nor records; `known` holds the records of the previous message."""

    def __init__(self, records: Collection[str], own: Callable[[Any], Any], known: Iterable[Any] = ()) -> None:
        self.records = records
        self.own = own
        self.objects = list(known)
        self._index = {id(thing): index for index, thing in enumerate(self.objects)}

    def pack(self, value: Any) -> Any:
        """The JSON form of a value. Once all values are packed, `heap` has their records."""
        return encode(value, self._foreign)

    def heap(self) -> list[list[Any]]:
        """All records, including those that only other records refer to."""
        packed = []
        for thing in self.objects:  # grows during the loop
            fields = {str(name): self.pack(value) for name, value in _fields(thing).items()}
            packed.append([type(thing).__name__, fields])
        return packed

    def _foreign(self, value: Any) -> Any:
        if type(value).__name__ not in self.records:
            return self.own(value)
        if id(value) not in self._index:
            if len(self.objects) >= _MAX_RECORDS:
                raise TooLarge("too many objects")
            self._index[id(value)] = len(self.objects)
            self.objects.append(value)
        return {"n": self._index[id(value)]}


class Unpacker:
    """Decodes one message. `own(tag, body)` decodes what is not a record; `make(class name)` creates an empty record."""

    def __init__(self, own: Callable[[str, Any], Any], make: Callable[[str], Any], known: Iterable[Any] = ()) -> None:
        self.own = own
        self.make = make
        self.objects = list(known)

    def load(self, heap: Any) -> None:
        """Create the records of a message, or update the fields of known ones."""
        if type(heap) is not list or not all(type(entry) is list and len(entry) == 2 and type(entry[1]) is dict for entry in heap):
            raise BadValue("not a heap")
        self.objects += [self.make(name) for name, _ in heap[len(self.objects) :]]
        for thing, (_, fields) in zip(self.objects, heap, strict=False):
            for name, data in fields.items():
                object.__setattr__(thing, name, self.unpack(data))

    def unpack(self, data: Any) -> Any:
        """The value of a JSON form."""
        return decode(data, self._foreign)

    def _foreign(self, tag: str, body: Any) -> Any:
        if tag != "n":
            return self.own(tag, body)
        if type(body) is not int or not 0 <= body < len(self.objects):
            raise BadValue("no such object")
        return self.objects[body]


def _fields(thing: Any) -> dict[str, Any]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()) if name != "__dict__"]
    return {**{name: getattr(thing, name) for name in slots if hasattr(thing, name)}, **getattr(thing, "__dict__", {})}


def checked_fault(data: Any) -> dict[str, Any]:
    """The other side's description of an exception, reduced to its valid parts."""
    if type(data) is not dict:
        raise BadValue("not an exception")
    above = data.get("above")
    return {
        "type": str(data.get("type"))[:80],
        "above": [name for name in above if type(name) is str] if type(above) is list else [],
        "message": str(data.get("message"))[:300],
        "errno": data.get("errno") if type(data.get("errno")) is int else None,
    }
