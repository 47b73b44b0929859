"""The solution's process: runs its code, then answers calls, one at a time. Its answers are only claims.

A message names its target by number (0 is the module, 1 the entry point, the others are objects returned earlier) and carries a
fresh random identifier that the answer repeats.
"""

import builtins
import io
import re
import sys
import types
from typing import Any

from asap.sandbox.jail.codec import BadValue, Channel, TooLarge
from asap.sandbox.jail.objects import Packer, Unpacker
from asap.sandbox.jail.script import compiled, new_module

_ENTRY_POINT = re.compile(r"([^\W\d]\w*)(\(\))?((?:\.[^\W\d]\w*)*)")
_PRINTED = 1 << 16  # characters of captured output in one answer
_LOOKS = (
    "__len__ __iter__ __next__ __getitem__ __setitem__ __delitem__ __contains__ __call__ __bool__ __str__ __repr__ __hash__ __enter__ "
    "__exit__ __int__ __float__ __index__"
)
_COMPARISONS = "__eq__ __lt__ __le__ __gt__ __ge__"
_ARITHMETIC = (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __floordiv__ __mod__ __pow__ __matmul__ __neg__ __abs__ "
    "__invert__ __and__ __or__ __xor__"
)
COMPARISONS, ARITHMETIC = frozenset(_COMPARISONS.split()), frozenset(_ARITHMETIC.split())
SPECIAL = COMPARISONS | ARITHMETIC | frozenset(_LOOKS.split())


