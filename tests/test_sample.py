"""A response comes apart again; a record is checked when it is made and known by its content."""

import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.digest import content_digest
from asap.errors import RowError
from asap.sample import Sample, make_sample
from asap.think import split_think
from asap.think_tags import CLOSED, OPENED, closing_tag

PARTS: dict[str, Any] = {"question": "What is 1+1?", "cot": "It is 2.", "answer": "2"}
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def refusal(**parts: Any) -> RowError:
    with pytest.raises(RowError) as caught:
        make_sample(**{**PARTS, **parts})
    assert "\n" not in str(caught.value)
    return caught.value


@given(texts, texts, texts)
def test_every_response_comes_apart_as_it_was_put_together(question: str, cot: str, answer: str) -> None:
    try:
        sample = make_sample(question, cot, answer)
    except RowError as error:
        assert error.reason in ("empty_question", "empty_think", "empty_answer")  # noqa: PT017
        return
    in_tags_of_its_own = split_think(OPENED + CLOSED + sample.answer).answer != sample.answer
    if closing_tag(sample.answer) is None and not in_tags_of_its_own:
        assert split_think(sample.response) == (sample.cot, sample.answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<thinking>", "</thinking>", "a", "\n", " "]), max_size=10).map("".join))
def test_tags_inside_a_trace_do_not_change_where_it_ends(cot: str) -> None:
    if cot.strip():
        assert split_think(make_sample("q", cot, "b").response) == (cot.strip("\r\n"), "b")


def test_a_sample_holds_what_it_was_given() -> None:
    sample = make_sample(" q\n", "\n\n  a\x00 \n", "\n b \n", row_id="7", system="Be brief.", meta={"source": "x"})
    assert sample == Sample("7", " q\n", "  a\x00 ", " b ", "Be brief.")
    assert sample.meta == {"source": "x"}
    assert make_sample(**PARTS).meta == {}
    assert make_sample(**PARTS).system is None


def test_the_conversation_has_the_shape_that_trainers_read() -> None:
    sample = make_sample(**PARTS, system="Be brief.")
    assert sample.response == "<think>\nIt is 2.\n</think>\n\n2"
    assert sample.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 1+1?"},
        {"role": "assistant", "content": "<think>\nIt is 2.\n</think>\n\n2"},
    ]
    assert sample.prompt == sample.messages[:2]
    for system in (None, ""):
        assert make_sample(**PARTS, system=system).messages == sample.messages[1:]


@pytest.mark.parametrize("name", ["question", "cot", "answer", "system"])
@pytest.mark.parametrize("value", [1, True, 1.5, b"bytes", ["a"], {"a": 1}, ("a",)], ids=repr)
def test_a_part_that_is_no_string_is_refused_by_name(name: str, value: object) -> None:
    error = refusal(**{name: value}, row_id="r1")
    assert (error.reason, error.row_id) == ("wrong_type", "r1")
    assert error.detail.startswith(f"{name} is {type(value).__name__}")


@pytest.mark.parametrize("name", ["question", "cot", "answer"])
def test_a_part_that_is_missing_is_refused_by_name(name: str) -> None:
    assert refusal(**{name: None}).detail.startswith(f"{name} is NoneType")


@pytest.mark.parametrize("row_id", [True, False, ["a"], {"a": 1}, b"a"], ids=repr)
def test_an_id_that_is_neither_string_nor_number_is_refused(row_id: object) -> None:
    error = refusal(row_id=row_id)
    assert error.reason == "wrong_type"
    assert error.detail.startswith(f"id is {type(row_id).__name__}")


@pytest.mark.parametrize(
    ("row_id", "shown"),
    [
        ("r1", "r1"),
        (0, "0"),
        (-3, "-3"),
        (10**30, "1" + "0" * 30),
        (" ", " "),
        (1.0, "1"),
        (-0.0, "0"),
        (3.5, "3.5"),
        (1e300, str(int(1e300))),
        (Decimal("7.0"), "7"),
        (Decimal("7.25"), "7.25"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
)
def test_an_id_is_kept_as_text(row_id: object, shown: str) -> None:
    assert make_sample(**PARTS, row_id=row_id).id == shown


@pytest.mark.parametrize("row_id", [math.nan, math.inf, -math.inf, Decimal("NaN")], ids=repr)
def test_an_id_that_is_not_a_number_is_none(row_id: object) -> None:
    assert make_sample(**PARTS, row_id=row_id).id == make_sample(**PARTS).id


@pytest.mark.parametrize(("name", "reason"), [("question", "empty_question"), ("cot", "empty_think"), ("answer", "empty_answer")])
@pytest.mark.parametrize("value", ["", " ", "\n\r\n", "\t \u3000\f"], ids=repr)
def test_a_part_of_white_space_only_is_refused(name: str, reason: str, value: str) -> None:
    assert refusal(**{name: value}).reason == reason


@pytest.mark.parametrize("name", ["question", "cot", "answer", "system", "row_id"])
@pytest.mark.parametrize("half", ["\ud83d", "\ude42\ud83d"], ids=["half", "swapped"])
def test_half_a_surrogate_pair_is_refused(name: str, half: str) -> None:
    error = refusal(**{name: f"ab{half}"})
    assert error.reason == "lone_surrogate"
    assert "character 2" in error.detail
    str(error).encode()
    (error.row_id or "").encode()


def test_an_answer_may_open_a_thought() -> None:
    sample = make_sample(**{**PARTS, "answer": "write <think> first"})
    assert split_think(sample.response).answer == "write <think> first"


def test_the_digest_is_the_same_on_every_machine() -> None:
    # printf '[null,"What is 1+1?","It is 2.","2"]' | sha256sum
    digest = "37dccbbbf98a8429aaa705f29a77747e6eed2d50744cf10c78ece50461de8766"
    assert make_sample(**PARTS).digest() == content_digest(None, *PARTS.values()) == digest
    assert make_sample(**PARTS, row_id="other", meta={"a": 1}).digest() == digest
    # printf '["Be brief.","\\u00e9 \\ud83d\\ude42","a\\nb","<x>"]' | sha256sum
    digest = "6daa58239c2c232a44ab1efd49c7989cdcb46979e72e5364fb4b51351d498b13"
    assert make_sample("é 🙂", "a\nb", "<x>", system="Be brief.").digest() == digest


def test_a_row_without_an_id_gets_one_from_its_content() -> None:
    sample = make_sample(**PARTS)
    assert sample.id == sample.digest()[:16]
    assert make_sample(**PARTS, row_id=None) == make_sample(**PARTS, row_id="") == sample
    others = [make_sample(**{**PARTS, name: "other"}) for name in PARTS] + [make_sample(**PARTS, system="other")]
    assert len({sample.id, *(other.id for other in others)}) == 5
    assert make_sample(**PARTS, system="").id == sample.id


@given(texts, texts)
def test_parts_cannot_be_moved_from_one_field_to_the_next_without_another_digest(one: str, other: str) -> None:
    assert content_digest(one + other, "") != content_digest(one, other)
    assert content_digest([one], other) != content_digest([one, other])


@pytest.mark.parametrize(("value", "code"), [("x = 1\n", "x = 1\n"), (" \n", None), (None, None), (3, None)])
def test_the_tested_code_is_a_column_that_holds_text(value: object, code: str | None) -> None:
    sample = make_sample(**PARTS, meta={"tested_code": value})
    assert sample.tested_code == code
    assert sample == make_sample(**PARTS)
    assert sample.digest() == make_sample(**PARTS).digest()
