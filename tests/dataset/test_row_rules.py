"""Tags of responses: a row's own, ordered ones or any others; prune writes them, and who reads pruned rows finds them again."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.cli import run
from asap.dataset import RowRules, read_samples, to_sample, write_samples
from asap.errors import UsageError
from asap.sample import Sample
from asap.think import split_think
from asap.think_tags import IN_THINK, TAGS, Frame
from run_fixtures import read_rows, write_rows

Q, A = "What is 1+1?", "It is 2."
STEPS = ["One and one.", "Wait, is that so?", "That is two."]
C = "\n\n".join(STEPS)
KEEP = RowRules(write_tags="keep")
each_row = pytest.mark.parametrize("row", TAGS, ids=lambda row: row.name)


def chat(response: str, system: str | None = None) -> dict[str, Any]:
    first = [{"role": "system", "content": system}] if system else []
    return {"messages": [*first, {"role": "user", "content": Q}, {"role": "assistant", "content": response}]}


def prune(tmp_path: Path, rows: list[dict[str, Any]], *options: str, out: str = "out") -> int:
    source = write_rows(tmp_path / "rows.jsonl", rows)
    cut = ("--ratio", "0.5", "--coarse", "none", "--method", "keep-tail")
    return run(["prune", str(source), "--out", str(tmp_path / out), *cut, *options])


def responses(path: Path) -> list[str]:
    return [row["messages"][-1]["content"] for row in read_rows(path)]


@each_row
def test_a_row_keeps_its_own_tags_or_gets_others(row: Any) -> None:
    given = chat(row.frame.join(C, A))
    assert to_sample(given, rules=KEEP).sample.messages == given["messages"], "byte for byte"
    assert to_sample(given).sample.response == IN_THINK.join(C, A)
    assert to_sample(given, rules=RowRules(write_tags="magistral")).sample.response == f"[THINK]\n{C}\n[/THINK]\n\n{A}"
    assert to_sample(given, rules=RowRules(write_tags="<a>,</a>")).sample.response == f"<a>\n{C}\n</a>\n\n{A}"


@pytest.mark.parametrize(
    ("row", "response"),
    [
        (chat(f"<THINK>{C}</THINK>{A}"), f"<THINK>\n{C}\n</THINK>\n\n{A}"),
        (chat(f"{C}\n[/THINK]\n{A}"), f"[THINK]\n{C}\n[/THINK]\n\n{A}"),
        ({"question": Q, "cot": C, "answer": A}, IN_THINK.join(C, A)),
        ({"messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A, "reasoning": C}]}, IN_THINK.join(C, A)),
    ],
)
def test_kept_tags_are_spelled_as_they_were_and_fields_are_written_in_think(row: dict[str, Any], response: str) -> None:
    assert to_sample(row, rules=KEEP).sample.response == response


@given(st.sampled_from(TAGS), st.text("ab `<>\n", min_size=1).filter(str.strip), st.text("ab `<>\n", min_size=1).filter(str.strip))
def test_pruned_rows_are_read_in_the_tags_that_they_were_written_in(row: Any, cot: str, answer: str) -> None:
    sample = Sample("r", Q, cot.strip("\r\n"), answer.strip("\r\n"), frame=row.frame)
    pruned = {"id": "r", "question": Q, "cot": sample.cot, "answer": sample.answer, "messages": sample.messages}
    assert to_sample(pruned).sample == sample
    assert to_sample(pruned, rules=RowRules(write_tags="think")).sample.frame == IN_THINK


def test_prune_writes_the_tags_and_every_format_in_them(tmp_path: Path) -> None:
    rows = [chat(row.frame.join(C, A)) for row in TAGS]
    assert prune(tmp_path, rows, "--write-tags", "keep", "--format", "trl", "--format", "sharegpt", "--format", "axolotl") == 0
    out = tmp_path / "out"
    assert responses(out / "pruned.jsonl") == [row.frame.join(STEPS[2], A) for row in TAGS]
    assert [row["completion"][0]["content"] for row in read_rows(out / "trl.jsonl")] == responses(out / "pruned.jsonl")
    assert [row["conversations"][-1]["value"] for row in read_rows(out / "sharegpt.jsonl")] == responses(out / "pruned.jsonl")
    assert {row["messages"][-1]["reasoning_content"] for row in read_rows(out / "axolotl.jsonl")} == {STEPS[2]}
    assert [sample.frame for sample in read_samples(str(out / "pruned.jsonl"))] == [row.frame for row in TAGS]
    assert json.loads((out / "manifest.json").read_text("utf-8"))["settings"]["write_tags"] == "keep"
    assert run(["cut", str(out), "--ratio", "0.9", "--out", str(tmp_path / "cut")]) == 0
    assert [split_think(text).answer for text in responses(tmp_path / "cut/pruned.jsonl")] == [A] * len(TAGS)
    assert responses(tmp_path / "cut/pruned.jsonl")[7].startswith("[THINK]\n")


def test_a_run_goes_on_with_the_same_tags_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [chat(f"[THINK]{C}[/THINK]{A}", "Be brief.")]
    assert prune(tmp_path, rows) == 0
    assert "write_tags" not in json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["settings"]
    assert prune(tmp_path, rows, "--write-tags", "keep") == 2
    assert "write_tags is nothing there and keep here" in capsys.readouterr().err
    assert prune(tmp_path, rows, "--drop-system") == 2
    assert "drop_system is nothing there and true here" in capsys.readouterr().err
    assert prune(tmp_path, rows, "--drop-system", out="without") == 0
    assert [message["role"] for message in read_rows(tmp_path / "without/pruned.jsonl")[0]["messages"]] == ["user", "assistant"]


def test_own_tags_are_read_and_written(tmp_path: Path) -> None:
    rows = [chat(f"<zone>\n{C}\n</zone>\n\n{A}")]
    assert prune(tmp_path, rows) == 2, "nobody knows them"
    assert prune(tmp_path, rows, "--think-tags", "<zone>,</zone>", "--write-tags", "keep", out="own") == 0
    assert responses(tmp_path / "own/pruned.jsonl") == [f"<zone>\n{STEPS[2]}\n</zone>\n\n{A}"]
    [sample] = read_samples(str(tmp_path / "own/pruned.jsonl"))
    assert sample.frame == Frame("<zone>\n", "\n</zone>\n\n")


@pytest.mark.parametrize("rules", [RowRules(write_tags="thin"), RowRules(write_tags="<a>,"), RowRules(think_tags="<a>")])
def test_tags_that_are_none_are_refused(rules: RowRules, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="write"):
        list(read_samples(str(write_rows(tmp_path / "a.jsonl", [])), rules=rules))


def test_a_row_of_other_tags_can_be_stored_and_is_another_row() -> None:
    plain = Sample("r", Q, C, A)
    other = Sample("r", Q, C, A, frame=TAGS[7].frame)
    assert plain.digest() != other.digest()
    assert [Sample.of_stored("r", json.loads(json.dumps(sample.stored()))) for sample in (plain, other)] == [plain, other]
    assert "frame" not in plain.stored()


def test_written_samples_are_read_again(tmp_path: Path) -> None:
    samples = [Sample(row.name, Q, C, A, frame=row.frame) for row in TAGS]
    write_samples(tmp_path / "a.jsonl", samples)
    assert list(read_samples(str(tmp_path / "a.jsonl"))) == samples
