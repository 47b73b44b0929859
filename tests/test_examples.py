"""The example rows are well formed, and what their answers claim is true."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asap.cli import run as command_line
from asap.steps import split_steps
from asap.think import split_think
from run_fixtures import prune_words, row, write_rows

EXAMPLES = Path(__file__).parents[1] / "examples" / "traces.jsonl"
CHARACTERS_PER_TOKEN = 4
BANDS = {(300, 600): 2, (800, 1500): 4, (1500, 2500): 4, (2500, 3500): 2}  # tokens of a trace: number of rows
LINES = EXAMPLES.read_text("utf-8").removesuffix("\n").split("\n")
ROWS = [json.loads(line) for line in LINES]
PROGRAMS = [row for row in ROWS if "tests" in row]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

every_row = pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
every_program = pytest.mark.parametrize("row", PROGRAMS, ids=[row["id"] for row in PROGRAMS])


def trace(row: dict[str, str]) -> str:
    return split_think(row["response"]).cot


def steps(row: dict[str, str]) -> list[str]:
    cot = trace(row)
    return [cot[span.start : span.end] for span in split_steps(cot)]


def code(row: dict[str, str]) -> str:
    return BLOCK.findall(split_think(row["response"]).answer)[-1]


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter. No sandbox: this is our own code, kept in this repository."""
    command = [sys.executable, "-I", "-X", "utf8", "-"]
    return subprocess.run(command, input=program, capture_output=True, encoding="utf-8", timeout=600, check=False)


def gutted(source: str) -> Iterator[tuple[str, str]]:
    """The name of each function or method, and the source with the body of only that one replaced by `return None`."""
    count = len(functions(ast.parse(source)))
    for at in range(count):
        tree = ast.parse(source)
        function = functions(tree)[at]
        function.body = [ast.Return(ast.Constant(None))]
        yield function.name, ast.unparse(ast.fix_missing_locations(tree))


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_a_dozen_rows_with_ids_of_their_own() -> None:
    assert len(ROWS) == 12
    assert len({row["id"] for row in ROWS}) == 12
    assert len(PROGRAMS) == 11


def test_the_demo_takes_the_short_half_with_the_trace_of_the_picture() -> None:
    (count,) = re.findall(r"asap prune examples/traces.jsonl --limit (\d+) ", (EXAMPLES.parents[1] / "Makefile").read_text("utf-8"))
    shown, others = ROWS[: int(count)], ROWS[int(count) :]
    assert max(len(trace(row)) for row in shown) < min(len(trace(row)) for row in others)
    assert "seat-group" in {row["id"] for row in shown}


def test_the_file_is_plain_utf8_with_unix_line_ends() -> None:
    data = EXAMPLES.read_bytes()
    assert data.endswith(b"}\n")
    assert b"\r" not in data
    assert [json.dumps(row, ensure_ascii=False) for row in ROWS] == LINES


@every_row
def test_a_row_splits_into_trace_and_answer(row: dict[str, str]) -> None:
    thought = split_think(row["response"])
    assert row["response"] == f"<think>\n{thought.cot}\n</think>\n\n{thought.answer}"
    assert row["question"].strip()
    assert thought.answer.strip()
    assert "\r" not in row["question"] + row["response"]
    assert row["license"] == "Apache-2.0"
    assert ("tests" in row) != ("expected" in row)


@every_row
def test_a_trace_is_long_and_has_steps(row: dict[str, str]) -> None:
    assert 1_000 <= len(trace(row)) <= 20_000
    assert len(steps(row)) >= 10


def test_lengths_are_spread() -> None:
    tokens = [len(trace(row)) / CHARACTERS_PER_TOKEN for row in ROWS]
    assert {band: sum(band[0] <= n < band[1] for n in tokens) for band in BANDS} == BANDS


def test_some_steps_are_fences_that_hold_blank_lines() -> None:
    # Outside of a fence a blank line ends the step, so a step with a blank line in it holds a fence around that line.
    fenced = {row["id"]: [step for step in steps(row) if "\n\n" in step] for row in ROWS}
    assert sum(bool(found) for found in fenced.values()) >= 4
    texts = [step for found in fenced.values() for step in found]
    assert all(re.search(r"^\s*(?:```|~~~)python$", step, re.MULTILINE) for step in texts)
    assert any(step.startswith("~~~") for step in texts)
    assert any(re.match(r"[ ]+```", step) for step in texts)


def test_one_trace_at_least_is_not_all_english() -> None:
    assert any(re.search(r"[\u00c0-\u024f]", trace(row)) and re.search(r"[\u4e00-\u9fff]", trace(row)) for row in ROWS)


@every_program
def test_the_code_of_an_answer_passes_its_tests(row: dict[str, str]) -> None:
    assert len(BLOCK.findall(split_think(row["response"]).answer)) == 1
    assert len([node for node in ast.walk(ast.parse(row["tests"])) if isinstance(node, ast.Assert)]) >= 5
    done = run(f"{code(row)}\n{row['tests']}")
    assert done.returncode == 0, done.stderr


@every_program
def test_the_tests_of_a_row_notice_a_missing_body(row: dict[str, str]) -> None:
    survivors = [name for name, source in gutted(code(row)) if run(f"{source}\n{row['tests']}").returncode == 0]
    assert survivors == []


def test_the_maths_answer_is_the_expected_value() -> None:
    (row,) = [row for row in ROWS if "expected" in row]
    assert re.findall(r"\\boxed\{([^{}]*)\}", split_think(row["response"]).answer) == [row["expected"]]


def test_show_cuts_prints_a_trace_from_any_folder(tmp_path: Path) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", [row(0), row(1)]), tmp_path / "out"
    command = [sys.executable, str(EXAMPLES.parent / "show_cuts.py")]

    def shown(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert command_line(prune_words(source, out, "--method", "keep-head", "--ratio", "0.5")) == 0
    done = shown(out, "r1")
    kept = json.loads((out / "pruned.jsonl").read_text().splitlines()[1])["cot"]
    marked = [line for line in done.stdout.splitlines()[1:] if not line.startswith("@@")]
    assert {line[2:] for line in marked if line.startswith("  ")} - {""} == {line for line in kept.splitlines() if line}
    assert any(line.startswith("- ") for line in marked)
    assert shown().stderr.startswith("Print one trace of an output folder")
    assert "hold no row r9" in shown(out, "r9").stderr
    source.rename(tmp_path / "moved.jsonl")
    for words, said in (((out,), "rows.jsonl: there is no such file"), ((tmp_path / "none",), "No such file or directory")):
        done = shown(*words)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
