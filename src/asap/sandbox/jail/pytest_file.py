"""Runs a test file by pytest, and takes down what becomes of each test.

Whatever pytest does works as it does everywhere, since pytest does it. Ours is one plugin: it reports, and it runs async tests that bear
a mark of a plugin (`@pytest.mark.asyncio`), which pytest by itself does not.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from asap.sandbox.jail.result import Result, missing_module, outcome, place

TEST_FILE = "test_solution.py"
_OFF = "terminal cacheprovider junitxml pastebin stepwise doctest faulthandler setuponly setupplan"
_OPTIONS = ["--assert=plain", "--noconftest", "--rootdir=.", "-c/dev/null"]
_ASYNC_MARKS = ("asyncio", "anyio", "trio")


class Failure(NamedTuple):
    """Why a test failed: a verdict, a line, and the solution's exception if it is one."""

    word: str
    detail: str
    fault: dict[str, Any] | None = None


class Event(NamedTuple):
    """Something that happened: `what` is collected, started, ended (the test's own code), setup, call, teardown, or stopped."""

    what: str
    test: str = ""
    outcome: str = ""
    failure: Failure | None = None
    tests: tuple[str, ...] = ()


Blame = Callable[[BaseException], dict[str, Any] | None]
"""The description of an exception if the solution raised it, else None."""


@dataclass
class Tally:
    """What became of the `expected` tests. `outcomes` has one entry a test, in order; "" is a test that did not run to its end."""

    expected: int | None = None
    names: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    first: Failure | None = None

    def add(self, event: Event) -> None:
        """Take down one event."""
        if event.failure is not None and (self.first is None or event.failure.word == "infra" != self.first.word):
            self.first = event.failure
        if event.what == "collected":
            self.expected = len(event.tests)
        elif event.what == "started":
            self.names.append(event.test)
            self.outcomes.append("")
        elif event.outcome == "failed" or (event.what in ("setup", "call") and self.outcomes[-1] != "failed"):
            self.outcomes[-1] = event.outcome if event.what != "setup" or event.outcome != "passed" else ""

    def result(self) -> Result:
        """The verdict by pytest's own rules, if all the tests that were collected have run; if each is skipped, nothing was tested."""
        ran = [outcome for outcome in self.outcomes if outcome != "skipped"]
        total, passed = len(ran), sum(outcome in ("passed", "xfailed", "xpassed") for outcome in ran)
        word, detail, fault = self.first or ("pass", "", None)
        if word == "pass" and self.expected is None:
            word, detail = "infra", "pytest did not begin"
        elif word == "pass" and ("" in self.outcomes or len(self.outcomes) != self.expected):
            word, detail = "fail", f"the run ended during {self.names[-1] if self.names else 'the first test'}"
        elif word == "pass" and not total:
            word, detail = "infra", "every test is skipped" if self.outcomes else "the test file has no test"
        tests = [list(pair) for pair in zip(self.names, self.outcomes, strict=True)]
        return {**outcome(word, detail, fault, passed, total or int(word != "infra")), "tests": tests}


