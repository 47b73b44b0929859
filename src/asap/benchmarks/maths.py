"""Benchmarks of mathematics, and the user's own: a question, and a gold result with which the answer's is compared.

Of GSM8K's 1,319 test questions 582 are those of the R1 and QwQ traces of MiP-Overthinking. `gsm8k:clean` is the other 737, for models that
were trained on these traces; `gsm8k_traced.txt` has the digests of the 582.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from asap.benchmarks.files import FileRow, data_file, hub_file, rows_of
from asap.benchmarks.gold import gold_of
from asap.benchmarks.problem import GoldResult, Problem, ResultRule
from asap.benchmarks.traces import question_of, row_id, some_usable
from asap.benchmarks.wording import worded
from asap.digest import content_digest
from asap.errors import InputError, UsageError
from asap.maths_result import after_mark

_FOLDER = "benchmarks/maths"
_HUB = {
    "gsm8k_test": ("openai/gsm8k", "main/test-00000-of-00001.parquet"),
    "math500": ("HuggingFaceH4/MATH-500", "test.jsonl"),
    "aime24": ("HuggingFaceH4/aime_2024", "data/train-00000-of-00001.parquet"),
    "aime25": ("math-ai/aime25", "test.jsonl"),
}


def maths_file(name: str) -> Callable[[], Path]:
    """How to find the official file of this name: under $ASAP_DATA or on the Hub. It raises InputError or MissingExtra."""
    return lambda: data_file([f"{_FOLDER}/{name}.jsonl.gz", f"{_FOLDER}/{name}.jsonl"]) or hub_file(*_HUB[name])


def svamp_file() -> Path:
    """SVAMP's 1,000 problems under $ASAP_DATA; data sets on the Hub split them. Raises InputError."""
    found = data_file([f"{_FOLDER}/svamp_test.jsonl.gz", f"{_FOLDER}/svamp_test.jsonl"])
    if found is None:
        raise InputError(
            f"SVAMP is not here; put its 1,000 problems (ID, Body, Question, Answer) as {_FOLDER}/svamp_test.jsonl under the folder "
            "that ASAP_DATA names"
        )
    return found


def no_maths_file() -> Path:
    """None is official. Raises UsageError."""
    raise UsageError("maths needs a file of problems; write maths:FILE")


def gsm8k(path: Path) -> list[Problem]:
    """The problems of GSM8K, named by their places in the file, which gives them no names. Raises InputError."""
    rows = enumerate(rows_of(path))
    return [_problem(f"gsm8k/{place}", row.text("question"), _after_mark(row), "gsm8k") for place, row in rows]


def gsm8k_clean(path: Path) -> list[Problem]:
    """Those problems of GSM8K that are not in the traces of MiP-Overthinking. Raises InputError."""
    pairs = [*zip(rows_of(path), gsm8k(path), strict=True)]
    clean = [problem for row, problem in pairs if question_digest(row.text("question")) not in _traced()]
    if len(pairs) - len(clean) != len(_traced()):
        found = f"{len(pairs) - len(clean)} of the {len(_traced())} questions"
        raise InputError(f"{path}: {found} that gsm8k:clean leaves out are in it, so it is not the official file; get it again")
    return clean


def question_digest(question: str) -> str:
    """Sixteen hex digits that identify a question."""
    return hashlib.sha256(question.encode()).hexdigest()[:16]


@cache
def _traced() -> frozenset[str]:
    lines = files("asap.benchmarks").joinpath("gsm8k_traced.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def math500(path: Path) -> list[Problem]:
    """The problems of MATH-500. Raises InputError."""
    return [_problem(row.text("unique_id"), row.text("problem"), row.text("answer"), "math-verify") for row in rows_of(path)]


def aime(path: Path) -> list[Problem]:
    """The problems of a year of the AIME, whose results are whole numbers, some with leading zeros. Raises InputError."""
    return [_problem(_id(row), row.text("problem"), row.text("answer").lstrip("0") or "0", "math-verify") for row in rows_of(path)]


def svamp(path: Path) -> list[Problem]:
    """The problems of SVAMP. Raises InputError."""
    rows = rows_of(path)
    return [_problem(row.text("ID"), f"{row.text('Body').strip()} {row.text('Question').strip()}", _number(row), "gsm8k") for row in rows]


def maths(path: Path) -> list[Problem]:
    """A problem for each question of a file with its gold result. Raises InputError if no row has one."""
    return some_usable(maths_problems(rows_of(path)))


def maths_problems(rows: Iterable[FileRow]) -> list[Problem]:
    """The problems of rows with gold results, in the columns that `asap prune --only-passing` reads; a row without one says so.

    Raises InputError if rows with the same id differ in question or gold result.
    """
    found = dict[str, Problem]()
    for row in rows:
        question, gold = question_of(row.value), gold_of(row.value)
        name = row_id(row.value) or content_digest(question, gold)[:16]
        why = "" if gold else f"{row.place}: no gold answer; docs/data.md lists the columns that are read"
        problem = _problem(name, question, gold or "", "math-verify", why)
        if found.setdefault(name, problem) != problem:
            raise InputError(f"{row.place}: another row has the id {name!r} and another question or gold answer; each needs one of its own")
    return [*found.values()]


def _problem(name: str, question: str, gold: str, rule: ResultRule, untestable: str = "") -> Problem:
    return Problem(name, worded("maths", question=question) if question else "", None, GoldResult(gold, rule), untestable=untestable)


def _after_mark(row: FileRow) -> str:
    if not (gold := after_mark(row.text("answer"))):
        raise InputError(f"{row.place}: answer has no ####, which GSM8K's result follows")
    return gold


def _id(row: FileRow) -> str:
    if (name := row_id(row.value)) is None:
        raise InputError(f"{row.place}: id is missing; a text or a whole number is expected")
    return name


def _number(row: FileRow) -> str:
    value: object = row.value.get("Answer")
    if isinstance(value, str):
        return value
    if not isinstance(value, (int, float)):
        raise InputError(f"{row.place}: Answer is {value!r:.40}; a number is expected")
    return str(int(value)) if float(value).is_integer() else str(value)
