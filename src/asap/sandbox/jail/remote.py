"""The test code's end of the link to the solution's process: asks one question at a time, and trusts the answers only as values."""

import asyncio
import builtins
import secrets
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asap.sandbox.jail.codec import BadValue, Channel, Closed
from asap.sandbox.jail.faults import checked_fault, fault, plain_error
from asap.sandbox.jail.link import Link
from asap.sandbox.jail.names import by_name, loaded
from asap.sandbox.jail.packing import MODULE, Packing
from asap.sandbox.jail.proxy import Function, RemoteClass
from asap.sandbox.jail.special import GENERATOR_STEPS, READABLE, SPECIAL, described, signature_of
from asap.sandbox.jail.standing import made

_ENDS = (StopIteration, StopAsyncIteration)
_FUNCTIONS = (types.BuiltinFunctionType, types.FunctionType)


class Gone(BaseException):
    """The solution's process ended, or broke the protocol if `tampered` is set. A BaseException, so that test code does not catch it."""

    def __init__(self, tampered: str | None) -> None:
        super().__init__(tampered)
        self.tampered = tampered


class Remote(Link):
    """The solution's process. `broken` is set for good once the process ended or lied.

    `needs` is what the tests themselves did that takes one process for both, `lacking` what an object of the solution would have decided.
    """

    trusting = False

    def __init__(self, channel: Channel, capture: bool = False) -> None:
        super().__init__(channel, own=1)
        self.capture = capture
        self.calls = 0
        self.broken: Gone | None = None
        self.needs: str | None = None
        self.lacking: list[str] = []
        self._records: dict[str, type] = {}

    def wait_until_ready(self) -> dict[str, Any] | None:
        """What went wrong in the solution's code before the first call, or None."""
        message = self._receive()
        if message.get("ready") is True:
            return None
        return checked_fault(message.get("error"))

    def set_records(self, records: dict[str, type]) -> None:
        """Announce which classes are the problem's own."""
        self.ask("records", args=(tuple(records),))
        self._records = records
        self.records = tuple(records)

    def names(self) -> list[str]:
        """The public names in the solution's module: its `__all__`, if it has one."""
        names = self.ask("names")
        if type(names) is not tuple or not all(type(name) is str and name.isidentifier() for name in names):
            raise self._tampered("names that are none")
        return list(names)

    def entry(self, name: str) -> Any:
        """What the tests call: a proxy, or a type that both processes have."""
        try:
            found = self.ask("entry")
        except Exception:  # it does not say what it is, but it may still be called
            return Function(self, name)
        if type(found) is Function or isinstance(found, RemoteClass):
            return found
        if isinstance(found, type):
            self.calls += 1  # it is the solution's answer, and the tests' own process can call it
            return found
        return Function(self, name)

    def misses(self, what: str) -> None:
        """Note what the tests do that never works from another process."""
        self.needs = self.needs or what[:200]

    def lacks(self, what: str) -> None:
        """Note what a solution's object is not asked."""
        if not self.lacking:
            self.lacking.append(what[:200])

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object of the solution. What it changes in lists and other arguments is changed here too."""
        self.calls += 1
        return self.ask("call", target=number, args=args, kwargs=kwargs)

    def ask(self, operation: str, *, target: int = MODULE, name: str = "", args: Any = (), kwargs: Any = None) -> Any:
        """The answer to one question; raises what the solution raised."""
        if self.broken is not None:
            raise self.broken
        identifier = secrets.token_hex(8)
        packing = self.packing(args=tuple(args), kwargs=tuple((kwargs or {}).items()))
        message = {"id": identifier, "op": operation, "target": target, "name": name, "capture": self.capture, **packing.message}
        message["dropped"] = self.sweep(packing)
        if self.channel.pending():
            raise self._tampered("an answer before its question")
        self._send(message)
        reply = self._receive()
        while "ask" in reply:
            if reply.get("id") != identifier:
                raise self._tampered("a question of nobody")
            self._answer(reply)
            reply = self._receive()
        if reply.get("id") != identifier:
            raise self._tampered("an answer to another question")
        return self._taken(reply, name in ("__next__", *GENERATOR_STEPS) or operation == "result")

    def _taken(self, reply: dict[str, Any], ends: bool) -> Any:
        """The value in an answer; if it reports an exception, raises that."""
        try:
            if self.capture and type(reply.get("printed")) is str:
                sys.stdout.write(reply["printed"])
            self.loaded(reply)
            error = self._error(reply, ends) if "error" in reply else None
            value = None if error else self.decoded(reply["value"])
            self.dropped(reply)
        except Exception as wrong:
            if getattr(wrong, "fault", None) is not None:
                raise  # what the solution's own `__hash__` raised, say
            raise self._tampered(str(wrong)) from None
        if error is not None:
            raise error
        return value

    def _error(self, reply: dict[str, Any], ends: bool) -> BaseException:
        """The exception to raise here for one raised there. It carries its `fault`, by which the runner recognises it."""
        told = checked_fault(reply["error"])
        error = self.decoded(reply["raised"]) if "raised" in reply else plain_error(told, (Exception, SystemExit))
        if not isinstance(error, Exception | SystemExit):
            error = plain_error(told, Exception)
        if isinstance(error, _ENDS) and not ends:
            error = RuntimeError(told["message"])  # it would end a loop in the test code, and the test with it
        object.__setattr__(error, "fault", told)
        return error

    def _answer(self, message: dict[str, Any]) -> None:
        """Answer the solution's question about an object of the test code."""
        try:
            self.loaded(message)
            args, kwargs = self.decoded(message["args"]), dict(self.decoded(message["kwargs"]))
            self.dropped(message)
            if type(args) is not tuple:
                raise BadValue("no arguments")
            target, operation, name = message["target"], message["ask"], message["name"]
            if type(target) is not int or target % 2 != self.own or target not in self.things or type(name) is not str:
                raise BadValue("a question about nothing")
        except (BadValue, LookupError, TypeError, ValueError) as wrong:
            raise self._tampered(str(wrong)) from None
        try:
            answer = self.packing(returned=self._do(operation, self.things[target], name, args, kwargs)).message
        except Exception as error:  # the other side handles whatever a callback raises
            try:
                answer = self.packing(raised=error).message
            except Exception:
                answer = {"told": fault(error)}
        self._send(answer)

    def _do(self, operation: Any, thing: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the solution may do with an object that it was given: call it, read what is public, iterate, compare, calculate."""
        if operation == "call":
            return thing(*args, **kwargs)
        if operation == "get" and (not name.startswith("_") or name in READABLE - {"__dict__", "__code__", "__wrapped__", "__func__"}):
            return getattr(thing, name)
        if operation == "set" and not name.startswith("_"):
            return setattr(thing, name, *args)
        if operation == "special" and name in SPECIAL:
            return getattr(type(thing), name)(thing, *args)
        if operation == "signature":
            return signature_of(thing, defaults=False)
        if operation == "run":
            return _run(thing)
        if operation == "special" and name in GENERATOR_STEPS:
            return getattr(thing, name)(*args)
        raise AttributeError(name)

    async def awaited(self, number: int) -> Any:
        """The result of a coroutine of the solution, which runs on an event loop there whenever the tests' own is idle."""
        self.ask("start", target=number)
        settling = list[asyncio.Task[None]]()
        try:
            while not (state := self.ask("step", target=number))[0]:
                settling += [asyncio.create_task(self._settle(coroutine)) for coroutine in state[1]]
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.ask("cancel", target=number)
            raise
        return self.ask("result", target=number)

    async def _settle(self, coroutine: Any) -> None:
        """Run a coroutine of the tests that the solution waits for."""
        try:
            result = (await coroutine,)
        except Exception as error:  # the solution handles it
            self.ask("settle", args=(coroutine, (), error))
        else:
            self.ask("settle", args=(coroutine, result, None))

    def describe(self, thing: Any, packing: Packing) -> dict[str, Any]:
        """What the solution gets to know of an object of the test code."""
        return described(thing, packing.encoder.encode, packing.class_of)

    def named(self, thing: Any) -> dict[str, Any] | None:
        """Functions of the standard library too are the solution's own ones there."""
        if type(thing) not in _FUNCTIONS or type(thing.__module__) is not str:
            return by_name(thing)
        known = vars(loaded(thing.__module__) or builtins).get(thing.__name__) is thing
        return {"common": [thing.__module__, thing.__name__]} if known else None

    def made(self, number: int, tag: str, content: Any) -> Any:
        """What stands here for an object of the solution."""
        return made(self, number, tag, content)

    def empty_record(self, name: Any) -> Any:
        """A record without fields."""
        if name not in self._records:
            raise BadValue("no such class")
        kind: Any = self._records[name]
        return kind.__new__(kind)

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


def _run(awaitable: Any) -> Any:
    """The result of a coroutine of the tests, which the solution wants now. This thread may be inside an event loop."""

    async def result() -> Any:
        return await awaitable

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, result()).result()
