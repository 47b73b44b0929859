"""The commands: exit codes, one clear sentence for what is wrong, and no sandbox only when that is typed in full."""

import json
from pathlib import Path

import pytest
from evaluate_helpers import OWN, read_rows, right, streaming

from asap.cli import run

RIGHT, WRONG = "def f(x):\n    return x + 1\n", "def f(x):\n    return x\n"


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"task_id": f"own/{number}", **OWN}) + "\n" for number in range(2)))
    return path


@pytest.fixture
def attempts(tmp_path: Path) -> Path:
    path = tmp_path / "samples.jsonl"
    rows = [{"task_id": "own/0", "solution": RIGHT}, {"task_id": "own/1", "solution": WRONG}, {"task_id": "other", "solution": RIGHT}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with when it exits with 2."""
    assert run(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    return said[0]


@pytest.mark.usefixtures("sandbox")
def test_score_prints_pass_at_1_and_writes_verdicts(
    attempts: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", str(attempts), "--benchmark", f"humaneval:{problems}", "--out", str(tmp_path / "out"), "--workers", "1"]
    assert run(words) == 0
    said = capsys.readouterr()
    assert "humaneval:own.jsonl: pass@1 0.5000 [0.0945, 0.9055] over 2 of 2 problems" in said.out
    assert "note: rows that are no attempts at humaneval:own.jsonl: 1;" in said.err
    assert [row["verdict"] for row in read_rows(tmp_path / "out/verdicts.jsonl")] == ["pass", "fail"]
    assert run([*words, "--max-rejected", "0"]) == 1
    assert run([*words, "--max-rejected", "1"]) == 0


@pytest.mark.usefixtures("sandbox")
def test_evaluate_generates_only_on_demand_and_score_goes_on(problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with streaming(lambda path, body: right(path, {"messages": [{"content": "Double"}]})) as server:
        words = ["evaluate", "--model", "openai:m", "--base-url", server.base_url, "--benchmark", f"humaneval:{problems}"]
        words += ["--max-new-tokens", "50", "--out", str(tmp_path / "out"), "--limit", "1"]
        assert run([*words, "--generate-only"]) == 0
        assert not (tmp_path / "out/verdicts.jsonl").exists()
    written = str(tmp_path / "out/attempts.jsonl")
    assert run(["score", written, "--benchmark", f"humaneval:{problems}", "--out", str(tmp_path / "scored")]) == 0
    [row] = read_rows(tmp_path / "scored/verdicts.jsonl")
    assert (row["task_id"], row["passed"]) == ("own/0", False), "it defines another function"
    assert "pass@1 0.0000" in capsys.readouterr().out


def test_without_a_sandbox_every_record_says_so(attempts: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["score", str(attempts), "--benchmark", f"humaneval:{problems}", "--out", str(tmp_path / "out"), "--unsafe-no-sandbox"]
    assert run(words) == 0
    assert {row["sandbox"] for row in read_rows(tmp_path / "out/verdicts.jsonl")} == {"none"}
    assert "judged without a sandbox: a pass can be forged" in capsys.readouterr().out
    assert "judged without a sandbox" in (tmp_path / "out/summary.md").read_text()


def test_no_file_switches_the_sandbox_off(attempts: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "asap.yaml"
    config.write_text("unsafe-no-sandbox: true\n")
    words = ["score", str(attempts), "--benchmark", f"humaneval:{problems}", "--out", str(tmp_path / "out"), "--config", str(config)]
    assert "must be typed each time" in refusal(words, capsys)
    assert run([*words[:-2], "--unsafe"]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmark", "humanevil"], "unknown benchmark 'humanevil'"),
        (["--benchmark", "humaneval:{tmp}/none.jsonl"], "none.jsonl does not exist"),
        (["--workers", "0"], "--workers is 0"),
        (["--least-cpu", "0"], "--least-cpu is 0"),
        (["--cpu-factor", "-1"], "--cpu-factor is -1"),
        (["--memory", "1"], "--memory is 1"),
        (["--extract", "best"], "best"),
    ],
)
def test_scores_bad_usage(
    words: list[str], message: str, attempts: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    benchmark = [] if words[0] == "--benchmark" else ["--benchmark", f"humaneval:{problems}"]
    assert message in refusal(["score", str(attempts), *benchmark, "--out", str(tmp_path / "out"), *words], capsys)


def test_attempts_that_cannot_be_read(problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    words = ["--benchmark", f"humaneval:{problems}", "--out", str(tmp_path / "out"), "--unsafe-no-sandbox"]
    assert "no such file" in refusal(["score", str(tmp_path / "no.jsonl"), *words], capsys)
    assert "the file is empty" in refusal(["score", str(tmp_path / "empty.jsonl"), *words], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "mymodel"], "unknown model 'mymodel'; write openai:<model>"),
        (["--model", "hf:nowhere/"], "nowhere/"),
        (["--model", "gguf:{tmp}/own.jsonl"], "is not a GGUF file"),
        (["--model", "bundled", "--base-url", "http://127.0.0.1:1"], "--base-url is about a server"),
        (["--model", "openai:m", "--base-url", "nonsense"], "nonsense"),
        (["--model", "openai:m", "--base-url", "http://127.0.0.1:1", "--concurrency", "0"], "--concurrency is 0"),
        (["--model", "openai:m", "--max-new-tokens", "0"], "--max-new-tokens is 0"),
        (["--model", "openai:m", "--budgets", "1k"], "Invalid value for --budgets: '1k' is not a whole number"),
        (["--model", "openai:m", "--limit", "0"], "--limit is 0"),
        (["--model", "openai:m", "--benchmark", "livecodebench"], "names no release window"),
    ],
)
def test_evaluates_bad_usage(words: list[str], message: str, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [word.replace("{tmp}", str(tmp_path)) for word in words]
    for option, value in (("--benchmark", f"humaneval:{problems}"), ("--max-new-tokens", "10")):
        given += [] if option in given else [option, value]
    assert message in refusal(["evaluate", *given, "--out", str(tmp_path / "out")], capsys)


def test_a_benchmark_named_twice(problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = f"humaneval:{problems},humaneval:{problems}"
    words = ["evaluate", "--model", "openai:m", "--benchmark", twice, "--max-new-tokens", "10", "--out", str(tmp_path / "out")]
    assert "is named twice" in refusal(words, capsys)
