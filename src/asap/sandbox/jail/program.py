"""Runs a whole program on one standard input, from the start to the end of an interpreter: `python3 solution.py < input`.

Its output goes to the host; the link only reports how it ended. The end is acted out, since the interpreter's own would have to free
what all runs share: threads are waited for, `atexit` functions called, the program's objects freed (whose `__del__` may print), and
buffers of any file written.
"""

import atexit
import contextlib
import gc
import io
import os
import signal
import sys
import threading
from typing import Any, NoReturn

from asap.sandbox.jail import kernel
from asap.sandbox.jail.codec import Channel, Closed
from asap.sandbox.jail.faults import fault
from asap.sandbox.jail.script import compiled, new_module

_STREAMS = (("stdin", "r", "surrogateescape"), ("stdout", "w", "surrogateescape"), ("stderr", "w", "backslashreplace"))


def run_program(channel: Channel) -> NoReturn:
    """Run the code of the first message as `__main__`, and end the process."""
    code = channel.receive()["code"]
    _open_streams()
    faults = [_run(code), _finish()]
    ending = faults[0] or faults[1]
    with contextlib.suppress(Closed, OSError):
        channel.send({"error": ending} if ending else {"done": True})
    _let_go()
    os._exit(0)


def _open_streams() -> None:
    """The standard streams as the interpreter opens them; the zygote's belong to other files."""
    for number, (name, mode, errors) in enumerate(_STREAMS):
        raw = io.FileIO(number, mode, closefd=False)
        raw.name = f"<{name}>"
        file: Any = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
        stream: Any = io.TextIOWrapper(file, "utf-8", errors, newline="\n", line_buffering=name == "stderr")
        stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(code: str) -> dict[str, Any] | None:
    """The exception with which the program ended, if any. Any exit status of `sys.exit` is a regular end."""
    try:
        exec(compiled(code), vars(new_module("__main__", code)))
    except SystemExit as error:
        _say(error.code)
    except BaseException as error:  # a program may raise anything
        try:
            sys.excepthook(type(error), error, error.__traceback__)
        except SystemExit:
            return None
        except BaseException:
            pass
        return fault(error)
    return None


def _say(code: Any) -> None:
    """Print the text that a program gave to `sys.exit`."""
    if code is not None and not isinstance(code, int):
        with contextlib.suppress(BaseException):
            print(code, file=sys.stderr)


def _finish() -> dict[str, Any] | None:
    """Wait for threads, call the functions that wait for the end, and flush. Returns what failed."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
    except BaseException as error:  # as above, and standard output may be broken
        return fault(error)
    return None


def _let_go() -> None:
    """Free what the program made, and write what is still in a buffer."""
    for number in range(1, signal.NSIG):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    sys.modules.pop("__main__", None)
    gc.collect()
    living = [thing for thing in gc.get_objects() if isinstance(thing, io.TextIOWrapper | io.BufferedWriter | io.BufferedRandom)]
    for thing in sorted(living, key=lambda thing: not isinstance(thing, io.TextIOWrapper)):  # text ends up in buffers of bytes
        with contextlib.suppress(BaseException):
            thing.flush()
    kernel.flush_c_streams()
