"""Columns: the names that a user gives go before the table of shapes."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from asap.dataset import iter_shaped, to_sample
from asap.errors import InputError, RowError, UsageError

Q, C, A, S = "What is 1+1?", "One and one.\n\nThat is two.", "It is 2.", "Be brief."
R = f"<think>\n{C}\n</think>\n\n{A}"
USER, ANSWER = {"role": "user", "content": Q}, {"role": "assistant", "content": R}


def reject(row: Mapping[str, object], columns: Mapping[str, str] | None = None) -> RowError:
    with pytest.raises(RowError) as caught:
        to_sample(row, columns)
    assert "\n" not in caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"p": Q, "g": R}, {"question": "p", "response": "g"}),
        ({"p": [USER], "g": R}, {"question": "p", "response": "g"}),
        ({"p": Q, "g": [{"role": "assistant", "content": A, "reasoning": C}]}, {"question": "p", "response": "g"}),
        ({"p": Q, "t": C, "a": A}, {"answer": "a", "cot": "t", "question": "p"}),
        ({"p": [USER, ANSWER]}, {"messages": "p"}),
        ({"p": json.dumps([USER, ANSWER])}, {"messages": "p"}),
        ({"p": [USER, {**ANSWER, "content": A}], "t": C}, {"messages": "p", "cot": "t"}),
        ({"p": Q, "g": R, "question": "no", "response": "no"}, {"question": "p", "response": "g"}),
    ],
)
def test_columns_name_the_parts(row: dict[str, object], columns: dict[str, str]) -> None:
    shaped = to_sample({**row, "n": 5, "s": S, "x": 1}, {**columns, "id": "n", "system": "s"})
    sample = shaped.sample
    assert (shaped.shape, sample.id, sample.system) == ("columns", "5", S)
    assert (sample.question, sample.cot, sample.answer) == (Q, C, A)
    assert sample.meta["x"] == 1
    assert not {"n", "s", *columns.values()} & sample.meta.keys()


def test_a_named_id_or_system_may_be_missing_from_a_row() -> None:
    sample = to_sample({"p": Q, "g": R, "uuid": "u"}, {"question": "p", "response": "g", "id": "n", "system": "s"}).sample
    assert (sample.id, sample.system) == ("u", None)


def test_no_columns_at_all_means_the_table() -> None:
    assert to_sample({"question": Q, "response": R}, {}).shape == "question+response"


def test_a_named_column_that_the_row_lacks_is_named() -> None:
    error = reject({"id": 3, "prompt": Q, "text": R}, {"question": "prompt", "response": "generation"})
    assert (error.reason, error.row_id) == ("missing_column", "3")
    assert "'generation' (columns={'response': 'generation'})" in error.detail
    assert "'prompt', 'text'" in error.detail


def test_named_columns_of_the_wrong_type_are_rejected() -> None:
    columns = {"question": "p", "cot": "t", "answer": "a"}
    assert reject({"p": None, "t": C, "a": A}, columns).detail.startswith("p is null;")
    assert reject({"p": 5, "t": C, "a": A}, columns).detail.startswith("p is int;")
    assert reject({"p": Q, "t": C, "a": [ANSWER]}, columns).detail.startswith("a is list;")


def test_a_question_may_be_chat_messages_beside_a_trace_and_a_list_of_one_text_is_a_trace() -> None:
    columns = {"question": "p", "cot": "t", "answer": "a"}
    sample = to_sample({"p": [{"role": "system", "content": S}, USER], "t": [C], "a": A}, columns).sample
    assert (sample.system, sample.question, sample.cot, sample.answer) == (S, Q, C, A)


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": "p"},
        {"question": "p"},
        {"response": "r"},
        {"question": "p", "cot": "c"},
        {"question": "p", "answer": "a"},
        {"question": "p", "response": "r", "cot": "c"},
        {"question": "p", "response": "p"},
        {"messages": "m", "response": "r"},
        {"question": "p", "response": ""},
        {"id": "n"},
    ],
)
def test_columns_that_do_not_make_a_row_are_a_usage_error(columns: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        to_sample({"question": Q, "response": R}, columns)


def test_a_usage_error_lists_what_is_allowed() -> None:
    with pytest.raises(UsageError, match="'prompt'; allowed in columns: id, question, response, cot, answer, messages, system"):
        to_sample({}, {"prompt": "p"})


def test_a_column_that_no_row_has_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"q": "q", "r": "<think>\\na\\n</think>b"}\n' * 3, "utf-8")
    columns = {"question": "q", "response": "r", "id": "nr"}
    for limit in (None, 1):
        with pytest.raises(InputError, match=r"columns id=nr names a column that no row has; the first row has: 'q', 'r'"):
            list(iter_shaped([str(file)], columns=columns, limit=limit))
    file.write_text(file.read_text("utf-8") + '{"q": "q", "r": "<think>\\na\\n</think>b", "nr": 7}\n', "utf-8")
    assert len(list(iter_shaped([str(file)], columns=columns))) == 4
