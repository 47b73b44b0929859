"""A step-level method: a name, a score for each step, and a cost."""

from collections.abc import Callable, Generator, Sequence
from math import isfinite, nan
from numbers import Real
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from asap.errors import RowError
from asap.lm.scorer import Scoring
from asap.prune.trace import Size, Steps


class StepMethod(Protocol):
    """Scores steps. The lowest-scored step is removed first (`asap.prune.fine.removal`)."""

    @property
    def name(self) -> str:
        """The name on the command line and in decisions.jsonl."""
        ...

    def score(self, steps: Steps) -> "list[float] | Scoring[list[float]]":
        """One score for each step, higher = keep; a generator if a model has to read (`Steps.read`)."""
        ...

    def reads(self, size: Size) -> float:
        """The approximate number of tokens that a model reads for it."""
        ...


Numbers = Sequence[float] | NDArray[np.floating[Any]]
ScoreFunction = Callable[[Steps], Numbers | Scoring[Numbers]]
"""A user's own method: one score for each step, higher = keep; a generator if a model has to read."""


class Method(NamedTuple):
    """A step-level method without settings; a method with settings is a dataclass of them."""

    name: str
    score: "Callable[[Steps], list[float] | Scoring[list[float]]]"
    reads: Callable[[Size], float]
    entropies: bool = False


def nothing(size: Size) -> float:
    """The cost of a method that needs no model."""
    return 0.0


def one_pass(size: Size) -> float:
    """The cost of reading the trace once."""
    return size.trace


def alignment_reads(size: Size) -> float:
    """The cost of reading the trace with and without the answer before it."""
    return 2 * size.trace + size.answer


def prefix_reads(size: Size) -> float:
    """The cost of reading the trace, or half of it for each step by a model that reads anew, and the answer before the first step and
    behind each.
    """
    traces = (size.steps + 1) / 2 if size.anew else 1
    return traces * size.trace + (size.steps + 1) * size.answer


def is_one_pass(method: StepMethod) -> bool:
    """Whether the method needs no more than one pass over the trace."""
    return method.reads(Size(2, 1.0, 1.0)) <= 1.0


def needs_model(method: StepMethod) -> bool:
    """Whether a model has to read the trace."""
    return method.reads(Size(2, 1.0, 1.0)) > 0.0


def needs_entropies(method: StepMethod) -> bool:
    """Whether the method scores by entropies, which only a model in this process gives."""
    return isinstance(method, Method) and method.entropies


def scores_of(method: StepMethod, steps: Steps) -> Scoring[list[float]]:
    """The method's scores, returned directly or by a generator. Raises RowError unless they are finite numbers."""
    scores = method.score(steps)
    found = (yield from scores) if isinstance(scores, Generator) else scores
    if not isinstance(found, (Sequence, np.ndarray)):
        raise RowError("bad_scores", f"method {method.name} gave a {type(found).__name__}; a list of numbers is expected")
    if len(found) != len(steps.texts):
        raise RowError("bad_scores", f"method {method.name} gave {len(found)} score{'s' * (len(found) != 1)} for {len(steps.texts)} steps")
    if {*map(type, found)} <= {float} and all(map(isfinite, found)):
        return list(found)
    return [_number(method, score) for score in found]


def _number(method: StepMethod, score: object) -> float:
    try:
        value = float(score) if isinstance(score, Real) else nan
    except OverflowError:
        value = nan
    if not isfinite(value):
        raise RowError("bad_scores", f"method {method.name} gave the score {score!r} for a step; a finite number is expected")
    return value
