"""What a text of an attempt is, told by the text itself where its column does not say, or where the text is not what the column says.

Markdown and thinking in a `solution` or `completion` are read like any answer of a model: no Python program has either.
"""

from typing import NamedTuple

from asap.benchmarks.problem import Calls, GoldResult, Problem, Program
from asap.evaluate.attempt_texts import UNCLEAR
from asap.evaluate.continuation import continuation
from asap.evaluate.extract import code_of, wanted_names
from asap.python_code import defines, parsed
from asap.think import parts_of
from asap.think_tags import TAGS, TagTable


class Told(NamedTuple):
    """What a text is, and the text."""

    kind: str
    text: str


def told(problem: Problem, kind: str, text: str, table: TagTable = TAGS) -> Told:
    """The text as a generation, a solution or a completion. A program that is none as it stands, but Markdown or thinking, is a generation.

    The code block of a completion may hold the rest of the function alone.
    """
    if kind == "generation" or isinstance(problem.check, GoldResult):
        return Told("generation", text)
    if not _has_marks(text, table):
        return _of_unclear(problem, text) if kind == UNCLEAR else Told(kind, text)
    whole = problem.prompt + text if kind == "completion" and problem.prompt is not None else text
    if parsed(whole):
        return Told("solution" if kind == UNCLEAR else kind, text)
    return _continued(problem, text, table) or Told("generation", text)


def _has_marks(text: str, table: TagTable) -> bool:
    """Whether a text has what answers of models have: fences or thinking."""
    return "```" in text or "~~~" in text or parts_of(text, table=table) != (None, text)


def _continued(problem: Problem, text: str, table: TagTable) -> Told | None:
    """An answer as a completion, if its code is the rest of the prompt's function."""
    answer = parts_of(text, table=table).answer
    if answer is None or not problem.prompt:
        return None
    rest = continuation(problem.prompt, answer, code_of(answer), wanted_names(problem))
    return None if rest is None else Told("completion", rest)


def _of_unclear(problem: Problem, text: str) -> Told:
    """A text without code blocks of which nobody says what it is."""
    if problem.prompt and not defines(text, _entry(problem)) and text[:1].isspace() and parsed(problem.prompt + text):
        return Told("completion", text)
    return Told("generation" if parsed(text) is None and code_of(text, names=wanted_names(problem)) else "solution", text)


def _entry(problem: Problem) -> list[str]:
    check = problem.check
    return [check.entry_point.partition(".")[0]] if isinstance(check, (Calls, Program)) and check.entry_point else []
