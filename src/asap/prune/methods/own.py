"""The user's own methods, named `package.module:function`: functions from `Steps` to one score for each step (docs/methods.md).

An error in that code becomes one sentence: a UsageError while it is loaded, and while it scores, a RowError that rejects the row.
"""

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from asap.digest import content_digest
from asap.errors import AsapError, RowError, UsageError
from asap.lm.scorer import ScorerRequest, Scoring
from asap.prune.methods.method import Method, nothing, one_pass
from asap.prune.trace import Steps


def own_method(name: str) -> Method:
    """The method with the name `package.module:function`. Raises UsageError if it cannot be loaded."""
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(import_module(module_name), function_name)
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, (ImportError, AttributeError, ValueError)) else f"{type(error).__name__}: {error}"
        raise UsageError(f"method {name!r} cannot be loaded ({said}); write package.module:function, importable from here") from error
    if not callable(function):
        raise UsageError(f"method {name!r} is no function; it must take Steps and return one score for each")
    return Method(name, _Guarded(name, function), one_pass if inspect.isgeneratorfunction(function) else nothing)


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
