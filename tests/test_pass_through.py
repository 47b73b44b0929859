"""`--pass-through`: rows without thinking stand in every output, in their places and as they came."""

import json
from pathlib import Path
from typing import Any

import pytest

from asap.cli import run
from asap.dataset import FORMATS
from run_fixtures import model_folder, prune, read_rows, row, same_output, write_rows

CONTROL = ["--method", "keep-tail", "--ratio", "0.5", "--coarse", "none"]
QUESTION, ANSWER = "What is 2 + 2?", "4\n"
USER, SYSTEM = {"role": "user", "content": QUESTION}, {"role": "system", "content": "Be brief."}


def said(text: str, **more: Any) -> list[dict[str, Any]]:
    return [USER, {"role": "assistant", "content": text, **more}]


TALK = [SYSTEM, USER, {"role": "assistant", "content": "4"}, {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."}]
UNTHINKING: list[dict[str, Any]] = [
    {"id": "plain", "messages": [SYSTEM, *said(ANSWER)], "level": 1},
    {"id": "empty tags", "messages": said(f"<think>\n\n</think>\n\n{ANSWER}")},
    {"id": "empty beside", "messages": said(ANSWER, reasoning_content="")},
    {"id": "columns", "question": QUESTION, "cot": "", "answer": ANSWER},
    {"id": "pair", "question": QUESTION, "response": ANSWER},
    {"id": "talk", "messages": TALK, "level": 2},
]
RESPONSES = [ANSWER, f"<think>\n\n</think>\n\n{ANSWER}", ANSWER, ANSWER, ANSWER]
ROWS: list[dict[str, Any] | str] = [row(0), *UNTHINKING[:3], row(1), "no JSON", *UNTHINKING[3:], {**row(2), "level": 3}]
ORDER = ["r0", "plain", "empty tags", "empty beside", "r1", "columns", "pair", "talk", "r2"]


def words(source: Path, out: Path, *options: str) -> list[str]:
    return ["prune", str(source), "--out", str(out), "--scorer", f"hf:{model_folder()}", "--device", "cpu", *CONTROL, *options]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", ROWS)


@pytest.fixture(scope="module")
def out(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    assert run(words(source, out, "--pass-through", *(word for name in (*FORMATS, "parquet") for word in ("--format", name)))) == 0
    return out


def test_they_stand_in_their_places_as_they_came(out: Path) -> None:
    rows = read_rows(out / "pruned.jsonl")
    assert [one["id"] for one in rows] == ORDER
    found = {one["id"]: one for one in rows}
    for one, response in zip(UNTHINKING[:5], RESPONSES, strict=True):
        written = found[one["id"]]
        assert written["messages"][-1] == {"role": "assistant", "content": response}, one["id"]
        assert (written["question"], written["cot"]) == (QUESTION, "")
    assert found["plain"]["messages"][0] == SYSTEM
    assert found["plain"]["level"] == 1
    assert found["talk"] == UNTHINKING[5]
    assert len(found["r0"]["cot"]) < len(row(0)["cot"])


def test_every_training_format_has_them_without_thinking(out: Path) -> None:
    for name in FORMATS:
        rows = read_rows(out / f"{name}.jsonl")
        assert len(rows) == len(ORDER) or name == "rllm"
        plain = rows[1]
        shown = json.dumps(plain)
        assert "reasoning_content" not in shown
        assert '"thinking"' not in shown
        assert json.dumps(ANSWER) in shown
    assert read_rows(out / "axolotl.jsonl")[2]["messages"][-1] == {"role": "assistant", "content": RESPONSES[1]}
    assert read_rows(out / "trl.jsonl")[7]["messages"][2:] == TALK[2:]


def test_they_are_counted_and_explained(out: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
    assert (counts["rows"], counts["pruned"], counts["unchanged"], counts["passed"], counts["rejected"]) == (10, 3, 0, 6, 1)
    assert counts["passed_by"] == {"empty_think": 3, "no_think": 3}
    lines = read_rows(out / "decisions.jsonl")
    assert [line["id"] for line in lines] == ORDER
    assert {line["id"]: line["passed"] for line in lines if "passed" in line}.keys() == {one["id"] for one in UNTHINKING}
    assert "none of the conversation's 2 assistant messages thinks" in lines[7]["detail"]
    assert "+ 6 without thinking, as they were + 1 rejected" in (out / "README.md").read_text("utf-8")
    assert run(words(source, tmp_path / "again", "--pass-through")) == 0
    shown = capsys.readouterr().out
    assert "rows     10 = 3 pruned + 0 unchanged + 6 passed through + 1 rejected" in shown
    assert "passed through: no_think 3" in shown


def test_without_the_option_they_are_rejected(source: Path, tmp_path: Path) -> None:
    assert run(words(source, tmp_path / "out")) == 0
    assert [one["id"] for one in read_rows(tmp_path / "out/pruned.jsonl")] == ["r0", "r1", "r2"]
    assert len(read_rows(tmp_path / "out/rejected.jsonl")) == 7


def test_a_run_goes_on_and_is_cut_merged_and_reviewed_with_them(source: Path, out: Path, tmp_path: Path) -> None:
    first = (out / "pruned.jsonl").read_bytes()
    assert run(words(source, out, "--pass-through")) == 0
    assert (out / "pruned.jsonl").read_bytes() == first
    for name, copied in (("cut", []), ("copy", ["--copy"])):
        assert run(["cut", str(out), "--ratio", "0.9", "--out", str(tmp_path / name), *copied]) == 0
        assert [one["id"] for one in read_rows(tmp_path / name / "pruned.jsonl")] == ORDER
    assert run(["review", str(out), "--out", str(tmp_path / "page.html")]) == 0
    plain = prune(source, tmp_path / "plain", "--pass-through")
    parts = [str(prune(source, tmp_path / f"shard-{index}", "--pass-through", "--shard", f"{index}/2")) for index in range(2)]
    assert run(["merge", *parts, "--out", str(tmp_path / "merged")]) == 0
    same_output(plain, tmp_path / "merged")


def test_other_columns_and_ids_are_treated_as_those_of_other_rows(tmp_path: Path) -> None:
    rows = [{**UNTHINKING[0], "id": "a"}, {**row(0), "id": "a", "level": 5}, {**UNTHINKING[5], "id": "a"}, {**UNTHINKING[4], "id": None}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    assert run(words(source, tmp_path / "out", "--pass-through", "--keep-columns", "none")) == 0
    found = read_rows(tmp_path / "out/pruned.jsonl")
    assert [one["id"] for one in found[:3]] == ["a", "a#2", "a#3"]
    assert len(found[3]["id"]) == 16
    assert not any("level" in one for one in found)
    assert json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["counts"]["renamed"] == 2


def test_a_row_that_does_not_answer_either_and_a_source_that_never_thinks_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [row(0), {"id": "e", "question": QUESTION, "response": "<think>\n\n</think>\n\n"}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    assert run(words(source, tmp_path / "out", "--pass-through")) == 0
    assert [one["reason"] for one in read_rows(tmp_path / "out/rejected.jsonl")] == ["empty_answer"]
    source = write_rows(tmp_path / "never.jsonl", UNTHINKING)
    assert run(words(source, tmp_path / "never", "--pass-through")) == 2
    assert "no usable row" in capsys.readouterr().err
