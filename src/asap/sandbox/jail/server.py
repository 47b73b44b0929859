"""The solution's end of the link: answers one question after another about its module and its objects. Its answers are only claims."""

import asyncio
import copy
import importlib
import io
import sys
import threading
import types
from typing import Any

from asap.sandbox.jail.codec import Channel, Encoder, TooLarge
from asap.sandbox.jail.containers import container_type
from asap.sandbox.jail.faults import checked_fault, fault, plain_error
from asap.sandbox.jail.link import ALONE, Link
from asap.sandbox.jail.packing import ENTRY, MODULE, Packing
from asap.sandbox.jail.special import GENERATOR_STEPS, IMMUTABLE, described, signature_of
from asap.sandbox.jail.standing import made

_PRINTED = 1 << 16  # characters of captured output in one answer
_STEP_S = 0.005


class Server(Link):
    """The objects that the test code knows, and the operations on them."""

    trusting = True

    def __init__(self, channel: Channel, module: types.ModuleType, entry: Any) -> None:
        super().__init__(channel, own=0)
        self.module = module
        self.register(MODULE, module)
        self.things[ENTRY] = entry
        self.id: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking = threading.RLock()  # threads of the solution may call the tests' functions
        self._wanted: list[Any] = []
        self._settled: dict[int, asyncio.Future[Any]] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}

    def answer(self, message: dict[str, Any]) -> None:
        """Answer one question."""
        self.id = message["id"]
        printed = io.StringIO() if message.get("capture") else None
        if message["op"] == "outputs":
            return self._send_output(message)
        reply, packing = self._reply(message, printed)
        reply["dropped"] = self.sweep(packing)
        if printed is not None:
            reply["printed"] = printed.getvalue()[:_PRINTED]
        try:
            self.channel.send({"id": message["id"], **reply})
        except TooLarge as error:
            if packing is not None:
                packing.undo()
            self.channel.send({"id": message["id"], "error": fault(error), "dropped": reply["dropped"]})

    def _reply(self, message: dict[str, Any], printed: io.StringIO | None) -> tuple[dict[str, Any], Packing | None]:
        try:
            held = [self._printing(printed, message)]
            packing = self.packing(type(held[0]) is list and sys.getrefcount(held[0]) <= ALONE, value=held[0])
            return {**packing.message}, packing
        except BaseException as error:  # a solution may raise anything; the exception is the answer
            return self._failure(error)

    def _send_output(self, message: dict[str, Any]) -> None:
        """Answer the host, which wants the value alone: no object of the solution, and no content of arguments."""
        try:
            reply = {"value": plain_form(self.things[ENTRY](*self.decoded(message["args"])))}
            self.channel.send({"id": message["id"], **reply})
        except BaseException as error:  # as above
            self.channel.send({"id": message["id"], "error": fault(error)})

    def _failure(self, error: BaseException) -> tuple[dict[str, Any], Packing | None]:
        told = fault(error)
        try:
            packing = self.packing(raised=error.with_traceback(None))
            return {"error": told, **packing.message}, packing
        except Exception:  # border: what an exception holds may be too large, or raise in its turn
            return {"error": told}, None

    def _printing(self, printed: io.StringIO | None, message: dict[str, Any]) -> Any:
        if printed is None:
            return self._done(message)
        before, sys.stdout = sys.stdout, printed
        try:
            return self._done(message)
        finally:
            sys.stdout = before

    def _done(self, message: dict[str, Any]) -> Any:
        self.loaded(message)
        thing, name = self.things[message["target"]], message["name"]
        args, kwargs = self.decoded(message["args"]), dict(self.decoded(message["kwargs"]))
        self.dropped(message)
        return self._do(message["op"], thing, name, args, kwargs)

    def _do(self, operation: str, thing: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if operation == "call":
            return thing(*args, **kwargs)
        if operation == "get":
            return getattr(thing, name)
        if operation == "set":
            return setattr(thing, name, *args)
        if operation == "delete":
            return delattr(thing, name)
        if operation == "special":
            return getattr(thing, name)(*args) if name in GENERATOR_STEPS else getattr(type(thing), name)(thing, *args, **kwargs)
        return getattr(self, f"_do_{operation}")(thing, *args)

    def _do_names(self, thing: Any) -> tuple[str, ...]:
        return tuple(name for name in getattr(thing, "__all__", vars(thing)) if not name.startswith("_"))

    def _do_records(self, thing: Any, records: tuple[str, ...]) -> None:
        self.records = records

    def _do_entry(self, thing: Any) -> Any:
        return self.things[ENTRY]

    def _do_item(self, thing: Any, key: Any) -> Any:
        return thing[key]

    def _do_items(self, thing: Any) -> tuple[Any, ...]:
        return tuple(thing)

    def _do_dir(self, thing: Any) -> tuple[str, ...]:
        return tuple(dir(thing))

    def _do_copy(self, thing: Any) -> Any:
        return copy.copy(thing)

    def _do_deepcopy(self, thing: Any) -> Any:
        return copy.deepcopy(thing)

    def _do_signature(self, thing: Any) -> Any:
        return signature_of(thing)

    def _do_start(self, thing: Any) -> None:
        """Let a coroutine run whenever the other end waits for one."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        self._tasks[id(thing)] = self._loop.create_task(_result_of(thing))

    def _do_step(self, thing: Any) -> tuple[bool, tuple[Any, ...]]:
        """Run what can run, for a moment; returns whether this coroutine is done, and the tests' coroutines that are waited for."""
        task = self._tasks[id(thing)]
        if not task.done() and self._loop is not None:
            self._loop.run_until_complete(asyncio.wait({task}, timeout=_STEP_S))
        wanted, self._wanted = self._wanted, []
        return task.done(), tuple(wanted)

    def _do_settle(self, thing: Any, coroutine: Any, result: tuple[Any, ...], error: Exception | None) -> None:
        future = self._settled.pop(self.numbers[id(coroutine)])
        if not future.done():
            future.set_result(result[0]) if error is None else future.set_exception(error)

    async def awaited(self, number: int) -> Any:
        """The result of a coroutine of the tests: they run it while they wait for the solution's, or now, if they do not wait."""
        if asyncio.get_running_loop() is not self._loop:
            return self.ask("run", target=number)
        self._settled[number] = self._loop.create_future()
        self._wanted.append(self.things[number])
        return await self._settled[number]

    def _do_result(self, thing: Any) -> Any:
        return self._tasks.pop(id(thing)).result()

    def _do_cancel(self, thing: Any) -> None:
        task = self._tasks.pop(id(thing), None)
        if task is not None and not task.done() and self._loop is not None:
            task.cancel()
            self._loop.run_until_complete(asyncio.wait({task}))

    def lacks(self, what: str) -> None:
        """Nothing: this end trusts the other's objects."""

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of the test code, which may in turn call the solution."""
        return self.ask("call", target=number, args=args, kwargs=kwargs)

    def ask(self, operation: str, *, target: int = MODULE, name: str = "", args: Any = (), kwargs: Any = None) -> Any:
        """Ask about an object of the test code; raises what that raised."""
        with self._asking:
            return self._asked(operation, target, name, args, kwargs)

    def _asked(self, operation: str, target: int, name: str, args: Any, kwargs: Any) -> Any:
        waiting = self.id
        message = self.packing(args=tuple(args), kwargs=tuple((kwargs or {}).items())).message
        self.channel.send({"id": waiting, "ask": operation, "target": target, "name": name, "dropped": [], **message})
        while "op" in (reply := self.channel.receive()):
            self.answer(reply)
        self.id = waiting
        self.loaded(reply)
        if "told" in reply:
            raise plain_error(checked_fault(reply["told"]), Exception)
        if "raised" in reply:
            raise self.decoded(reply["raised"])
        return self.decoded(reply["returned"])

    def describe(self, thing: Any, packing: Packing) -> dict[str, Any]:
        """What the test code gets to know of an object."""
        return described(thing, packing.encoder.encode, packing.class_of)

    def made(self, number: int, tag: str, content: Any) -> Any:
        """What stands here for an object of the test code."""
        return made(self, number, tag, content)

    def common(self, name: Any) -> Any:
        """A function of the standard library."""
        return getattr(importlib.import_module(name[0]), name[1])

    def empty_record(self, name: Any) -> Any:
        """A record without fields."""
        kind = getattr(self.module, name)
        return kind.__new__(kind)


async def _result_of(awaitable: Any) -> Any:
    return await awaitable


def plain_form(value: Any) -> Any:
    """A value alone, as JSON: an object of a subclass as the value or container that it is, any other as the name of its type."""

    def foreign(other: Any) -> Any:
        kind = type(other)
        container = container_type(kind)
        if container is not None:
            return encoder.body(other, container)
        base = next((base for base in kind.__mro__ if base in IMMUTABLE), None)
        return encoder.encode(IMMUTABLE[base](other)) if base is not None else {"o": kind.__name__[:80]}

    encoder = Encoder(foreign)
    return encoder.encode(value)
