"""The solution's process: runs its code, then answers questions, one at a time. Its answers are only claims.

A message names its target by number (of the module, the entry point or an object of earlier answers) and carries a fresh random
identifier that the answer repeats.
"""

import re
import types
from typing import Any

from asap.sandbox.jail.codec import Channel
from asap.sandbox.jail.faults import fault
from asap.sandbox.jail.script import compiled, new_module
from asap.sandbox.jail.server import Server

_ENTRY_POINT = re.compile(r"([^\W\d]\w*)(\(\))?((?:\.[^\W\d]\w*)*)")


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
    server = Server(channel, module, entry)
    while True:
        server.answer(channel.receive())


def _entry_point(module: types.ModuleType, name: str | None) -> Any:
    """The object named by `f`, `Class.method` or `Class().method`; a class is instantiated once, without arguments.

    Of two names `Class.method|f`, the first that exists.
    """
    if name is None:
        return None
    first, _, second = name.partition("|")
    if second and not hasattr(module, first.partition(".")[0]):
        first = second
    match = _ENTRY_POINT.fullmatch(first)
    if match is None:
        raise NameError(f"{first!r} is no entry point")
    try:
        thing = getattr(module, match[1])
    except AttributeError:
        raise NameError(f"name {match[1]!r} is not defined") from None
    if match[2] or (isinstance(thing, type) and match[3]):
        thing = thing()
    for attribute in match[3].split(".")[1:]:
        thing = getattr(thing, attribute)
    return thing
