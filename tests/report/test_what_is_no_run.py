"""A file in the place of the folder of a run: each command that reads one says so in the same words."""

from pathlib import Path

import pytest

from run_fixtures import refusal

COMMANDS = (
    "report {file}",
    "report arm={file}",
    "diff-runs {file} {file}",
    "review {file}",
    "cut {file} --ratio 0.5 --out out",
    "merge {file} {file} --out out",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_no_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.jsonl").write_text('{"task_id": "a", "passed": true}\n')
    assert refusal(capsys, *command.format(file="x.jsonl").split()) == "x.jsonl is a file, not the output folder of a run"


def test_a_file_to_write_into_is_another_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    said = refusal(capsys, "report", str(tmp_path), "--out", str(tmp_path / "x.jsonl"))
    assert said == f"output folder {tmp_path / 'x.jsonl'} cannot be written (it is a file); choose another --out"
