"""Names of benchmarks, their official files and counts, and files that are no use."""

import gzip
import json
from pathlib import Path

import pytest

from asap.benchmarks.load import load_benchmark
from asap.benchmarks.problem import Calls, Program, Stdin
from asap.errors import InputError, UsageError

HUMANEVAL_ROW = {
    "task_id": "own/0",
    "prompt": "from typing import List\n\n\ndef double(x: int) -> int:\n    '''Twice x.'''\n",
    "entry_point": "double",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    "canonical_solution": "    return 2 * x\n",
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "count", "references", "kind"),
    [
        ("humaneval", 164, 164, Program),
        ("humaneval+", 164, 164, Calls),
        ("mbpp+", 378, 378, Calls),
        ("leetcode", 228, 228, Program),
        ("livecodebench:v1_v3", 612, 0, (Calls, Stdin)),
        ("livecodebench:v4_v5", 268, 0, (Calls, Stdin)),
        ("livecodebench:v6", 175, 0, (Calls, Stdin)),
        ("livecodebench:release_v2", 511, 0, (Calls, Stdin)),
        ("traces", 545, 545, Program),
    ],
)
def test_the_official_files_hold_as_many_problems_as_they_should(
    name: str, count: int, references: int, kind: type, asap_data: Path
) -> None:
    benchmark = load_benchmark(name)
    assert len(benchmark.problems) == count
    assert sum(bool(problem.references) for problem in benchmark.problems) == references
    assert all(isinstance(problem.check, kind) for problem in benchmark.problems)
    assert all(problem.question.strip() and "{" + "code}" not in problem.question for problem in benchmark.problems)
    assert len({problem.task_id for problem in benchmark.problems}) == count


def test_a_file_with_public_tests_only_says_so(asap_data: Path) -> None:
    benchmark = load_benchmark("livecodebench:v4_v5")
    official = (asap_data / "benchmarks/livecodebench/test4.jsonl").exists()
    assert benchmark.public_only == (0 if official else 268)


def test_an_official_file_that_lost_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "benchmarks/humaneval"
    folder.mkdir(parents=True)
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(HUMANEVAL_ROW).encode() + b"\n"))
    monkeypatch.setenv("ASAP_DATA", str(tmp_path))
    with pytest.raises(InputError, match="has 164 problems, but this one holds 1"):
        load_benchmark("humaneval")


def test_a_benchmark_that_is_not_here_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASAP_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"HumanEvalPlus-v0\.1\.10\.jsonl\.gz from https://github.com/evalplus"):
        load_benchmark("humaneval+")
    with pytest.raises(InputError, match="name the rows"):
        load_benchmark("traces")


def test_problems_of_ones_own_in_humanevals_format(tmp_path: Path) -> None:
    benchmark = load_benchmark(f"humaneval:{write(tmp_path / 'own.jsonl', HUMANEVAL_ROW)}")
    [problem] = benchmark.problems
    assert benchmark.name == "humaneval:own.jsonl"
    assert isinstance(problem.check, Program)
    assert (problem.check.entry_point, problem.check.check) == ("double", "check")
    assert problem.check.prelude == "from typing import List\n\n\n", "the function itself is for the solution to write"
    assert problem.references == [HUMANEVAL_ROW["prompt"] + HUMANEVAL_ROW["canonical_solution"]]
    assert HUMANEVAL_ROW["prompt"].strip() in problem.question


def test_problems_of_ones_own_in_leetcodes_format(tmp_path: Path) -> None:
    row = {
        "task_id": "two-sum",
        "prompt": "from typing import *\n",
        "entry_point": "Solution().twoSum",
        "test": "def check(candidate):\n    assert candidate(nums=[1], target=2) == []\n",
        "problem_description": "Find two numbers.",
        "starter_code": "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        ",
    }
    [problem] = load_benchmark(f"leetcode:{write(tmp_path / 'own.jsonl', row)}").problems
    assert isinstance(problem.check, Program)
    assert problem.check.entry_point == "Solution.twoSum"
    assert problem.check.prelude == row["prompt"]
    assert not problem.references
    assert "Find two numbers." in problem.question
    assert "def twoSum" in problem.question


def test_training_rows_with_a_pytest_file_or_with_asserts(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "Add one.", "test_file": "from solution import f\n\ndef test_f():\n    assert f(1) == 2\n"},
        {"question": "Add two.", "test_list": ["assert f(1) == 3", "assert f(2) == 4"]},
    ]
    one, other = load_benchmark(f"traces:{write(tmp_path / 'rows.jsonl', *rows)}").problems
    assert one.task_id == "a"
    assert one.question.endswith("It must define f.")
    assert isinstance(one.check, Program)
    assert (one.check.source, one.check.check) == (rows[0]["test_file"], None)
    assert isinstance(other.check, Program)
    assert "    assert f(2) == 4\n" in other.check.source
    assert "from solution import f\n" in other.check.source


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("human-eval", "unknown benchmark 'human-eval'; write one of: humaneval,"),
        ("", "unknown benchmark ''"),
        ("humaneval:", "unknown benchmark 'humaneval:'"),
        ("mbpp+:own.jsonl", "unknown benchmark"),
        ("livecodebench", "names no release window"),
        ("livecodebench:v7", "window 'v7'; write v1_v3"),
        ("livecodebench:v3_v1", "window 'v3_v1'"),
        ("livecodebench:2024", "window '2024'"),
    ],
)
def test_names_that_stand_for_nothing(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("+", r"\+")):
        load_benchmark(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, "line 1: test is missing; a text is expected"),
        ({"prompt": 3}, "line 1: prompt is int; a text is expected"),
        ({"test": "assert double(2) == 4"}, r"line 1: test defines no check\(candidate\)"),
    ],
)
def test_rows_that_are_no_problem(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", {**HUMANEVAL_ROW, **change})
    with pytest.raises(InputError, match=message):
        load_benchmark(f"humaneval:{path}")


def test_files_that_are_no_use(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_benchmark(f"humaneval:{tmp_path / 'no.jsonl'}")
    with pytest.raises(InputError, match="two problems have the id 'own/0'"):
        load_benchmark(f"humaneval:{write(tmp_path / 'twice.jsonl', HUMANEVAL_ROW, HUMANEVAL_ROW)}")
    (tmp_path / "broken.jsonl").write_text(json.dumps(HUMANEVAL_ROW) + "\n{no json\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"broken\.jsonl, line 2"):
        load_benchmark(f"humaneval:{tmp_path / 'broken.jsonl'}")
    with pytest.raises(InputError, match="brings no tests"):
        load_benchmark(f"traces:{write(tmp_path / 'rows.jsonl', {'question': 'Add one.'})}")
