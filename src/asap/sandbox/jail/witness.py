"""The other thread of a process in which tests and solution run together. It alone knows the host's secret and speaks with the host.

It hears of each event as it happens and looks at what tests with: whether functions of pytest, unittest, the builtins and the modules that
the tests use are what they were before the solution was imported. What a solution may have done about it is `evidence`.
"""

import fcntl
import os
import random
import socket
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from asap.sandbox.jail.canary import WRONG, Canary
from asap.sandbox.jail.channel import TRUSTED, Channel
from asap.sandbox.jail.lacking import is_lacking
from asap.sandbox.jail.pytest_file import TEST_FILE, Event, Tally
from asap.sandbox.jail.result import Result, outcome
from asap.sandbox.jail.snapshot import Snapshot, intact, own_names, used_modules

_LOOKS = ("sys.settrace", "sys.setprofile", "sys.addaudithook", "sys._current_frames", "gc.get_objects", "gc.get_referrers")
_OWN = ("asap", "pytest", "_pytest", "pluggy", "unittest", "builtins", "operator", "sys")
_STEADY = {*_OWN, "numpy", "pandas", *sys.stdlib_module_names}  # other packages may replace parts of themselves as they are used
_EVERY = 20  # after so many tests, only each twentieth is followed by a look: a file may have thousands


def attend(link: int, hear: Callable[[], Event], say: Callable[[Any], None]) -> NoReturn:
    """Serve one run of tests: take the job from the host, hear the events, answer the host, and end the process."""
    moved = fcntl.fcntl(link, fcntl.F_DUPFD_CLOEXEC, 8 + random.SystemRandom().randrange(40))
    os.close(link)
    channel, leave = Channel(socket.socket(fileno=moved), TRUSTED, TRUSTED), os._exit
    job, reserve = channel.receive(), bytearray(1 << 20)  # to say that there is no memory
    try:
        result = _attended(job["source"], job["code"], hear, say)
    except (MemoryError, SystemError):  # the interpreter raises either
        reserve.clear()
        result = outcome("memory", total=1)
    except BaseException as error:  # border: whatever went wrong, the host must learn of it
        result = outcome("infra", f"{type(error).__name__}: {error}"[:300])
    channel.send({**result, "secret": job["secret"]})
    leave(0)


def _attended(source: str, code: str, hear: Callable[[], Event], say: Callable[[Any], None]) -> Result:
    """The result of the tests; `tamper` if there is evidence that the solution changed what judges it."""
    evidence, noticed = list[str](), list[str]()  # what the guard notices is in reach of a solution, so it is taken over at each event
    used, missing = used_modules(source)
    watch = _Watch(source, evidence, used)
    is_intact = intact([sys.modules[ours.__module__] for ours in (_Watch, Snapshot, Event, Canary, Channel, outcome, is_lacking)])
    say((source, code, noticed))
    over = False
    while not over:
        event = hear()
        if not is_intact():  # asked before any of our own functions is called
            evidence.append("our own code is not what it was")
            break
        evidence += noticed
        over = event.what == "over"
        if not over:
            say(watch.take(event))
    if not evidence:
        watch.look()
    if evidence:
        return outcome("tamper", f"the solution changed what judges it: {evidence[0]}", total=1)
    result = watch.tally.result()
    if result["verdict"] == "infra" and not is_lacking(source, result["detail"], missing):
        return {**result, "verdict": "fail", "detail": f"nothing in the test file bears out that {result['detail']}"}
    return result


