"""The options of every command: --json, --quiet and -v, what goes to stdout and what to stderr, and where colours are off."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from asap.cli import COMMANDS, run
from asap.cli.manner import Manner, without_manner
from asap.cli.result import one_document, show
from asap.cli.terminal import console_for, screens
from run_fixtures import model_folder, prune_words, row, write_rows

DOCS = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text("utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [*(row(number) for number in range(3)), "no JSON"])


def asap(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asap", *map(str, words)], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The only thing on stdout; the exit code is in it."""
    code = run([*words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["command"], found["exit_code"]) == (words[0], code)
    return found


def test_help_lists_the_commands_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    listed = re.findall(r"^│ ([a-z][a-z-]+) +[A-Z]", said, re.MULTILINE)
    assert listed == list(COMMANDS)
    assert listed[:2] == ["doctor", "prune"]


def test_the_fields_of_every_command_are_documented() -> None:
    table = DOCS.partition("## The document of `--json`")[2]
    assert [name for name in COMMANDS if f"`{name}`" not in table] == []


def test_the_options_of_every_command_stand_anywhere_but_behind_two_dashes() -> None:
    assert without_manner(["-v", "prune", "x", "--json", "--gap", "s"]) == (["prune", "x", "--gap", "s"], Manner(json=True, verbose=True))
    assert without_manner(["cut", "-q", "--", "--json"]) == (["cut", "--", "--json"], Manner(quiet=True))


def test_a_run_is_one_document_of_what_the_manifest_counts(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    found = document(capsys, *prune_words(source, out, "--ratio", "0.5", "--review", "--max-rejected", "0"))
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert {name: found[name] for name in counts} == counts
    assert found["exit_code"] == 1
    assert found["rejected_by"] == {"bad_json": 1}
    assert found["kept"] == counts["tokens_after"] / counts["tokens_before"] < 0.6
    assert (found["out"], found["review"], found["llm"]) == (str(out), f"{out}/review.html", None)
    assert {*found["files"]} == {"pruned.jsonl", "decisions.jsonl", "rejected.jsonl", "manifest.json", "README.md"}
    cut = document(capsys, "cut", str(out), "--ratio", "0.3", "--out", str(tmp_path / "cut"))
    assert (cut["rows"], cut["tokens_before"]) == (found["rows"], found["tokens_before"])
    assert cut["kept"] < found["kept"]
    page = document(capsys, "review", str(out), "--out", str(tmp_path / "page.html"))
    assert (page["traces"], page["bytes"]) == (3, (tmp_path / "page.html").stat().st_size)


def test_a_dry_run_and_a_doctor_are_documents_too(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "prune", str(source), "--dry-run", "--scorer", f"hf:{model_folder()}")
    assert (found["rows"], found["usable"], found["rejected"], found["over_budget"]) == (4, 3, 1, 0)
    assert 0 < found["tokens"] < found["tokens_read"][0] <= found["tokens_read"][1]
    found = document(capsys, "doctor", str(source), "--scorer", f"hf:{model_folder()}")
    assert {finding["status"] for finding in found["findings"]} <= {"ok", "warn", "fail"}
    assert sum(one["rows"] for one in found["histogram"]) == 3


def test_an_error_is_a_document_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "prune", "no\x1b[2J.jsonl", "--out", "x")
    assert found["exit_code"] == 2
    assert found["error"].startswith("no\\x1b[2J.jsonl")
    assert run(["--json", "--nonsense"]) == 2
    assert json.loads(capsys.readouterr().out)["command"] == ""


def test_nothing_else_is_on_stdout_whoever_writes_there(source: Path, tmp_path: Path) -> None:
    done = asap(*prune_words(source, tmp_path / "out"), "--json")
    assert json.loads(done.stdout)["rows"] == 4
    assert "3 traces to score" in done.stderr
    code = (
        "import os, sys\n"
        "from asap.cli.manner import Manner, speaking\n"
        "from asap.cli.result import one_document, show\nfrom asap.cli.terminal import screens\n"
        "with speaking(Manner(json=True)), screens(), one_document('x'):\n"
        "    show('text', a=float('nan'), b='\\u202e\\x1b')\n    print('printed')\n    os.write(1, b'by a library\\n')\n"
        "    os.system('echo by a child')\n    sys.__stdout__.write('held back')\n"
        "print('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.removesuffix("after\n")) | {"asap": ""} == {"command": "x", "asap": "", "a": None, "b": "\u202e\x1b"}
    assert {"printed", "by a library", "by a child", "held back"} <= {*done.stderr.split("\n")}
    assert "\u202e" not in done.stdout


def test_text_is_shown_and_fields_are_not_where_no_document_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with screens(), one_document("x"):
        show("one", a=1)
        show(None, b=2)
    assert capsys.readouterr().out == "one\n"


def test_a_quiet_run_says_its_result_only(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(prune_words(source, tmp_path / "out", "--quiet")) == 0
    said = capsys.readouterr()
    assert said.out.startswith("rows     4 = ")
    assert said.err == ""
    assert run(["cut", "-q", str(tmp_path / "none"), "--out", str(tmp_path / "out2")]) == 2
    assert capsys.readouterr().err.startswith("asap: ")


def test_the_first_row_is_a_line_and_whole_only_with_v(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(prune_words(source, tmp_path / "out")) == 0
    said = capsys.readouterr()
    assert said.out.startswith("rows     4 = ")
    shown = row(0)
    lengths = f"question {len(shown['question'])}, trace {len(shown['cot'])}, answer {len(shown['answer'])}"
    assert said.err.splitlines()[0] == (
        f"the first row, r0, was read as question+cot+answer; lengths in characters: {lengths} (-v shows it)"
    )
    assert run(prune_words(source, tmp_path / "out2", "-v")) == 0
    said = capsys.readouterr()
    assert said.out.startswith("rows     4 = ")
    assert said.err.startswith(f"shape: question+cot+answer\nid: r0\nquestion (10 characters): {shown['question']}\n")


COLOURED = """
import sys
from asap.cli import COMMANDS, run
for command in COMMANDS:
    run([command, "--help"])
run(["prune", "none.jsonl", "--out", "x", "--only"])
"""


@pytest.mark.parametrize(
    ("environment", "in_terminal", "in_log"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_where_they_are_wanted(environment: dict[str, str], in_terminal: bool, in_log: bool) -> None:
    """The help of every command and an error, in a terminal and in a pipe."""
    others = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    words = {"args": [sys.executable, "-c", COLOURED], "env": others | {"TERM": "xterm-256color"} | environment}
    log = subprocess.run(**words, capture_output=True, text=True, check=True)  # type: ignore[call-overload]
    assert ("\x1b[" in log.stdout, "\x1b" in log.stderr) == (in_log, False)
    ours, its = pty.openpty()
    with subprocess.Popen(**words, stdout=its, stderr=its) as process:  # type: ignore[call-overload]
        os.close(its)
        seen = b""
        with suppress(OSError):  # at its end
            while part := os.read(ours, 1 << 16):
                seen += part
    os.close(ours)
    assert process.returncode == 0
    assert (b"\x1b[" in seen) == in_terminal
    assert {*re.findall(rb"\x1b\[[\d;?]*([A-Za-z])", seen)} <= {b"m"}


def test_no_bar_moves_in_a_coloured_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with screens():
        console = console_for(stderr=True)
    assert (console.is_terminal, console.is_interactive, console.color_system) == (False, False, "standard")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["doctor"], 0),
        (["cut", "nowhere", "--out", "x"], 2),
        (["prune", "{source}", "--out", "{out}", "--method", "keep-head", "--max-rejected", "0"], 1),
        (["prune", "{source}", "--nonsense"], 2),
    ],
)
def test_exit_codes_are_as_documented(words: list[str], code: int, source: Path, tmp_path: Path) -> None:
    assert f"\n| {code} | " in DOCS
    assert run([word.format(source=source, out=tmp_path / "out") for word in words]) == code


def test_a_bug_and_an_interruption_have_codes_of_their_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for error, code in ((RuntimeError("x"), 70), (KeyboardInterrupt(), 130)):
        assert f"\n| {code} | " in DOCS

        def fails(*_: object, error: BaseException = error, **__: object) -> int:
            raise error

        monkeypatch.setattr("asap.doctor.examine", fails)
        found = document(capsys, "doctor")
        assert found["exit_code"] == code
        assert found["error"]
