"""Training rows with their own tests (`row_tests`), and rows of HumanEval, LeetCodeDataset and LiveCodeBench among them.

A row whose tests cannot be used stays a problem, which says why, so that nothing is dropped in silence.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from asap.benchmarks.decoding import decoded
from asap.benchmarks.files import FileRow, data_file, rows_of
from asap.benchmarks.humaneval import humaneval_problem
from asap.benchmarks.leetcode import leetcode_problem
from asap.benchmarks.livecodebench import livecodebench_problem
from asap.benchmarks.problem import Calls, Check, Problem, Program, Stdin
from asap.benchmarks.row_tests import tests_of
from asap.benchmarks.values import same_output
from asap.benchmarks.wording import worded
from asap.dataset.chat import chat_turns
from asap.digest import content_digest
from asap.errors import InputError, RowError
from asap.fences import blocks
from asap.python_code import UNREADABLE

_FILE = "traces/kodcode_r1.jsonl.gz"
_IDS = ("id", "task_id", "question_id", "problem_id", "uuid", "name")
_QUESTIONS = (
    *("question", "prompt", "text", "problem", "description", "question_content", "problem_description", "instruction", "statement"),
    *("query", "instruct_prompt", "complete_prompt", "input"),
)
_AROUND = ("input_format", "output_format")
_REFERENCES = (
    "reference_solution",
    "canonical_solution",
    "gold_standard_solution",
    "ground_truth_solution",
    "solution",
    "code",
    "solutions",
    "accepted_solutions",
)
_BEGUN = ("code_prompt", "complete_prompt", "prompt")
"""What a reference that is no whole program continues (BigCodeBench)."""

_PYTHON_3 = re.compile(r"(python|pypy)? ?3.*|python", re.IGNORECASE)
_CODE_LINE = re.compile(r"^[ \t]*(def|class|import|from)\s", re.MULTILINE)


def traces_file() -> Path:
    """KodCode's traces under $ASAP_DATA. Raises InputError."""
    found = data_file([_FILE])
    if found is None:
        raise InputError(f"name the rows to take tests from, as in traces:rows.jsonl, or put {_FILE} under the folder that ASAP_DATA names")
    return found


def traces(path: Path) -> list[Problem]:
    """A problem for each row, under the row's id (or one derived from its content). Raises InputError if no row has usable tests."""
    return some_usable(trace_problems(rows_of(path)))


def trace_problems(rows: Iterable[FileRow]) -> list[Problem]:
    """The problems of rows; those whose tests cannot be used say why.

    Rows with the same id, question and tests are trials of one problem.
    """
    return _merged(map(row_problem, rows))


def some_usable(problems: list[Problem]) -> list[Problem]:
    """The problems. Raises InputError, with what the first of them says, if none can be used."""
    if problems and all(problem.untestable for problem in problems):
        raise InputError(problems[0].untestable)
    return problems


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    found = dict[str, Problem]()
    others = list[Problem]()
    for problem in problems:
        first = found.setdefault(problem.task_id, problem)
        if first is not problem and (first.check, first.question) == (problem.check, problem.question):
            found[problem.task_id] = replace(first, references=[*dict.fromkeys([*first.references, *problem.references])])
        elif first is not problem:
            others.append(problem)
    return [*found.values(), *others]


def row_id(row: Mapping[str, object]) -> str | None:
    """The id of a row as a text: of the first id column with a text or a whole number."""
    for name in _IDS:
        value = row.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def problem_of(row: FileRow, name: str) -> Problem:
    """The problem that a row's tests make, under a name. Raises RowError, or InputError for a row of a benchmark, if they are of no use."""
    if reader := _own_reader(row):
        return replace(reader(row), task_id=name)
    references = list(dict.fromkeys(_references(row)))
    tests = tests_of(row.value, references)
    return Problem(name, _worded(question_of(row.value), tests.check), None, tests.check, references, tests.public_only)


