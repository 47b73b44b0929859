"""Runs a whole program on one standard input. Its output goes to the host; the link only reports how it ended."""

import atexit
import contextlib
import sys
import threading
from typing import Any

from asap.sandbox.jail.codec import Channel, Closed
from asap.sandbox.jail.solution import compiled, fault, new_module


def run_program(channel: Channel) -> None:
    """Run the code of the first message as `__main__`, like `python program.py < input`."""
    code = channel.receive()["code"]
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w")):  # the zygote's streams belong to other files
        stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    ending: dict[str, Any] = {"done": True}
    try:
        exec(compiled(code), new_module("__main__").__dict__)
    except SystemExit:
        pass
    except BaseException as error:  # a program may raise anything
        ending = {"error": fault(error)}
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException as error:  # standard output closed or broken: what it printed so far counts
        ending = {"error": fault(error)}
    with contextlib.suppress(Closed, OSError):
        channel.send(ending)
