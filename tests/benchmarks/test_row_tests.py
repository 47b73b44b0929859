"""Tests of training rows: which columns count, what is refused and how that is told, ids, questions and references."""

import json
from pathlib import Path
from typing import Any

import pytest

from asap.benchmarks.asserts import asserts_file, pytest_file
from asap.benchmarks.load import load_benchmark
from asap.benchmarks.problem import Calls, Program, Stdin
from asap.errors import InputError

GOOD = {"id": "good", "question": "Add one.", "test_list": ["assert inc(1) == 2"]}
CASE = {"input": "1\n", "output": "2\n"}


def problems(tmp_path: Path, *rows: dict[str, Any]) -> list[Any]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(load_benchmark(f"traces:{path}").problems)


_DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"question": "Add one."},
            "the row brings no tests; a pytest file, assert statements, or inputs and outputs are expected in one of test_file,",
        ),
        ({"test": 5}, "test is 5; test code, or inputs with outputs, are expected"),
        ({"test": "def test_it(:\n"}, "test: no usable Python"),
        ({"input_output": {"fn_name": "f", "inputs": [_DEEP], "outputs": ["1"]}}, "input_output[0]: an input of f is no JSON"),
        ({"test_list": ["assert (1"]}, "test_list: no usable Python"),
        ({"test_list": ["inc(1) == 2"]}, "test_list: no usable Python (the statements assert nothing, so every solution would pass)"),
        ({"test": "print(inc(1))\n"}, "test: no usable Python (the statements assert nothing"),
        ({"test_list": ["assert 1", 5]}, "test_list[1] is 5; a text is expected"),
        ({"test_list": ["assert 1"], "test_imports": 3}, "test_imports is 3; a list of import statements is expected"),
        ({"official_tests": [CASE, {"input": "1"}]}, 'official_tests[1] is {"input": "1"}; an object with input and output is expected'),
        ({"official_tests": [{"input": 1, "output": "2"}]}, "official_tests[0], input is 1; a text is expected"),
        (
            {"official_tests": [CASE], "generated_checker": "import sys"},
            'generated_checker is "import sys"; only problems with one right output',
        ),
        ({"official_tests": [CASE], "interaction_format": "Ask."}, 'interaction_format is "Ask."; only problems without interaction'),
        ({"official_tests": [CASE], "input_mode": "file"}, 'input_mode is "file"; only programs that read standard input'),
        (
            {"input_output": {"inputs": ["1"], "outputs": []}},
            'input_output is {"inputs": ["1"], "outputs": []}; inputs and outputs, lists of one length',
        ),
        ({"input_output": {"inputs": [3], "outputs": [4], "fn_name": "inc"}}, "input_output[0], input is 3; the list of arguments of inc"),
        ({"verification_info": {"language": "cpp", "test_cases": [CASE]}}, "verification_info.language is 'cpp'; python is expected"),
        ({"tests": [{"type": "spj", **CASE}]}, 'tests[0]: the type is "spj"; allowed: stdin, stdin_stdout,'),
        ({"tests": [{"type": "functional", **CASE}]}, 'tests[0]: the type is "functional", but no fn_name says which function to call'),
        ({"tests": [{"fn_name": "a", **CASE}, {"fn_name": "b", **CASE}]}, "tests: tests of 2 functions or kinds; one is expected"),
        ({"inputs": ["[1]"], "outputs": ["2"], "func_name": "a"}, 'inputs and outputs[0], input is "[1]"; the list of arguments of a'),
        (
            {"official_tests": [{"input": "1", "output": ""}]},
            "official_tests: every expected output is empty, so a solution",
        ),
        ({"input_output": {"fn_name": "a", "inputs": [[1]], "outputs": [None]}}, "input_output: every expected output is empty"),
        ({"verification_info": {"ground_truth": "2"}}, 'verification_info.ground_truth is "2"; test code, or inputs with outputs'),
        ({"tests": [{"fn_name": "a", "input": "one", "output": "2"}]}, "tests[0]: an input of a is no JSON"),
    ],
)
def test_what_cannot_be_used_is_named_and_left_out(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    bad, good = problems(tmp_path, {"id": "bad", **row}, GOOD)
    assert f"rows.jsonl, line 1: {message}" in bad.untestable
    assert not bad.references
    assert not good.untestable
    with pytest.raises(InputError, match="line 1"):
        problems(tmp_path, {"id": "bad", **row})


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"id": "a", "task_id": "b"}, "a"),
        ({"id": None, "task_id": 11}, "11"),
        ({"id": "", "question_id": "q"}, "q"),
        ({"problem_id": 3.0}, "3"),
        ({"name": "1_A"}, "1_A"),
        ({"id": True, "uuid": "u"}, "u"),
    ],
)
def test_the_id_of_a_row(columns: dict[str, Any], expected: str, tmp_path: Path) -> None:
    [problem] = problems(tmp_path, {"test_list": GOOD["test_list"], **columns})
    assert problem.task_id == expected


def test_a_row_without_an_id_gets_one_from_its_content(tmp_path: Path) -> None:
    one, other = problems(tmp_path, *({"question": text, "test_list": GOOD["test_list"]} for text in ("?", "!")))
    assert len({one.task_id, other.task_id}) == 2


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"question": "Q", "prompt": "P"}, "Q"),
        ({"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "P"}]}, "P"),
        ({"description": "D", "input_format": "One n.", "output_format": "Its half."}, "D\n\nOne n.\n\nIts half."),
        ({"question": " ", "text": "T"}, "T"),
        ({"prompt": [1, 2], "instruction": "I"}, "I"),
    ],
)
def test_the_question_of_a_row(columns: dict[str, Any], expected: str, tmp_path: Path) -> None:
    [problem] = problems(tmp_path, {"id": 1, "official_tests": [CASE], **columns})
    assert problem.question == f"{expected}\n\nGive the complete program in one Python code block."


