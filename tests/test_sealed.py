"""Cards and configs that a person edited stay, whatever wrote them; what asap would write there stands beside them."""

import json
from pathlib import Path

import pytest

from asap.cli import run
from asap.sealed import write_sealed
from run_fixtures import prune, row, write_rows

QUICK = ("--method", "keep-tail")


@pytest.mark.parametrize(("name", "beside"), [("README.md", "README.asap.md"), ("trl.yaml", "trl.asap.yaml")])
def test_an_edited_text_stays(tmp_path: Path, name: str, beside: str) -> None:
    path = tmp_path / name
    assert write_sealed(path, "one: 1\n") == path
    assert write_sealed(path, "two: 2\n") == path  # nobody edited the first
    written = path.read_text()
    path.write_text(f"mine: 3\n{written}")
    edited = path.read_text()
    for text in ("three: 3\n", "four: 4\n"):
        assert write_sealed(path, text) == tmp_path / beside
        assert (path.read_text(), (tmp_path / beside).read_text().startswith(text)) == (edited, True)
    (tmp_path / beside).write_text("mine too\n")
    assert ".asap2." in write_sealed(path, "five: 5\n").name
    assert (path.read_text(), (tmp_path / beside).read_text()) == (edited, "mine too\n")


def test_what_stands_beside_goes_when_the_edited_file_does(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("mine\n")
    assert write_sealed(path, "text\n") == tmp_path / "README.asap.md"
    path.unlink()
    assert write_sealed(path, "text\n") == path
    assert [found.name for found in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("change", ["\nmine\n", " ", "\r\n"])
def test_a_line_behind_the_seal_is_an_edit(tmp_path: Path, change: str) -> None:
    path = write_sealed(tmp_path / "README.md", "text\n")
    path.write_bytes(path.read_bytes() + change.encode())
    assert write_sealed(path, "other\n") == tmp_path / "README.asap.md"


def test_a_text_without_comments_is_ours_as_long_as_we_would_write_it(tmp_path: Path) -> None:
    path = tmp_path / "dataset_info.json"
    assert write_sealed(path, '{"a": 1}\n') == path
    assert path.read_text() == '{"a": 1}\n'
    assert write_sealed(path, '{"b": 1}\n', ['{"a": 1}\n']) == path
    path.write_text('{"b": 1, "mine": 2}\n')
    assert write_sealed(path, '{"b": 1}\n').name == "dataset_info.asap.json"


@pytest.mark.parametrize("command", ["prune", "cut", "merge"])
def test_an_edited_card_stays(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = write_rows(tmp_path / "rows.jsonl", map(row, range(4))), tmp_path / "out"
    words = ["prune", str(rows), *QUICK, "--ratio", "0.5"]
    if command == "prune":
        words += ["--out", str(out), "--format", "llamafactory"]
    else:
        prune(rows, tmp_path / "first", *QUICK, "--shard", "0/1")
        words = {"cut": ["cut", str(tmp_path / "first"), "--ratio", "0.5"], "merge": ["merge", str(tmp_path / "first")]}[command]
        words += ["--out", str(out), "--format", "llamafactory"]
    assert run(words) == 0
    before = {path.name for path in out.iterdir()}
    for name, text in (("README.md", "My data\n"), ("dataset_info.json", json.dumps({"mine": {"file_name": "mine.jsonl"}}))):
        (out / name).write_text(text)
    capsys.readouterr()
    assert run(words) == 0
    said = capsys.readouterr().out
    assert (out / "README.md").read_text() == "My data\n"
    assert list(json.loads((out / "dataset_info.json").read_text())) == ["mine"]
    assert {path.name for path in out.iterdir()} == before | {"README.asap.md", "dataset_info.asap.json"}
    assert "note     README.md was edited, and stays as it is; what asap would write there is README.asap.md" in said
    assert "manifest.json, README.asap.md" in said
