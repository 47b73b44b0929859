"""Runs a pytest file and the solution in one process, as the file's authors did.

Nothing in this process is out of the solution's reach for certain, so what it says is believed only under conditions (`witness`):
another thread holds the way out and looks after each test, tests that must fail run in between, and the test file is compiled so that
it notices objects that claim to equal everything (`guard`).
"""

import _thread
import inspect
import linecache
import os
import queue
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import pytest
from _pytest.unittest import TestCaseFunction

from asap.sandbox.jail.canary import Canary
from asap.sandbox.jail.faults import fault
from asap.sandbox.jail.guard import guard_tests
from asap.sandbox.jail.pytest_file import TEST_FILE, Event, Plugin, run_pytest
from asap.sandbox.jail.witness import attend

SOLUTION_FILE = "solution.py"


def run_together(link: int) -> NoReturn:
    """Run what the first message on `link` says. Another thread reads it and answers: no frame below the tests knows the way out."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    heard, said = queue.SimpleQueue[Event](), queue.SimpleQueue[Any]()
    _thread.start_new_thread(attend, (link, heard.get, said.put))
    source, code, evidence = said.get()

    def tell(event: Event) -> Any:
        heard.put(event)
        return said.get()

    Path(SOLUTION_FILE).write_text(code, encoding="utf-8", errors="surrogatepass")
    os.environ["PYTHONPATH"] = ":".join(path for path in sys.path if path.startswith("/site/"))  # for interpreters that the tests start
    guard_tests(source, evidence)
    run_pytest(source, _Plugin(tell, _blamed))
    tell(Event("over"))
    raise SystemExit  # never: the other thread ends the process


class _Plugin(Plugin):
    """Puts tests among the others that must fail, and tells at once when a test's own code ends."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """pytest and its plugins are as they will be, and nothing of the solution or the tests has run."""
        self.tell(Event("ready"))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """All tests have run; the process ends here."""
        self.tell(Event("over"))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The tests are known; the answer says where canaries go."""
        names = tuple(item.nodeid.partition("::")[2].replace("::", ".") for item in items)
        for position, wrong in self.tell(Event("collected", tests=names)):
            beside = items[min(position, len(items) - 1)]
            items.insert(position, Canary.from_parent(beside.parent, name=beside.name, wrong=wrong))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch the function of a test, so that no code of pytest's runs between its end and our look."""
        if isinstance(item, pytest.Function):
            item.obj = self._watched(item.obj)
            if isinstance(item, TestCaseFunction):  # unittest takes an async test from the instance
                setattr(item.instance, item.name, item.obj)
        return (yield)

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def watch() -> Iterator[None]:
            outcome = "failed"
            try:
                yield
                outcome = "passed"
            finally:
                self.tell(Event("ended", "", outcome))

        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with watch():
                return function(*args, **kwargs)

        @wraps(function)
        async def watched_async(*args: Any, **kwargs: Any) -> Any:
            with watch():
                return await function(*args, **kwargs)

        return watched_async if inspect.iscoroutinefunction(function) else watched


def _blamed(error: BaseException) -> dict[str, Any] | None:
    """The description of an exception that is the solution's: its file is the last of ours on the way, or it does not even compile."""
    last, line, trace = "", 0, error.__traceback__
    while trace is not None:
        name = Path(trace.tb_frame.f_code.co_filename).name
        if name in (TEST_FILE, SOLUTION_FILE):
            last, line = name, trace.tb_lineno
        trace = trace.tb_next
    if last == TEST_FILE and not isinstance(error, ImportError) and _imports_solution(linecache.getline(TEST_FILE, line)):
        last = SOLUTION_FILE
    if isinstance(error, SyntaxError) and error.filename is not None:
        last = Path(error.filename).name
    return fault(error) if last == SOLUTION_FILE else None


def _imports_solution(line: str) -> bool:
    return line.lstrip().startswith(("from solution import", "import solution"))