class Plugin:
    """Tells each event to `tell`, at once."""

    def __init__(self, tell: Callable[[Event], Any], blame: Blame) -> None:
        self.tell = tell
        self.blame = blame

    def pytest_configure(self, config: pytest.Config) -> None:
        """Format failures in the quickest way, which shows no value of the solution's. The option is of the plugin that prints."""
        config.option.tbstyle = "native"

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Module | pytest.Class, name: str, obj: object) -> list[pytest.Item] | None:
        """A generator is no test, as in `from heapq import merge as test_merge`: before pytest 8.4 it was ignored, now it ends the run."""
        return [] if inspect.isgeneratorfunction(obj) and collector.istestfunction(obj, name) else None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """A file or class that cannot be collected, or that skips itself, is told."""
        report = yield
        error = report.call.excinfo
        if report.outcome != "passed" and error is not None:
            failure = self.failure("import", error.value)
            if report.failed or failure.fault is not None:
                self.tell(Event("stopped", failure=failure))
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The tests are known."""
        self.tell(Event("collected", tests=tuple(map(_name, items))))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """A test begins."""
        self.tell(Event("started", _name(item)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """A failure is described while its exception is here."""
        raised = call.excinfo  # before unittest's plugin puts a skip of its own in the place of a SkipTest
        report = yield
        skipped = report.skipped and not hasattr(report, "wasxfail")
        if raised is not None and (report.failed or (skipped and self.blame(raised.value))):
            report.asap_failure = self.failure(_name(item), raised.value)
        elif report.failed:
            report.asap_failure = Failure("fail", f"{_name(item)}: {str(report.longrepr)[:200]}")
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test, or a subtest, has ended."""
        failure = getattr(report, "asap_failure", None)
        outcome: str = "failed" if failure else report.outcome
        if hasattr(report, "wasxfail") and not failure:
            outcome = "xfailed" if report.skipped else "xpassed"
        if failure or not hasattr(report, "context"):  # a subtest counts only if it fails
            self.tell(Event(str(report.when), "", outcome, failure))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run an async test that its mark gives to a plugin that is not here."""
        function = pyfuncitem.obj
        marks = [mark for mark in _ASYNC_MARKS if pyfuncitem.get_closest_marker(mark)]
        if not inspect.iscoroutinefunction(function) or _has_plugin(pyfuncitem.config, marks or _ASYNC_MARKS):
            return None
        if not marks:
            raise Unsupported("pytest-asyncio")
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        asyncio.run(function(**arguments))
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
        """Refuse an async fixture, which pytest would hand over as a coroutine."""
        is_async = inspect.iscoroutinefunction(fixturedef.func) or inspect.isasyncgenfunction(fixturedef.func)
        if is_async and not _has_plugin(request.config, _ASYNC_MARKS):
            raise Unsupported("pytest-asyncio")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """`pytest.exit`, or KeyboardInterrupt: the rest of the tests will not run."""
        self.tell(Event("stopped", failure=self.failure("stopped", excinfo.value)))

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """SystemExit during an import, or a defect."""
        self.tell(Event("stopped", failure=self.failure("stopped", excinfo.value)))

    def failure(self, name: str, error: BaseException) -> Failure:
        """Why this test failed: the solution's exception, something that the tests lack, or a wrong answer."""
        if isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
            error = error.__cause__
        detail = f"{name}: {type(error).__name__}: {str(error)[:200]}" + place(error, TEST_FILE)
        fault = self.blame(error)
        if fault is not None:
            return Failure("error", detail, fault)
        need = _needed(error)
        return Failure("infra", f"the tests need {need}") if need else Failure("fail", detail)


def _has_plugin(config: pytest.Config, names: Sequence[str]) -> bool:
    return any(config.pluginmanager.has_plugin(name) for name in names)


class Unsupported(Exception):
    """A test needs a plugin of pytest that is not here."""


def _needed(error: BaseException) -> str | None:
    """What the test file lacks: a package, a fixture, a plugin; None if it lacks nothing."""
    if isinstance(error, Unsupported):
        return str(error)
    if module := missing_module(error):
        return module
    if type(error).__name__ == "FixtureLookupError":
        return f"the fixture {getattr(error, 'argname', '')}"
    if isinstance(error, SyntaxError) and str(error.filename).endswith(TEST_FILE):
        return f"another version of Python: {error}"
    return None


def _name(node: pytest.Item) -> str:
    """`TestA.test_b[1-2]`."""
    return node.nodeid.partition("::")[2].replace("::", ".")


def run_pytest(source: str, plugin: Plugin) -> None:
    """Run a test file in the current folder."""
    Path(TEST_FILE).write_text(source, encoding="utf-8", errors="surrogatepass")
    if not sys.flags.no_site:  # there is no sandbox, and all plugins of the environment are in reach, not only those of `--packages`
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    pytest.main([*(f"-pno:{name}" for name in _OFF.split()), *_OPTIONS, TEST_FILE], plugins=[plugin])
