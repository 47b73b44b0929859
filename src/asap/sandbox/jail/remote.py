"""The test code's end of the link to the solution's process: asks one question at a time, and trusts the answers only as values."""

import builtins
import importlib
import secrets
import sys
import types
import typing
from typing import Any

from asap.sandbox.jail.codec import BadValue, Channel, Closed
from asap.sandbox.jail.objects import Packer, Unpacker, checked_fault
from asap.sandbox.jail.proxy import Proxy, RemoteClass, made_class, made_object

_PLAIN_ARGUMENTS = (int, float, str, bool, type(None))


class Gone(BaseException):
    """The solution's process ended, or broke the protocol if `tampered` is set. A BaseException, so that test code does not catch it."""

    def __init__(self, tampered: str | None) -> None:
        super().__init__(tampered)
        self.tampered = tampered


class Remote:
    """The solution's process. `records` are the problem's own classes; `broken` is set for good once the process ended or lied."""

    def __init__(self, channel: Channel, capture: bool = False) -> None:
        self.channel = channel
        self.capture = capture
        self.records: dict[str, type] = {}
        self.calls = 0
        self.broken: Gone | None = None
        self._classes: dict[int, Any] = {}
        self._callbacks: list[Any] = []

    def wait_until_ready(self) -> dict[str, Any] | None:
        """What went wrong in the solution's code before the first call, or None."""
        message = self._receive()
        if message.get("ready") is True:
            return None
        return checked_fault(message.get("error"))

    def set_records(self, records: dict[str, type]) -> None:
        """Announce which classes are the problem's own."""
        self.records = records
        self.ask("records", args=[list(records)])

    def names(self) -> list[str]:
        """The public names in the solution's module: its `__all__`, if it has one."""
        names = self.ask("names")
        if type(names) is not list or not all(type(name) is str and name.isidentifier() for name in names):
            raise self._tampered("names that are none")
        return names

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object of the solution, and apply here the changes that it makes to lists and other arguments."""
        self.calls += 1
        return self.ask("call", target=number, args=list(args), kwargs=kwargs)

    def ask(self, operation: str, *, target: int = 0, name: str = "", args: list[Any] | None = None, kwargs: Any = None) -> Any:
        """The answer to one question; raises what the solution raised."""
        if self.broken is not None:
            raise self.broken
        args, kwargs = args or [], kwargs or {}
        identifier = secrets.token_hex(8)
        packer = Packer(self.records, self._encode)
        message = {"id": identifier, "op": operation, "target": target, "name": name, "capture": self.capture}
        message |= {"args": packer.pack(args), "kwargs": packer.pack(kwargs)}
        message |= {"watch": any(not isinstance(item, _PLAIN_ARGUMENTS) for item in args), "heap": packer.heap()}
        if self.channel.pending():
            raise self._tampered("an answer before its question")
        self._send(message)
        reply = self._receive()
        while "callback" in reply:
            self._call_back(reply, identifier)
            reply = self._receive()
        if reply.get("id") != identifier:
            raise self._tampered("an answer to another question")
        return self._taken(reply, args, packer, name)

    def _taken(self, reply: dict[str, Any], args: list[Any], packer: Packer, name: str) -> Any:
        """The value in an answer; if it reports an exception, raises that."""
        error: BaseException
        try:
            if self.capture and type(reply.get("printed")) is str:
                sys.stdout.write(reply["printed"])
            if "error" in reply:
                error = self._error(checked_fault(reply["error"]), reply["error"].get("class"), name)
            else:
                unpacker = Unpacker(self._decode, self._blank, packer.objects)
                unpacker.load(reply.get("heap", []))
                if "args" in reply:
                    _update(args, unpacker.unpack(reply["args"]))
                return unpacker.unpack(reply["value"])
        except (BadValue, LookupError, TypeError, ValueError) as wrong:
            raise self._tampered(str(wrong)) from None
        raise error

    def _error(self, fault: dict[str, Any], kind: Any, name: str) -> BaseException:
        """The exception to raise here for one raised there. It carries its `fault`, by which the runner recognises it."""
        above = [getattr(builtins, base, None) for base in fault["above"]]
        base = next((it for it in above if isinstance(it, type) and issubclass(it, Exception | SystemExit)), Exception)
        if base in (StopIteration, StopAsyncIteration) and name != "__next__":
            base = RuntimeError  # it would end a loop in the test code, and the test with it
        own = None if kind is None else self._known_class(kind, base)
        if isinstance(own, type) and issubclass(own, Exception) and base is not StopIteration:
            base = own
        try:
            error: Any = base(fault["message"])
        except TypeError:  # UnicodeDecodeError and others take more arguments
            error = Exception(fault["message"])
        error.fault = fault
        return typing.cast(BaseException, error)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self.channel.send(message)
        except (Closed, OSError):
            self.broken = Gone(None)
            raise self.broken from None

    def _receive(self) -> dict[str, Any]:
        try:
            return self.channel.receive()
        except (Closed, OSError):
            self.broken = Gone(None)
            raise self.broken from None
        except BadValue as error:
            raise self._tampered(str(error)) from None

    def _tampered(self, what: str) -> Gone:
        self.broken = Gone(what)
        return self.broken

    def _encode(self, thing: Any) -> Any:
        if isinstance(thing, RemoteClass):
            return {"h": thing._asap_class[1]}
        if isinstance(thing, Proxy):
            return {"h": thing._asap_number}
        name = str(getattr(thing, "__name__", ""))
        if isinstance(thing, types.BuiltinFunctionType | type) and getattr(builtins, name, None) is thing:
            return {"f": name}
        if callable(thing):
            self._callbacks.append(thing)
            return {"k": len(self._callbacks) - 1}
        if hasattr(thing, "__iter__"):
            return self._packed_iterator(thing)
        return {"o": type(thing).__name__}

    def _packed_iterator(self, thing: Any) -> Any:
        return Packer(self.records, self._encode).pack(list(thing))

    def _call_back(self, message: dict[str, Any], identifier: str) -> None:
        """Answer the solution's call of a function that the test code passed to it."""
        number = message.get("callback")
        if message.get("id") != identifier or type(number) is not int or not 0 <= number < len(self._callbacks):
            raise self._tampered("a call of nothing")
        unpacker = Unpacker(self._decode, self._blank)
        try:
            unpacker.load(message.get("heap", []))
            args, kwargs = unpacker.unpack(message["args"]), unpacker.unpack(message["kwargs"])
            if type(args) is not list or type(kwargs) is not dict:
                raise BadValue("no arguments")
        except (BadValue, KeyError) as error:
            raise self._tampered(str(error)) from None
        packer = Packer(self.records, self._encode)
        try:
            answer = {"returned": packer.pack(self._callbacks[number](*args, **kwargs))}
        except Exception as error:  # the other side handles whatever a callback raises
            answer = {"returned": None, "raised": type(error).__name__, "message": str(error)[:300]}
        self._send({**answer, "heap": packer.heap()})

    def _decode(self, tag: str, body: Any) -> Any:
        if tag == "h" and type(body) is list and len(body) == 2 and type(body[0]) is int:
            kind = self._known_class(body[1], None)
            return made_object(kind, self, body[0])
        if tag == "C":
            return self._known_class(body, None)
        if tag == "m" and type(body) is list and len(body) == 2 and type(body[0]) is str:
            return _imported(body[0], body[1])
        raise BadValue("no such tag")

    def _known_class(self, described: Any, base: type | None) -> Any:
        """The local class for one of the solution's."""
        if type(described) is not list or len(described) != 5:
            raise BadValue("not a class")
        number, name, error, special, above = described
        if type(number) is not int or type(name) is not str or type(special) is not list or type(above) is not list:
            raise BadValue("not a class")
        if number not in self._classes:
            builtin = getattr(builtins, error, None) if type(error) is str else base
            if isinstance(builtin, type) and issubclass(builtin, Exception):
                known = [self._classes[base] for base in above[1:] if type(base) is int and base in self._classes]
                bases = tuple(kind for kind in known[:1] if issubclass(kind, builtin)) or (builtin,)
                self._classes[number] = type(name, bases, {})
            else:
                self._classes[number] = made_class(self, number, name, special, above)
        return self._classes[number]

    def _blank(self, name: str) -> Any:
        if name not in self.records:
            raise BadValue("no such class")
        kind = self.records[name]
        blank: Any = kind.__new__
        return blank(kind)


def _imported(module: str, name: Any) -> Any:
    """A module of the standard library, or a name of typing: a solution's module holds such names from its imports."""
    if module.partition(".")[0] not in sys.stdlib_module_names:
        raise BadValue("no such module")
    if name is None:
        return importlib.import_module(module)
    if module != "typing" or type(name) is not str or not hasattr(typing, name):
        raise BadValue("no such name")
    return getattr(typing, name)


def _update(old: Any, new: Any) -> None:
    """Turn `old`, an argument, into `new`, the solution's version of it, in place and as deep as their shapes agree."""
    if type(old) is not type(new):
        return
    if isinstance(old, list):
        same = len(old) == len(new)
        for index, item in enumerate(new if same else ()):
            if type(old[index]) is type(item) and isinstance(item, list | dict | set | bytearray):
                _update(old[index], item)
            elif type(old[index]) in _PLAIN_ARGUMENTS or type(item) in _PLAIN_ARGUMENTS:
                old[index] = item
        if not same:
            old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray):
        old[:] = new
