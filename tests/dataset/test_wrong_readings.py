"""Rows that could be read, but wrongly: what a reader would say they hold, or a reason that tells what to do."""

from collections.abc import Mapping

import pytest

from asap.dataset.conversations import turns_of
from asap.dataset.generations import each_generation
from asap.dataset.row_rules import RowRules
from asap.dataset.shapes import to_sample as as_shaped
from asap.errors import RowError
from asap.sample import Sample
from asap.think_tags import TAGS

Q, T, A = "How many days has a week?", "Monday to Friday are 5.\n\nWith the weekend it is 7.", "It has 7 days."
R = f"<think>\n{T}\n</think>\n\n{A}"
ASK, REPLY = {"role": "user", "content": Q}, {"role": "assistant", "content": R}


def read(row: Mapping[str, object], columns: Mapping[str, str] | None = None) -> Sample:
    found = turns_of(row, columns, RowRules())
    if found is None:
        return as_shaped(row, columns).sample
    [only] = found
    if isinstance(only, RowError):
        raise only
    return only.sample


@pytest.mark.parametrize(
    "row",
    [
        {"question": Q, "reasoning": f"<think>\n{T}\n</think>", "answer": A},
        {"question": Q, "reasoning": R, "answer": A},
        {"question": [Q], "response": [R]},
        {"Question": Q, "Chain of Thought": T, "Answer": A},
        {"User-Prompt": Q, "response": R},
        {"question": Q, "reasoning": "detailed thinking on", "response": R},
        {"messages": [ASK, {"role": "assistant", "reasoning_content": f"<think>\n{T}\n</think>\n", "content": A}]},
    ],
)
def test_a_row_has_the_parts_that_a_reader_would_name(row: Mapping[str, object]) -> None:
    sample = read(row)
    assert (sample.question, sample.cot, sample.answer) == (Q, T, A)


def test_tags_around_the_thinking_of_a_turn_stay_where_they_are() -> None:
    tagged = {"role": "assistant", "reasoning_content": f"<think>\n{T}\n</think>", "content": A}
    found = turns_of({"messages": [ASK, tagged, ASK, REPLY]}, None, RowRules())
    assert found is not None
    turns = [one.sample for one in found if not isinstance(one, RowError)]
    assert [turn.cot for turn in turns] == [T, T]
    [turn, _] = [one.turn for one in turns if one.turn]
    assert turn.conversation.with_thinking({1: "7."})["messages"][1] == {**tagged, "reasoning_content": "<think>\n7.\n</think>"}


STEPS = {"question": Q, "reasoning": T.split("\n\n"), "answer": A}


@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        ({"question": Q, "reasoning": R, "answer": "8"}, "two_answers", "a whole response"),
        ({"question": Q, "reasoning": "arithmetic of calendars", "answer": A}, "no_think", ""),
        (STEPS, "two_traces", "join the steps"),
        ({"question": Q, "reasoning": [{"step": 1, "text": "a"}, {"step": 2, "text": "b"}], "answer": A}, "two_traces", "join the steps"),
        ({"question": Q, "responses": [[REPLY], [REPLY]]}, "several_generations", "make a row of each with --each-generation"),
        ({"question": Q, "generations": []}, "no_answer", "generations is an empty list"),
        ({"question": Q, "teacher_response": R}, "unknown_shape", "--columns question=question,response=teacher_response"),
        ({"prompt": Q, "chosen": [ASK, REPLY], "rejected": [ASK]}, "unknown_shape", "--columns messages=chosen"),
        ({"dialog": [{"speaker": "user", "text": Q}]}, "wrong_type", "dialog[0].role is null; a string is expected; the message has only"),
    ],
)
def test_a_row_that_would_be_read_wrongly_is_rejected(row: Mapping[str, object], reason: str, words: str) -> None:
    with pytest.raises(RowError) as caught:
        read(row)
    assert caught.value.reason == reason
    assert words in caught.value.detail


def test_a_question_beside_a_chat_that_has_it_is_not_asked_twice() -> None:
    row = {"prompt": Q, "chosen": [ASK, REPLY], "rejected": [ASK, {"role": "assistant", "content": "8"}]}
    with pytest.raises(RowError, match="--columns messages=chosen") as caught:
        read(row, {"question": "prompt", "response": "chosen"})
    assert caught.value.reason == "two_questions"
    assert read(row, {"messages": "chosen"}).question == Q


@pytest.mark.parametrize(
    "row",
    [
        {"text": f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n{R}<|im_end|>\n"},
        {"prompt": f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n", "completion": R},
        {"prompt": f"<｜begin▁of▁sentence｜><｜User｜>{Q}<｜Assistant｜><think>\n", "response": R},
        {"prompt": f"<s>[INST] {Q} [/INST]", "response": R},
        {"prompt": f"{Q}\n<think>\n", "response": f"{T}\n</think>\n\n{A}"},
        {"question": Q, "response": f"{R}<|im_end|>"},
        {"question": Q, "response": f"{R}</s>"},
        {"messages": [ASK, {"role": "assistant", "content": f"{R}<|eot_id|>"}]},
        {"messages": [ASK, {"role": "assistant", "content": f"{R}<|im_end|>"}], "tools": [{"name": "wc"}]},
    ],
)
def test_a_chat_template_that_is_written_into_a_text_is_no_part_of_it(row: Mapping[str, object]) -> None:
    with pytest.raises(RowError) as caught:
        read(row)
    assert caught.value.reason == "rendered_template"


@pytest.mark.parametrize(
    "row",
    [
        {"question": "What does <|im_start|> mean?", "response": R},
        {"question": "Close this tag:\n<think>", "response": R},
        {"question": "Strike 6 out.", "response": f"{R} <s>6</s>"},
    ],
)
def test_a_text_about_templates_is_a_text(row: Mapping[str, object]) -> None:
    assert read(row).cot == T


def test_steps_of_one_trace_are_no_generations() -> None:
    assert list(each_generation(STEPS, {}, None, TAGS)) == [STEPS]
    several = {**STEPS, "answer": ["7", "It is 7."]}
    assert [row["reasoning"] for row in each_generation(several, {}, None, TAGS)] == T.split("\n\n")
