"""LiveCodeBench: windows, private tests that are never unpickled, and how outputs are compared."""

import base64
import json
import os
import pickle
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.benchmarks.livecodebench import COUNTS, livecodebench, window_files
from asap.benchmarks.problem import Calls, Problem, Stdin
from asap.benchmarks.values import same_output, same_value
from asap.errors import InputError

PUBLIC = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
CALL = {"input": "1", "output": "2", "testtype": "functional"}
ROW = {"question_id": "a", "question_content": "Add one.", "starter_code": "", "public_test_cases": json.dumps(PUBLIC)}


def private(value: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def read(tmp_path: Path, **columns: object) -> list[Problem]:
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps({**ROW, **columns}) + "\n", encoding="utf-8")
    return livecodebench(path)


def test_windows_are_ranges_of_files() -> None:
    assert window_files("v1_v3") == [1, 2, 3]
    assert window_files("v5") == [5]
    assert window_files("release_v3") == [1, 2, 3]
    assert sum(COUNTS[number - 1] for number in window_files("v1_v3")) == 612
    assert sum(COUNTS[number - 1] for number in window_files("v4_v5")) == 268


def test_public_tests_alone_are_said_to_be_alone(tmp_path: Path) -> None:
    [problem] = read(tmp_path)
    assert problem.public_only
    assert isinstance(problem.check, Stdin)
    assert (problem.check.inputs, problem.check.expected) == (["1\n"], ["2\n"])


@pytest.mark.parametrize("pack", [private, lambda text: text], ids=["packed", "plain"])
def test_private_tests_are_read_from_either_form(pack: object, tmp_path: Path) -> None:
    more = json.dumps([{"input": "5\n", "output": "6\n", "testtype": "stdin"}])
    [problem] = read(tmp_path, private_test_cases=pack(more))  # type: ignore[operator]
    assert not problem.public_only
    assert problem.check.inputs == ["1\n", "5\n"]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/unpickled-by-asap",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (private(Evil()), "it wants posix.system"),
        (private(["a list"]), "holds a list; a text of JSON is expected"),
        (private("no json"), "is not JSON"),
        ("!!!", "cannot be decoded"),
        (base64.b64encode(b"not compressed").decode(), "cannot be decoded"),
        (base64.b64encode(zlib.compress(b"\x80\x04")).decode(), "cannot be decoded"),
    ],
)
def test_private_tests_that_are_something_else_are_refused_and_run_nothing(value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, private_test_cases=value)
    assert not Path("/tmp/unpickled-by-asap").exists()


@given(st.binary(max_size=200))
def test_no_pickle_at_all_gets_through_unless_it_is_a_text(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(InputError):
        read(Path(folder), private_test_cases="x" + base64.b64encode(zlib.compress(data)).decode()[1:])


def test_calls_of_a_method(tmp_path: Path) -> None:
    tests = json.dumps([{"input": "[1, 2]\n3", "output": "true", "testtype": "functional"}])
    starter = "class Solution:\n    def has(self, numbers: List[int], target: int) -> bool:\n        "
    [problem] = read(tmp_path, starter_code=starter, public_test_cases=tests)
    assert isinstance(problem.check, Calls)
    assert (problem.check.entry_point, problem.check.inputs, problem.check.expected) == ("Solution.has|has", [[[1, 2], 3]], [True])
    [named] = read(tmp_path, starter_code=starter, public_test_cases=tests, metadata=json.dumps({"func_name": "other"}))
    assert named.check.entry_point == "Solution.other|other"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"public_test_cases": "[{}]"}, "no list of tests"),
        ({"public_test_cases": "nothing"}, "public_test_cases is not JSON"),
        ({"public_test_cases": json.dumps([{**PUBLIC[0], "testtype": "oral"}])}, "oral"),
        ({"public_test_cases": json.dumps([*PUBLIC, {**PUBLIC[0], "testtype": "functional"}])}, "functional"),
        ({"starter_code": "x = 1", "public_test_cases": json.dumps([CALL])}, "defines no function"),
    ],
)
def test_rows_that_are_no_problem(columns: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, **columns)


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("2\n", "2", True),
        ("  2  \n\n", "2", True),
        ("2 \n3", "2\n3\n", True),
        ("2\n\n3", "2\n3", False),
        ("2", "3", False),
        ("1.50", "1.5", True),
        ("1 2.0", "1 2", True),
        ("1  2", "1 2", True),
        ("a  b", "a b", False),
        ("YES", "Yes", False),
        ("0.1000001", "0.1", False),
        ("nan", "nan", True),
        ("NaN", "nan", False),
        ("snan", "1", False),
        ("1e3", "1000", True),
        ("1e999999999", "1", False),
        ("", "", True),
        ("", "1", False),
    ],
)
def test_printed_text_is_compared_line_by_line_and_numbers_by_value(output: str, expected: str, same: bool) -> None:
    assert same_output(output, expected) is same


@given(st.text(max_size=50), st.text(max_size=50))
def test_comparing_never_raises_and_equal_texts_are_equal(one: str, other: str) -> None:
    same_output(one, other)
    assert same_output(one, one)


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=3), min_size=1, max_size=5))
def test_numbers_are_equal_however_they_are_written(numbers: list[object]) -> None:
    assert same_output(" ".join(f"{number}" for number in numbers), "  ".join(f"{number}00" for number in numbers))


def test_values_a_tuple_counts_as_a_list() -> None:
    assert same_value([], (1, 2), [1, 2])
    assert not same_value([], [(1, 2)], [[1, 2]])
    assert same_value([], 2.0, 2)
    assert not same_value([], "2", 2)
