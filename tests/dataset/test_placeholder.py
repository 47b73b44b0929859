"""Questions that are none are told from short ones, and doctor, dry runs and runs say so."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.cli import run
from asap.dataset.placeholder import Questions, is_placeholder
from asap.doctor.data import check_data
from run_fixtures import model_folder, prune, row, write_rows


@pytest.mark.parametrize("question", ["-", " -- ", "—", "N/A", "n/a.", "None", "[null]", "TODO", "...", "?", "<EMPTY>", "…"])
def test_what_stands_for_a_question_is_none(question: str) -> None:
    assert is_placeholder(question)


@pytest.mark.parametrize("question", ["1+1?", "Why?", "x", "None of these holds. Why?", "素数とは", "-3", "null pointers: why?"])
def test_a_short_question_is_one(question: str) -> None:
    assert not is_placeholder(question)


@given(st.lists(st.sampled_from(["a1", "b2", "c3"]), min_size=1, max_size=60))
def test_nearly_all_the_same_is_said_only_where_it_is_so(texts: list[str]) -> None:
    questions = Questions()
    for text in texts:
        questions.add(text)
    most = max(texts.count(text) for text in set(texts))
    if questions.finding():
        assert most >= 0.9 * len(texts)
    if len(texts) >= 10 and most >= 0.95 * len(texts):
        assert questions.finding()


def rows_asking(*questions: str) -> list[dict[str, Any]]:
    return [{**row(number), "question": question} for number, question in enumerate(questions)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (rows_asking("-", "What is 2?", "-"), "2 of 3 rows ask '-', which is no question"),
        (rows_asking(*["Solve it."] * 10), "nearly all of 10 rows ask the same: 'Solve it.'"),
        (rows_asking(*["Solve it."] * 9), None),
    ],
)
def test_it_is_a_finding_of_doctor_and_a_warning_of_prune(
    rows: list[dict[str, Any]], said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", rows)
    found = [one.found for one in check_data([str(source)], scorer=f"hf:{model_folder()}").findings if one.name == "placeholder"]
    assert found == ([said] if said else [])
    capsys.readouterr()
    assert run(["prune", str(source), "--dry-run", "--scorer", f"hf:{model_folder()}"]) == 0
    assert (f"questions: {said}" in capsys.readouterr().out) == bool(said)
    for _ in range(2):  # the second time without reading
        out = prune(source, tmp_path / "out")
        shown = capsys.readouterr().out
        assert ("warning" in shown) == bool(said)
        assert (said or "rows") in shown
    counts = json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
    assert counts.get("questions") == said
