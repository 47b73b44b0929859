"""The user's own methods, named `package.module:function`: functions from `Steps` to one score for each step (docs/methods.md).

An error in that code becomes one sentence: a UsageError while it is loaded, and while it scores, a RowError that rejects the row.
"""

import inspect
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from asap.digest import content_digest
from asap.errors import AsapError, RowError, UsageError
from asap.lm.scorer import ScorerRequest, Scoring
from asap.prune.methods.method import Method, nothing, one_pass
from asap.prune.trace import Steps
from asap.steps import Splitter


def own_method(name: str) -> Method:
    """The method with the name `package.module:function`. Raises UsageError if it cannot be loaded."""
    return method_by(own_function(name, "method", "it must take Steps and return one score for each"), name)


def method_by(function: Callable[[Steps], Any], name: str) -> Method:
    """The method that scores by a function."""
    return Method(name, _Guarded(name, function), one_pass if inspect.isgeneratorfunction(function) else nothing)


@dataclass(frozen=True)
class OwnSplit:
    """A user's own `step_split`: a function from a trace to the start and end of each step, with its name."""

    name: str
    function: Splitter

    def __call__(self, text: str) -> Iterable[tuple[int, int]]:
        """The steps of a trace."""
        return self.function(text)


def own_split(split: "str | Splitter") -> OwnSplit:
    """The step_split that is a function, or is called `package.module:function`. Raises UsageError."""
    if isinstance(split, OwnSplit):
        return split
    if isinstance(split, str):
        return OwnSplit(split, own_function(split, "step_split", "it must take a trace and return the start and end of each step"))
    return OwnSplit(function_name(split), split)


def function_name(function: Callable[..., Any]) -> str:
    """A function's name, as `package.module:function`."""
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', repr(function))}"


def own_function(name: str, what: str, must: str) -> Callable[..., Any]:
    """The function called `package.module:function`. Raises UsageError if there is none, or it is no function."""
    module_name, _, own_name = name.partition(":")
    try:
        function = getattr(import_module(module_name), own_name)
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, (ImportError, AttributeError, ValueError)) else f"{type(error).__name__}: {error}"
        raise UsageError(f"{what} {name!r} cannot be loaded ({said}); write package.module:function, importable from here") from error
    if not callable(function):
        raise UsageError(f"{what} {name!r} is no function; {must}")
    return function  # type: ignore[no-any-return]


def code_digest(name: str) -> str:
    """A digest of the source file of a user's own method, so that a run does not continue with changed code."""
    file = getattr(import_module(name.partition(":")[0]), "__file__", None)  # None: built into Python
    return content_digest(Path(file).read_text("utf-8", "replace") if file else "")[:16]


@dataclass(frozen=True)
class _Guarded:
    """Wraps a function so that any error in it becomes a RowError."""

    name: str
    function: Callable[[Steps], Any]

    def __call__(self, steps: Steps) -> Scoring[Any]:
        try:
            scores = self.function(steps)
            return (yield from _readings(scores)) if isinstance(scores, Generator) else scores
        except AsapError:
            raise
        except (Exception, SystemExit) as error:
            raise RowError("bad_scores", f"method {self.name} raised {type(error).__name__}: {error}") from error


def _readings(scores: Generator[Any, Any, Any]) -> Scoring[Any]:
    answers = None
    while True:
        try:
            wanted = scores.send(answers)
        except StopIteration as end:
            return end.value
        if not isinstance(wanted, (list, tuple)) or not all(isinstance(one, ScorerRequest) for one in wanted):
            raise TypeError(f"it yields {wanted!r}; write `yield from steps.read()`")
        answers = yield wanted
