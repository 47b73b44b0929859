"""`--reject-loops`: traces that end in a loop are rejected by name, in prune, its dry run and conversations; doctor counts them anyway."""

import json
from pathlib import Path

import pytest

from agent_rows import talk
from asap.cli import run
from asap.dataset import RowRules, to_sample
from asap.errors import RowError
from run_fixtures import model_folder, prune, read_rows, refusal, row, same_output, write_rows

METHOD = ["--method", "keep-tail", "--context", "raw"]
AGAIN = "Wait, the answer list is wrong because the first loop counts x twice. "
LOOP = {**row(7), "cot": f"{row(7)['cot']}\n\n{AGAIN * 30}", "extra": 1}
TALK = talk(str(row(1)["cot"]), AGAIN * 30)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(0), LOOP, TALK, row(2)])


def test_they_are_rejected_with_what_is_said_again(source: Path, tmp_path: Path) -> None:
    out = prune(source, tmp_path / "out", *METHOD, "--reject-loops")
    rejected = read_rows(out / "rejected.jsonl")
    assert [(one["id"], one["line"], one["reason"]) for one in rejected] == [("r7", 2, "looping"), ("talk@3", 3, "looping")]
    assert "the trace ends in a loop: its last " in rejected[0]["detail"]
    assert "say the same 28 times over, such as 'Wait, the answer list" in rejected[0]["detail"] or "times over" in rejected[0]["detail"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["reject_loops"] is True
    assert (manifest["counts"]["rows"], manifest["counts"]["rejected"]) == (5, 2)
    written = {one["id"]: one for one in read_rows(out / "pruned.jsonl")}
    assert list(written) == ["r0", "talk", "r2"]
    again = prune(source, tmp_path / "again", *METHOD, "--reject-loops")
    same_output(out, again)


def test_without_it_nothing_changes_and_a_folder_keeps_its_rule(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prune(source, tmp_path / "out", *METHOD)
    assert [one["id"] for one in read_rows(out / "pruned.jsonl")] == ["r0", "r7", "talk", "r2"]
    assert "reject_loops" not in json.loads((out / "manifest.json").read_text())["settings"]
    words = ["prune", str(source), "--out", str(out), "--scorer", f"hf:{model_folder()}", *METHOD, "--ratio", "0.5", "--reject-loops"]
    assert "reject_loops" in refusal(capsys, *words, lines=None)


def test_a_dry_run_counts_them(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prune", str(source), "--scorer", f"hf:{model_folder()}", *METHOD, "--ratio", "0.5", "--reject-loops", "--dry-run"]
    assert run(words) == 0
    assert "5 rows read, 2 of them turns of 1 conversation: 3 usable, 2 rejected" in capsys.readouterr().out


def test_doctor_counts_them_says_why_and_shows_one(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--json", "doctor", str(source), "--scorer", f"hf:{model_folder()}"]) in (0, 2)
    findings = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    loops = findings["loops"]
    assert loops["status"] == "warn"
    assert loops["found"].startswith(f"2 rows whose trace ends in a loop, first {source}:2: its last ")
    assert "--reject-loops" in loops["advice"]


def test_the_rule_of_the_library() -> None:
    assert to_sample(LOOP).sample.id == "r7"
    with pytest.raises(RowError, match="looping: the trace ends in a loop") as found:
        to_sample(LOOP, rules=RowRules(reject_loops=True))
    assert (found.value.reason, found.value.row_id) == ("looping", "r7")
