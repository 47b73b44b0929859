"""LiveCodeBench's code generation problems, by release window: `v1_v3` are the files 1 to 3, `v5` is file 5 alone.

Private tests are decoded without unpickling them. If a file has none, only the public ones remain, and Pass@1 overstates.
"""

import base64
import io
import json
import pickle
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from asap.benchmarks.files import FileRow, data_file, hub_file, rows_of
from asap.benchmarks.problem import Calls, Problem, Stdin
from asap.benchmarks.values import same_output, same_value
from asap.benchmarks.wording import worded
from asap.errors import InputError, UsageError

COUNTS = (400, 111, 101, 101, 167, 175)
"""Problems in the files 1 to 6: v1_v3 is 612, v4_v5 is 268."""

HEADER = """\
from string import *
from re import *
from datetime import *
from collections import *
from heapq import *
from bisect import *
from copy import *
from math import *
from random import *
from statistics import *
from itertools import *
from functools import *
from operator import *
from io import *
from sys import *
from json import *
from builtins import *
from typing import *
import string, re, datetime, collections, heapq, bisect, copy, math, random
import statistics, itertools, functools, operator, io, sys, json
sys.setrecursionlimit(50000)
"""
"""The imports that the benchmark lets every solution assume, prepended to each."""

_HUB = "livecodebench/code_generation_lite"
_WINDOW = re.compile(r"(?:release_)?v([1-9])(?:_v([1-9]))?")
_MOST_BYTES = 1 << 30


def window_files(window: str) -> list[int]:
    """The numbers of the files of a window. `release_v3` is the benchmark's own name for everything up to file 3."""
    found = _WINDOW.fullmatch(window)
    first = 1 if window.startswith("release_") else int(found[1]) if found else 0
    last = int(found[2] or found[1]) if found else 0
    if not 1 <= first <= last <= len(COUNTS):
        raise UsageError(
            f"LiveCodeBench window {window!r}; write v1_v3, v4_v5, or any vA_vB, vN or release_vN with numbers 1 to {len(COUNTS)}"
        )
    return list(range(first, last + 1))


def livecodebench_file(number: int) -> Path:
    """One of the official files, from $ASAP_DATA or the Hub. Raises InputError or MissingExtra."""
    name = f"test{number if number > 1 else ''}.jsonl"
    folder = "benchmarks/livecodebench"
    return data_file([f"{folder}/{prefix}{name}{end}" for prefix in ("", "refined_") for end in ("", ".gz")]) or hub_file(_HUB, name)


def livecodebench(path: Path) -> list[Problem]:
    """The problems of one file. Raises InputError."""
    return [livecodebench_problem(row) for row in rows_of(path)]


def livecodebench_problem(row: FileRow) -> Problem:
    """The problem of a row in this format. Raises InputError."""
    tests = _tests(row, "public_test_cases", row.text("public_test_cases"))
    private = row.text("private_test_cases", "")
    tests += _tests(row, "private_test_cases", private if private[:1] in ("", "[") else _unpacked(row, private)) if private else []
    starter = row.text("starter_code", "")
    kinds = {test["testtype"] for test in tests}
    if len(kinds) > 1 or not kinds <= {"stdin", "functional"}:
        raise InputError(f"{row.place}: tests of the kinds {sorted(kinds)}; all of kind stdin or all of kind functional are expected")
    statement = row.text("question_content").replace("\r\n", "\n").strip()
    check: Calls | Stdin
    if starter.strip():
        question, check = worded("call", statement=statement, starter=starter.rstrip()), _calls(row, starter, tests)
    else:
        question = worded("stdin", statement=statement)
        check = Stdin([test["input"] for test in tests], [test["output"] for test in tests], same_output)
    public = not private
    return Problem(row.text("question_id"), question, None, check, public_only=public, header=HEADER, extraction="livecodebench")


def _calls(row: FileRow, starter: str, tests: Sequence[dict[str, str]]) -> Calls:
    try:
        inputs = [[json.loads(line) for line in test["input"].split("\n")] for test in tests]
        expected = [json.loads(test["output"]) for test in tests]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{row.place}: a test of kind functional is not JSON ({error})") from error
    return Calls(_entry_point(row, starter), inputs, expected, same_value)


def _entry_point(row: FileRow, starter: str) -> str:
    """The function to call: named in the metadata of the official files, else the only one in the starter code.

    As in the benchmark, it is a method of the class `Solution` if the answer has one, and otherwise a function.
    """
    metadata = row.value.get("metadata")
    told = json.loads(metadata).get("func_name") if isinstance(metadata, str) and metadata.startswith("{") else None
    names = [told] if told else re.findall(r"def\s+(\w+)\s*\(", starter)
    if not names:
        raise InputError(f"{row.place}: starter_code defines no function, so there is nothing to call")
    made = re.search(r"^class\s+(\w+)", starter, re.MULTILINE)
    return f"{made[1]}.{names[-1]}|{names[-1]}" if made else f"{names[-1]}|Solution.{names[-1]}"


def _tests(row: FileRow, name: str, text: str) -> list[dict[str, str]]:
    try:
        tests = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{row.place}: {name} is not JSON ({error})") from error
    if not isinstance(tests, list) or not all(
        isinstance(test, dict) and all(isinstance(test.get(key), str) for key in ("input", "output", "testtype")) for test in tests
    ):
        raise InputError(f"{row.place}: {name} is no list of tests with the texts input, output and testtype")
    return tests


class _OnlyText(pickle.Unpickler):
    """Reads a pickled str, and refuses anything that needs a class, a function or a persistent object."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse."""
        raise pickle.UnpicklingError(f"it wants {module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse."""
        raise pickle.UnpicklingError("it wants a persistent object")


def _unpacked(row: FileRow, text: str) -> str:
    """The private tests, decoded from the file's format: a JSON text, pickled, compressed, in base64."""
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
        value: Any = _OnlyText(io.BytesIO(data)).load()
    except Exception as error:  # border: damaged pickles raise errors of every type
        raise InputError(f"{row.place}: private_test_cases cannot be decoded ({type(error).__name__}: {error})") from error
    if type(value) is not str:
        raise InputError(f"{row.place}: private_test_cases holds a {type(value).__name__}; a text of JSON is expected")
    return value
