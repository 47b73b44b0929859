"""Several generations a row: each becomes a row of its own, with what the row says of it; and rows are chosen by their columns."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from published_rows import ANSWER, OTHER, PUBLISHED, USER, A, C, Q, R

from asap.dataset import Shaped, iter_shaped, read_samples
from asap.dataset.row_rules import RowRules
from asap.dataset.where import FILTERED
from asap.errors import RowError, UsageError
from asap.sample import Sample

OPENR1 = PUBLISHED["open-r1/OpenR1-Math-220k"]
EACH = RowRules(each_generation=True)


def read(
    folder: Path, rows: Iterable[Mapping[str, object]], rules: RowRules = EACH, columns: Mapping[str, str] | None = None
) -> list[Shaped | RowError]:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return [result for _, _, result in iter_shaped([str(folder / "rows.jsonl")], rules=rules, columns=columns)]


def samples(results: Iterable[Shaped | RowError]) -> list[Sample]:
    return [result.sample for result in results if isinstance(result, Shaped)]


def reasons(results: Iterable[Shaped | RowError]) -> list[str]:
    return [result.reason for result in results if isinstance(result, RowError)]


def test_each_generation_is_a_row_with_the_flags_of_its_own(tmp_path: Path) -> None:
    one, other = samples(read(tmp_path, [OPENR1]))
    assert (one.id, other.id) == ("u1/1", "u1/2")
    assert (one.question, one.cot, one.answer) == (Q, C, A)
    assert (other.question, other.response) == (Q, OTHER)
    assert (one.meta["correctness_math_verify"], other.meta["correctness_math_verify"]) == (True, False)
    assert one.meta["finish_reasons"] == "stop"
    assert one.meta["is_reasoning_complete"] is True
    assert (one.meta["answer"], one.meta["correctness_llama"], one.meta["correctness_count"]) == ("2", None, 1)
    assert "messages" not in one.meta  # it holds one of the generations


def test_without_the_option_a_conversation_is_read_and_several_generations_alone_are_rejected(tmp_path: Path) -> None:
    alone = {name: value for name, value in OPENR1.items() if name != "messages"}
    [chat, rejected] = read(tmp_path, [OPENR1, alone], RowRules())
    assert isinstance(chat, Shaped)
    assert (chat.shape, chat.sample.id) == ("messages", "u1")
    assert isinstance(rejected, RowError)
    assert (rejected.reason, rejected.row_id) == ("several_generations", "u1")
    assert rejected.detail == "generations holds 2 generations: make a row of each with --each-generation"


@pytest.mark.parametrize(
    "row",
    [
        PUBLISHED["zwhe99/DeepMath-103K"],
        PUBLISHED["PrimeIntellect/SYNTHETIC-2"],
        {"question": Q, "reasoning": [C, "Else."], "answer": [A, "Two."]},
        {"messages": [USER], "generations": [R, OTHER]},
        {"messages": [USER, ANSWER], "generations": [R, OTHER]},
        {"prompt": Q, "responses": [{"text": A, "reasoning": C, "seed": 1}, {"text": "Two.", "reasoning": "Else.", "seed": 2}]},
        {"question": Q, "generations": [R]},
    ],
)
def test_generations_are_found_in_every_form(tmp_path: Path, row: Mapping[str, object]) -> None:
    found = samples(read(tmp_path, [{**row, "id": 7}]))
    assert [sample.id for sample in found] == [f"7/{index + 1}" for index in range(len(found))]
    assert (found[0].question, found[0].cot, found[0].answer) == (Q, C, A)
    assert all(sample.question == Q and sample.cot != C for sample in found[1:])


def test_properties_of_a_generation_become_columns_unless_the_row_has_them(tmp_path: Path) -> None:
    row = {"prompt": Q, "score": "of the row", "responses": [{"response": R, "seed": 1, "score": 0.5}]}
    [sample] = samples(read(tmp_path, [row]))
    assert sample.meta == {"score": "of the row", "seed": 1}


def test_lists_that_only_happen_to_be_as_long_stay_whole(tmp_path: Path) -> None:
    row = {"question": Q, "generations": [R, OTHER], "tests": ["a", "b"], "tags": ["x", "y"], "passed": [1, 0], "sizes": [1, 2, 3]}
    one, _ = samples(read(tmp_path, [row]))
    assert one.meta == {"tests": ["a", "b"], "tags": ["x", "y"], "passed": 1, "sizes": [1, 2, 3]}


def test_named_columns_hold_generations_too_and_rows_without_a_list_stay_as_they_are(tmp_path: Path) -> None:
    columns = {"question": "q", "response": "gs", "id": "n"}
    found = samples(read(tmp_path, [{"n": 3, "q": Q, "gs": [R, OTHER]}, {"n": 4, "q": Q, "gs": R}], columns=columns))
    assert [sample.id for sample in found] == ["3/1", "3/2", "4"]


def test_a_bad_generation_costs_only_its_own_row(tmp_path: Path) -> None:
    results = read(tmp_path, [{"id": "x", "problem": Q, "generations": [R, "<think>\nnever ends", None]}])
    assert [sample.id for sample in samples(results)] == ["x/1"]
    assert [(error.row_id, error.reason) for error in results if isinstance(error, RowError)] == [
        ("x/2", "unclosed_think"),
        ("x/3", "unknown_shape"),
    ]


@pytest.mark.parametrize(
    ("value", "wanted", "met"),
    [
        (True, "true", True),
        (True, "True", True),
        (True, "1", False),
        (False, "true", False),
        ("true", "true", True),
        ("True", "true", False),
        (1, "1", True),
        (1, "1.0", True),
        (0.5, "0.5", True),
        (1.0, "1", True),
        (2, "1", False),
        (2, "two", False),
        (float("nan"), "nan", False),
        (None, "null", True),
        ("a=b", "a=b", True),
        ("", "", True),
    ],
)
def test_a_condition_compares_text_numbers_and_flags(tmp_path: Path, value: object, wanted: str, met: bool) -> None:
    results = read(tmp_path, [{"question": Q, "response": R, "x": value}], RowRules(where=(f"x={wanted}",)))
    assert (len(samples(results)), reasons(results)) == ((1, []) if met else (0, [FILTERED]))


def test_all_conditions_must_hold_and_are_asked_of_each_generation(tmp_path: Path) -> None:
    rules = RowRules(each_generation=True, where=("correctness_math_verify=true", "source=own"))
    assert [sample.id for sample in samples(read(tmp_path, [OPENR1, {**OPENR1, "uuid": "u2", "source": "else"}], rules))] == ["u1/1"]


def test_a_column_that_a_row_lacks_or_that_holds_a_list_is_a_reason_of_its_own(tmp_path: Path) -> None:
    [lacks, holds] = read(tmp_path, [{"id": 1, "question": Q, "response": R}, OPENR1], RowRules(where=("correctness_math_verify=true",)))
    assert isinstance(lacks, RowError)
    assert isinstance(holds, RowError)
    assert (lacks.reason, lacks.row_id) == ("lacks_column", "1")
    assert "'correctness_math_verify' (--where correctness_math_verify=true); it has 'id', 'question', 'response'" in lacks.detail
    assert (holds.reason, holds.row_id) == ("wrong_type", "u1")
    assert "--each-generation" in holds.detail


@pytest.mark.parametrize("text", ["x", "=true", " =1"])
def test_a_condition_without_column_or_value_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="write COLUMN=VALUE"):
        iter_shaped([], rules=RowRules(where=(text,)))


def test_samples_are_read_without_the_rows_that_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"question": Q, "response": R, "n": n}) + "\n" for n in (1, 2)), "utf-8")
    assert [sample.meta["n"] for sample in read_samples(str(tmp_path / "rows.jsonl"), rules=RowRules(where=("n=2",)))] == [2]