def _hook(evidence: list[str], looks: tuple[str, ...], watched: set[int]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook, which nothing can remove: takes down who looks into, or changes, what no honest solution does."""
    caller, kind_of, text, number, function = sys._getframe, type, str, id, types.FunctionType
    doctest, networkx = sys.modules.get("doctest"), sys.modules.get("networkx.utils.decorators")
    restoring = doctest and doctest.DocTestRunner.run.__code__  # sets the trace function that it found
    compiling = networkx and networkx.argmap._lazy_compile.__code__  # replaces the code of its own functions

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in looks and not (restoring and event == "sys.settrace" and caller(1).f_code is restoring):
            evidence.append(event)
        elif event == "object.__setattr__" and kind_of(args[1]) is text and not (compiling and caller(1).f_code is compiling):
            is_tests = kind_of(args[0]) is function and args[0].__code__.co_filename.endswith(TEST_FILE)
            if is_tests or number(args[0]) in watched:
                evidence.append(f"{args[1]} of a function, class or module")

    return hook


class _Watch:
    """What has happened up to now, canaries apart from tests."""

    def __init__(self, source: str, evidence: list[str], used: Mapping[str, types.ModuleType]) -> None:
        self.source = source
        self.exempt = own_names(source)
        self.evidence = evidence
        self.used = used
        self.snapshot = Snapshot({}, self.exempt, {})
        self.changes = self.snapshot.comparison()
        self.tally = Tally()
        self._plan: list[bool] = []
        self._started = 0
        self._caught = self._ended = self._raised = False

    def take(self, event: Event) -> Any:
        """The answer to an event."""
        if event.what == "ready":
            return self._ready()
        if event.what == "collected":
            return self._collected(event)
        if event.what == "started":
            self._end_of_canary()
            self._started += 1
            self._caught = self._ended = self._raised = False
            if self._started > len(self._plan):
                self.evidence.append("more tests ran than there are")
        if event.what == "stopped":
            self.tally.add(event)
        elif event.what == "ended":
            self._ended, self._raised = True, event.outcome == "failed"
            if self._started < _EVERY or self._started % _EVERY == 0:
                self.look()
        elif self._is_canary():
            self._heard_of_canary(event)
        elif event.what == "call" and event.outcome == "passed" and (self._raised or not self._ended):
            self.evidence.append("a test that failed, or never ran, was reported as passed")
        else:
            self.tally.add(event)
        return None

    def _ready(self) -> None:
        """Take down what tests will be judged with, now that pytest is set up; from here on, whoever looks into the interpreter too."""
        whole = {*_OWN, *(root for name in self.used if (root := name.partition(".")[0]) in _STEADY)}
        inner = tuple(f"{name}." for name in self.used if "." in name)
        found = list(sys.modules.items())
        loaded = {name: module for name, module in found if name.partition(".")[0] in whole or (inner and name.startswith(inner))}
        others = {name: vars(module) for name, module in self.used.items() if name.partition(".")[0] not in _STEADY}
        unread = {name: frozenset(key for key in space if key not in self.source) for name, space in others.items() if "." not in name}
        self.snapshot = Snapshot({**loaded, **self.used}, self.exempt, unread)
        self.changes = self.snapshot.comparison()
        looks = tuple(event for event in _LOOKS if event.rpartition(".")[2] not in self.source)
        sys.addaudithook(_hook(self.evidence, looks, self.snapshot.watched))

    def look(self) -> None:
        """Compare with the snapshot."""
        self._end_of_canary()
        self.evidence += self.changes()

    def _collected(self, event: Event) -> list[tuple[int, Callable[[], None]]]:
        """Where canaries go: one of each kind anywhere, and one at the end, where everything has had its time."""
        self.look()
        self.tally.add(event)
        name = TEST_FILE.removesuffix(".py")
        module = sys.modules.get(name)
        if type(module) is types.ModuleType:
            self.snapshot.add_tests(name, module)
        elif event.tests:
            self.evidence.append("the tests' module is another")
        chance, order = random.SystemRandom(), [False] * len(event.tests)
        places = list[tuple[int, Callable[[], None]]]()
        for wrong in [*WRONG, *chance.choices(WRONG)] if order else []:
            position = len(order) if len(places) == len(WRONG) else chance.randrange(len(order) + 1)
            order.insert(position, True)
            places.append((position, wrong))
        self._plan = order
        return places

    def _is_canary(self) -> bool:
        return 0 < self._started <= len(self._plan) and self._plan[self._started - 1]

    def _heard_of_canary(self, event: Event) -> None:
        """A canary must fail; what fails around it are fixtures of the tests before."""
        if event.what == "call":
            self._caught = event.outcome == "failed"
        elif event.outcome == "failed" and self.tally.names:
            self.tally.add(event)

    def _end_of_canary(self) -> None:
        if self._is_canary() and not self._caught:
            self.evidence.append("a test that must fail did not")