def test_the_names_that_tests_need_are_asked_for(tmp_path: Path) -> None:
    asserts, call = problems(
        tmp_path, GOOD, {**GOOD, "id": 2, "test_list": [], "input_output": {"fn_name": "inc", "inputs": [[1]], "outputs": [2]}}
    )
    assert asserts.question.endswith("It must define inc.")
    assert call.question.endswith("It must define inc.")


def test_references_are_the_python_3_ones(tmp_path: Path) -> None:
    codes = ["print input()", "print(1)", "x = 1"]
    accepted = [
        {"language": "PyPy 3-64", "code": "print(1)"},
        {"language": "GNU C++17", "code": "x = 1"},
        {"language": "Python 2", "code": "y = 1"},
    ]
    rows = [
        {"solutions": json.dumps(codes)},
        {"solutions": {"language": [3, 1, 3], "solution": ["print(1)", "print 2", "x = 1"]}},
        {"accepted_solutions": accepted},
        {"solution": "So it is two."},
        {"solution": "def broken(:\n"},
        {"code": "a = 1", "solutions": ["b = 1"]},
    ]
    found = problems(tmp_path, *({"id": number, "official_tests": [CASE], **row} for number, row in enumerate(rows)))
    assert [problem.references for problem in found] == [
        ["print(1)", "x = 1"],
        ["print(1)", "x = 1"],
        ["print(1)"],
        [],
        ["def broken(:\n"],
        ["a = 1", "b = 1"],
    ]


def test_the_first_group_of_columns_that_holds_tests_counts(tmp_path: Path) -> None:
    both, public, private = problems(
        tmp_path,
        {"id": 1, "test_list": [], "official_tests": [CASE, CASE], "examples": [CASE]},
        {"id": 2, "official_tests": None, "public_tests": {"input": ["1"], "output": ["2"]}, "private_tests": {"input": [], "output": []}},
        {"id": 3, "public_tests": {"input": ["1"], "output": ["2"]}, "private_tests": {"input": ["3"], "output": ["4"]}},
    )
    assert isinstance(both.check, Stdin)
    assert len(both.check.inputs) == 2
    assert (both.public_only, public.public_only, private.public_only) == (False, True, False)
    assert list(private.check.inputs) == ["1", "3"]


def test_arguments_in_livecodebenchs_form(tmp_path: Path) -> None:
    tests = [{"fn_name": "f", "input": text, "output": output} for text, output in (('[1, 2]\n"a"', "null"), ('[]\n"b"', "1"))]
    [problem] = problems(tmp_path, {"id": 1, "tests": tests})
    assert isinstance(problem.check, Calls)
    assert (problem.check.inputs, problem.check.expected) == ([[[1, 2], "a"], [[], "b"]], [None, 1])


def test_a_list_of_one_around_a_value_counts_if_all_expected_values_have_one(tmp_path: Path) -> None:
    outputs: dict[str, list[Any]] = {"wrapped": [[3], [[4, 5]]], "lists": [[3], [4, 5]]}
    tests = {name: {"fn_name": "f", "inputs": [[1], [2]], "outputs": found} for name, found in outputs.items()}
    wrapped, lists = problems(tmp_path, *({"id": name, "input_output": found} for name, found in tests.items()))
    assert all(wrapped.check.equal([], output, expected) for output, expected in ((3, [3]), ([3], [3]), ([4, 5], [[4, 5]])))
    assert all(lists.check.equal([], output, expected) for output, expected in (([3], [3]), ((4, 5), [4, 5]), ([(1, 2)], [[1, 2]])))
    assert not wrapped.check.equal([], 4, [[4, 5]])
    assert not lists.check.equal([], 3, [3])


def test_several_rows_of_one_problem_are_one_problem(tmp_path: Path) -> None:
    trials = [{**GOOD, "trace": trace, "solution": code} for trace, code in (("a", "def inc(x): return x + 1"), ("b", "inc = (1).__add__"))]
    [problem] = problems(tmp_path, *trials)
    assert problem.references == ["def inc(x): return x + 1", "inc = (1).__add__"]
    with pytest.raises(InputError, match="two problems have the id 'good'"):
        problems(tmp_path, GOOD, {**GOOD, "test_list": ["assert inc(1) == 3"]})


def test_a_pytest_file_with_its_own_import_is_kept_as_it_is(tmp_path: Path) -> None:
    source = "from solution import *\n\ndef test_f():\n    assert f(1)\n"
    [problem] = problems(tmp_path, {"id": 1, "test": source})
    assert problem.check == Program(source, None, None)


def test_what_test_code_lacks_is_imported() -> None:
    made = asserts_file(["assert f(len([x for x in y])) == math.pi", "assert str(g) == 'z'"], "y = make()\nimport re")
    imports = ["import math", *(f"from solution import {name}" for name in ("make", "f", "g"))]
    assert made.startswith("\n".join([*imports, "y = make()", "import re", "", "def test_all():", "    assert f("]))
    assert "import" not in asserts_file(["a = 1", "assert a == 1"], "")
    file = "from __future__ import annotations\nimport pytest\n\ndef test_f():\n    assert f(1) == pytest.approx(1)\n"
    assert pytest_file("import os\ndef test_a(): os.remove(__file__)").startswith("import os")
    assert pytest_file(file).startswith("from __future__ import annotations\nfrom solution import f\nimport pytest\n")
