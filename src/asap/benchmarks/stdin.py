"""Problems whose solution is a whole program that reads standard input, one's own or as published (`row_tests`)."""

from dataclasses import replace
from pathlib import Path

from asap.benchmarks.files import rows_of
from asap.benchmarks.problem import Problem, Stdin
from asap.benchmarks.traces import question_of, row_problem
from asap.benchmarks.wording import worded
from asap.errors import InputError, UsageError


def stdin_file() -> Path:
    """None is official. Raises UsageError."""
    raise UsageError("stdin needs a file of problems; write stdin:FILE")


def stdin(path: Path) -> list[Problem]:
    """A problem for each row. Raises InputError if no row has inputs with outputs that can be used."""
    problems = list[Problem]()
    for row in rows_of(path):
        problem = row_problem(row)
        if not isinstance(problem.check, Stdin):
            why = f"{row.place}: its tests call a function or are test code; for such rows, write traces:{path.name}"
            problem = replace(problem, check=Stdin([], [], lambda output, expected: False), untestable=why)
        elif problem.extraction == "asap" and (statement := question_of(row.value)):
            problem = replace(problem, question=worded("stdin", statement=statement))
        problems.append(problem)
    if problems and all(problem.untestable for problem in problems):
        raise InputError(problems[0].untestable)
    return problems