def row_problem(row: FileRow) -> Problem:
    """The problem of a row, which says why if its tests cannot be used."""
    name = row_id(row.value) or content_digest(dict(row.value))[:16]
    try:
        return problem_of(row, name)
    except RowError as error:
        why = f"{row.place}: {error.detail}"
    except InputError as error:
        why = str(error)
    nothing = Stdin([], [], same_output)
    return Problem(name, _worded(question_of(row.value), nothing), None, nothing, untestable=why)


def _own_reader(row: FileRow) -> Callable[[FileRow], Problem] | None:
    """The reader of a row that has the form of one of the benchmarks; None for all others."""
    test, prompt = row.value.get("test"), row.value.get("prompt")
    if isinstance(test, str) and re.search(r"^def check\(", test, re.MULTILINE) and row.value.get("entry_point"):
        continues = isinstance(prompt, str) and re.search(rf"def\s+{re.escape(str(row.value['entry_point']))}\b", prompt)
        return humaneval_problem if continues else leetcode_problem
    return livecodebench_problem if "question_content" in row.value and "public_test_cases" in row.value else None


def question_of(row: Mapping[str, object]) -> str:
    """The task as a row words it; empty if no column does."""
    for name in _QUESTIONS:
        value = row.get(name)
        if isinstance(value, list):  # a chat: its last message of the user
            try:
                said = [turn.content for turn in chat_turns(value, name) if turn.role == "user"]
            except RowError:  # a list of something else
                continue
            value = said[-1] if said else None
        if isinstance(value, str) and value.strip():
            more = [text for column in _AROUND if name == "description" and isinstance(text := row.get(column), str) and text.strip()]
            return "\n\n".join(text.strip() for text in (value, *more))
    return ""


def _worded(question: str, check: Check) -> str:
    """The request to a model, with the names that an answer must define: a question may omit them, but the tests need them."""
    if not question:
        return ""
    names = check.entry_point if isinstance(check, Calls) else _imported(check.source) if isinstance(check, Program) else ""
    return worded("trace_named", question=question, names=names) if names else worded("trace", question=question)


def _imported(source: str) -> str:
    """The names that the tests import from the solution."""
    found = re.findall(r"^[ \t]*from solution import (?:\(([^)]*)\)|([^\n(*#]+))", source, re.MULTILINE)
    names = [name.strip() for group in found for name in ",".join(group).split(",")]
    return ", ".join(dict.fromkeys(name for name in names if name.isidentifier()))


def _references(row: FileRow) -> Iterator[str]:
    """The known solutions of a row that are Python."""
    for name in _REFERENCES:
        value = decoded(row.value.get(name))
        if isinstance(value, str):
            yield from [program for program in [_whole(row.value, _program(value))] if _CODE_LINE.search(program) or _is_python(program)]
        else:  # of many some are for Python 2, which is no fault of the tests
            yield from filter(_is_python, map(_program, _texts(value)))


def _texts(value: object) -> Iterator[str]:
    """The Python 3 texts in a list of solutions, in two lists of languages and solutions, or in a list of objects with both."""
    if isinstance(value, Mapping) and isinstance(value.get("solution"), list) and isinstance(value.get("language"), list):
        value = [{"language": language, "solution": text} for language, text in zip(value["language"], value["solution"], strict=False)]
    for one in value if isinstance(value, list) else []:
        if isinstance(one, Mapping):
            language = one.get("language", one.get("programmingLanguage", 3))
            one = next((text for name in ("code", "solution") if (text := one.get(name))), None) if _is_python_3(language) else None
        if isinstance(one, str):
            yield one


def _is_python_3(language: object) -> bool:
    """Whether a language is Python 3 by name, or by its number in CodeContests."""
    return language == 3 or bool(isinstance(language, str) and _PYTHON_3.fullmatch(language))


def _program(text: str) -> str:
    """The last code block of a text, or the text if it has none."""
    found = blocks(text)
    return found[-1].code if found else text


def _whole(row: Mapping[str, object], program: str) -> str:
    """A program, after what it continues if it is none by itself."""
    if _is_python(program):
        return program
    begun = (begin + program for name in _BEGUN if isinstance(begin := row.get(name), str))
    return next(filter(_is_python, begun), program)


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except UNREADABLE:
        return False
    return bool(text.strip())
