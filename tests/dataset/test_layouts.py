"""Other layouts of the same row: numbers as answers, responses as objects, messages by column, generations that are chats."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from published_rows import ANSWER, OTHER, USER, A, C, Q, R

from agent_rows import ROWS
from asap.dataset import Shaped, iter_shaped, to_sample
from asap.dataset.conversations import turns_of
from asap.dataset.row_rules import RowRules
from asap.errors import RowError
from run_fixtures import write_rows


@pytest.mark.parametrize(("number", "text"), [(42, "42"), (0, "0"), (-1.5, "-1.5"), (Decimal("1.50"), "1.50")])
def test_a_number_is_an_answer_where_no_text_is(number: object, text: str) -> None:
    assert to_sample({"question": Q, "reasoning": C, "answer": number}).sample.answer == text
    assert to_sample({"q": Q, "t": C, "a": number}, {"question": "q", "cot": "t", "answer": "a"}).sample.answer == text
    assert to_sample({"question": Q, "reasoning": C, "response": A, "answer": number}).sample.answer == A
    assert to_sample({"question": Q, "reasoning": C, "attempt": 3, "answer": number}).sample.answer == text
    assert to_sample({"question": Q, "cot": C, "answer": number}).sample.answer == text


@pytest.mark.parametrize("answer", [True, float("nan"), float("inf"), {"value": 42}, None])
def test_what_is_no_text_and_no_number_is_no_answer(answer: object) -> None:
    with pytest.raises(RowError):
        to_sample({"question": Q, "reasoning": C, "answer": answer})


def test_a_count_of_attempts_is_no_answer() -> None:
    with pytest.raises(RowError):
        to_sample({"question": Q, "reasoning": C, "attempt": 3})


@pytest.mark.parametrize("response", [{"thinking": C, "content": A, "tokens": 7}, [{"thinking": C, "response": A, "tokens": 7}]])
def test_other_fields_of_a_response_become_columns(response: object) -> None:
    sample = to_sample({"prompt": Q, "response": response, "level": 1}).sample
    assert (sample.cot, sample.answer, sample.meta) == (C, A, {"level": 1, "tokens": 7})


def test_a_response_as_an_object_may_be_named() -> None:
    for response in ({"role": "assistant", "content": R}, {"reasoning": C, "text": A}):
        sample = to_sample({"q": Q, "r": response}, {"question": "q", "response": "r"}).sample
        assert (sample.question, sample.cot, sample.answer) == (Q, C, A)


def test_context_belongs_to_an_instruction_as_its_input_does() -> None:
    row = {"instruction": "What is", "context": "1+1?", "response": R}
    assert to_sample(row).sample.question == "What is\n1+1?"
    assert to_sample({**row, "input": "it:"}).sample.question == "What is\nit:\n1+1?"
    assert to_sample({**row, "context": ""}).sample.question == "What is"
    assert to_sample({"question": "What is", "context": "1+1?", "response": R}).sample.question == "What is"


CHATS = [[USER, ANSWER], [USER, {**ANSWER, "content": OTHER}]]


@pytest.mark.parametrize("question", [{}, {"problem": Q}])
@pytest.mark.parametrize("as_text", [False, True])
def test_generations_may_be_chats(question: dict[str, str], as_text: bool, tmp_path: Path) -> None:
    generations = [json.dumps(chat) if as_text else chat for chat in CHATS]
    row = {"id": "a", **question, "generations": generations, "correct": [True, False]}
    with pytest.raises(RowError) as caught:
        to_sample(row)
    assert caught.value.reason == "several_generations"
    found = list(iter_shaped([str(write_rows(tmp_path / "rows.jsonl", [row]))], rules=RowRules(each_generation=True)))
    samples = [result.sample for _, _, result in found if isinstance(result, Shaped)]
    assert [(sample.id, sample.question, sample.cot) for sample in samples] == [
        ("a/1", Q, C),
        ("a/2", Q, C.replace("two", "three")),
    ]
    assert [sample.meta["correct"] for sample in samples] == [True, False]


def test_answers_that_are_chats_may_stand_beside_their_question(tmp_path: Path) -> None:
    row = {"id": "a", "problem": Q, "generations": [chat[1:] for chat in CHATS]}
    found = list(iter_shaped([str(write_rows(tmp_path / "rows.jsonl", [row]))], rules=RowRules(each_generation=True)))
    assert [result.sample.cot for _, _, result in found if isinstance(result, Shaped)] == [C, C.replace("two", "three")]


def test_a_chat_with_another_question_than_the_rows_is_still_refused() -> None:
    with pytest.raises(RowError) as caught:
        to_sample({"prompt": "Another?", "completion": [USER, ANSWER]})
    assert caught.value.reason == "two_questions"


def test_a_conversation_by_column_is_one() -> None:
    chat = ROWS["sharegpt"]["conversations"]
    by_column = {"conversations": {key: [message[key] for message in chat] for key in ("from", "value")}}
    found = [one.sample.turn for one in turns_of(by_column, None, RowRules()) or [] if isinstance(one, Shaped)]
    assert [turn.number for turn in found if turn] == [1, 3]
    assert found[0] is not None
    assert found[0].conversation.with_thinking({})["conversations"] == chat


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": {"role": ["user"], "content": [Q, R]}},
        {"messages": {"role": "user", "content": Q}},
        {"messages": {"role": [], "content": []}},
        {"prompt": Q, "response": {"tokens": 3}},
        {"prompt": Q, "response": {"choices": []}},
        {"prompt": Q, "response": {"choices": [{"message": None}]}},
        {"generations": [[]]},
        {"messages": [[[[USER, ANSWER]]], []]},
    ],
)
def test_what_is_none_of_them_is_rejected_in_one_sentence(odd: dict[str, object]) -> None:
    with pytest.raises(RowError) as caught:
        to_sample(odd)
    assert "\n" not in caught.value.detail


def test_a_whole_chat_among_other_responses_is_not_taken() -> None:
    with pytest.raises(RowError) as caught:
        to_sample({"question": Q, "generation": CHATS[1], "response": R})
    assert caught.value.reason == "two_answers"