def fault(error: BaseException) -> dict[str, Any]:
    """An exception described for the other side: its class, the builtin classes above it, its message."""
    try:
        message = str(error)[:300]
    except Exception:  # its own __str__ may raise anything
        message = ""
    above = [kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    number = error.errno if isinstance(error, OSError) else None
    return {"type": type(error).__name__[:80], "above": above, "message": message, "errno": number if type(number) is int else None}


def serve(channel: Channel) -> None:
    """Run the code of the first message, then answer until the other side closes."""
    first = channel.receive()
    module = new_module("solution", first["code"])
    try:
        exec(compile(first["prelude"], "problem.py", "exec", dont_inherit=True), module.__dict__)
        exec(compiled(first["code"]), module.__dict__)
        entry = _entry_point(module, first["entry"])
    except BaseException as error:  # a solution may raise anything, SystemExit too
        channel.send({"error": fault(error)})
        return
    channel.send({"ready": True})
    server = _Server(channel, module, entry)
    while True:
        server.answer(channel.receive())


def _entry_point(module: types.ModuleType, name: str | None) -> Any:
    """The object named by `f`, `Class.method` or `Class().method`; a class is instantiated once, without arguments."""
    if name is None:
        return None
    match = _ENTRY_POINT.fullmatch(name)
    if match is None:
        raise NameError(f"{name!r} is no entry point")
    try:
        thing = getattr(module, match[1])
    except AttributeError:
        raise NameError(f"name {match[1]!r} is not defined") from None
    if match[2] or (isinstance(thing, type) and match[3]):
        thing = thing()
    for attribute in match[3].split(".")[1:]:
        thing = getattr(thing, attribute)
    return thing


class _Server:
    """Answers calls, and reads and writes of attributes, on the objects that the other side knows by number."""

    def __init__(self, channel: Channel, module: types.ModuleType, entry: Any) -> None:
        self.channel = channel
        self.objects: list[Any] = [module, entry]
        self.numbers: dict[int, int] = {}
        self.records: list[str] = []
        self.module = module
        self.id: Any = None

    def answer(self, message: dict[str, Any]) -> None:
        self.id = message["id"]
        unpacker = Unpacker(self._decode, self._blank)
        printed = io.StringIO() if message.get("capture") else None
        try:
            unpacker.load(message.get("heap", []))
            args = unpacker.unpack(message.get("args", []))
            kwargs = unpacker.unpack(message.get("kwargs", {"d": []}))
            result = self._printing(printed, message, args, kwargs)
            reply = self._result(message, result, args, unpacker)
        except BaseException as error:  # as above; the exception is the answer
            reply = {"error": self._fault(error)}
        if printed is not None:
            reply["printed"] = printed.getvalue()[:_PRINTED]
        try:
            self.channel.send({"id": message["id"], **reply})
        except TooLarge as error:
            self.channel.send({"id": message["id"], "error": self._fault(error)})

    def _printing(self, printed: io.StringIO | None, message: dict[str, Any], args: Any, kwargs: Any) -> Any:
        if printed is None:
            return self._do(message, args, kwargs)
        before, sys.stdout = sys.stdout, printed
        try:
            return self._do(message, args, kwargs)
        finally:
            sys.stdout = before

    def _do(self, message: dict[str, Any], args: Any, kwargs: Any) -> Any:
        operation, thing = message["op"], self.objects[message.get("target", 0)]
        if operation == "call":
            return thing(*args, **kwargs)
        if operation == "get":
            return getattr(thing, message["name"])
        if operation == "set":
            return setattr(thing, message["name"], args[0])
        if operation == "delete":
            return delattr(thing, message["name"])
        if operation == "special":
            return getattr(type(thing), message["name"])(thing, *args, **kwargs)
        if operation == "records":
            self.records = args[0]
            return None
        return [name for name in getattr(thing, "__all__", vars(thing)) if not name.startswith("_")]

    def _result(self, message: dict[str, Any], result: Any, args: Any, unpacker: Unpacker) -> dict[str, Any]:
        packer = Packer(self.records, self._encode, unpacker.objects)
        reply = {"value": packer.pack(result)}
        if message.get("watch"):
            after = packer.pack(args)
            if after != message["args"]:
                reply["args"] = after
        if packer.objects:
            reply["heap"] = packer.heap()
        return reply

    def _blank(self, name: str) -> Any:
        kind = getattr(self.module, name)
        return kind.__new__(kind)

    def _fault(self, error: BaseException) -> dict[str, Any]:
        kind = type(error)
        described = fault(error)
        return described if getattr(builtins, kind.__name__, None) is kind else {**described, "class": self._class(kind)}

    def _encode(self, thing: Any) -> Any:
        """An object as its number and the description of its class; modules and names of typing by name."""
        if isinstance(thing, types.ModuleType) and thing.__name__.partition(".")[0] in sys.stdlib_module_names:
            return {"m": [thing.__name__, None]}
        if getattr(thing, "__module__", None) == "typing" and isinstance(getattr(thing, "__name__", None), str):
            return {"m": ["typing", thing.__name__]}
        if isinstance(thing, type):
            return {"C": self._class(thing)}
        return {"h": [self._number(thing), self._class(type(thing))]}

    def _number(self, thing: Any) -> int:
        if id(thing) not in self.numbers:
            self.numbers[id(thing)] = len(self.objects)
            self.objects.append(thing)
        return self.numbers[id(thing)]

    def _class(self, kind: type) -> list[Any]:
        """A class as its number, name, builtin exception (or None), special methods, and the numbers of it and its bases."""
        above = [base for base in kind.__mro__ if base is not object]
        error = next((base.__name__ for base in above if getattr(builtins, base.__name__, None) is base), None)
        special = sorted(name for name in SPECIAL if any(vars(base).get(name) is not None for base in above))
        is_error = issubclass(kind, BaseException)
        numbers = [self._number(base) for base in above if base.__module__ == "solution"]
        return [self._number(kind), kind.__name__[:80], error if is_error else None, special, numbers]

    def _decode(self, tag: str, body: Any) -> Any:
        if tag == "h":
            return self.objects[body]
        if tag == "f":
            return getattr(builtins, body)
        if tag == "k":
            return lambda *args, **kwargs: self._call_back(body, args, kwargs)
        raise BadValue(tag)

    def _call_back(self, number: int, args: Any, kwargs: Any) -> Any:
        """Call a function of the test code, which may in turn call the solution."""
        waiting = self.id
        packer = Packer(self.records, self._encode)
        packed = {"args": packer.pack(list(args)), "kwargs": packer.pack(kwargs)}
        self.channel.send({"id": waiting, "callback": number, **packed, "heap": packer.heap()})
        while "returned" not in (message := self.channel.receive()):
            self.answer(message)
        self.id = waiting
        unpacker = Unpacker(self._decode, self._blank)
        unpacker.load(message.get("heap", []))
        if "raised" in message:
            raise getattr(builtins, message["raised"], RuntimeError)(message["message"])
        return unpacker.unpack(message["returned"])
