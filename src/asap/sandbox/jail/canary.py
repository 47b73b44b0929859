"""Tests that must fail. Where one passes, somebody has changed what tests with."""

import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest import nodes


class Canary(pytest.Item):
    """A test without fixtures, beside another one."""

    def __init__(self, *, wrong: Callable[[], None], **rest: Any) -> None:
        super().__init__(**rest)
        self.wrong = wrong

    def runtest(self) -> None:
        """Fail."""
        self.wrong()

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[nodes.Node, pytest.Mark]]:
        """No mark: those of the tests around it, such as `xfail`, are not for it."""
        return iter(())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Nothing: pytest would read the sources of all that is on the way."""
        return ""

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where it is, for pytest."""
        return self.path, 0, self.name


def _unequal() -> None:
    one, other = 1, 2
    assert one == other


def _raises_not() -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        pass


def _far() -> None:
    assert pytest.approx(1.5) == 1.0


def _unittest() -> None:
    unittest.TestCase().assertEqual([1], [2])  # noqa: PT009


def _fails() -> None:
    pytest.fail("as it must")


WRONG = (_unequal, _raises_not, _far, _unittest, _fails)
