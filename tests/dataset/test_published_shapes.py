"""Rows of published data sets are read without naming a column; what can be read in two ways is rejected and says what to type."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from published_rows import ANSWER, OTHER, OTHERS, PUBLISHED, USER, A, C, Q, R

from asap.dataset import to_sample
from asap.dataset.column_names import ANSWERS, CHATS, LESSER_QUESTIONS, QUESTIONS, RESPONSES, TRACES
from asap.dataset.row_rules import RowRules
from asap.dataset.shapes import to_sample as as_shaped
from asap.errors import RowError

NOT_ALONE = {"GAIR/LIMO", "simplescaling/s1K-1.1", "zwhe99/DeepMath-103K", "PrimeIntellect/SYNTHETIC-2"}
"""They say nothing of what is the thinking, or hold several, so they need an option."""


@pytest.mark.parametrize("name", sorted(PUBLISHED.keys() - NOT_ALONE) + sorted(OTHERS))
def test_a_published_row_is_read_without_an_option(name: str) -> None:
    sample = to_sample({**PUBLISHED, **OTHERS}[name]).sample
    assert (sample.question, sample.cot, sample.answer) == (Q, C, A)


def reject(row: Mapping[str, object]) -> RowError:
    with pytest.raises(RowError) as caught:
        as_shaped(row)
    assert "\n" not in caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    ("row", "reason", "named"),
    [
        (PUBLISHED["GAIR/LIMO"], "no_think", {"solution", "answer"}),
        (PUBLISHED["simplescaling/s1K-1.1"], "two_traces", {"deepseek_thinking_trajectory", "gemini_thinking_trajectory"}),
        (PUBLISHED["zwhe99/DeepMath-103K"], "several_generations", {"r1_solution"}),
        (PUBLISHED["PrimeIntellect/SYNTHETIC-2"], "several_generations", {"responses"}),
        ({"question": Q, "response": R, "solution": OTHER}, "two_answers", {"response", "solution"}),
        ({"question": Q, "reasoning": C, "answer": A, "solution": "2"}, "two_answers", {"answer", "solution"}),
        ({"problem": Q, "query": "Other?", "answer": R}, "two_questions", {"problem", "query"}),
        ({"prompt": Q, "response": R, "thinking": C + "!"}, "two_traces", set()),
        ({"prompt": Q, "completion": R, "messages": [USER, {**ANSWER, "content": OTHER}]}, "two_traces", {"completion", "messages"}),
        ({"question": Q, "cot": C, "reasoning": "Something else.", "response": A}, "two_traces", {"cot", "reasoning"}),
        ({"messages": [USER, {**ANSWER, "content": A}], "cot": C, "thinking": "Something else."}, "two_traces", {"cot", "thinking"}),
        ({"input": [USER], "output": A, "reasoning": "off"}, "no_think", set()),
        ({"conversations": [USER, {**ANSWER, "content": OTHER}], "messages": [USER, ANSWER]}, "two_traces", {"conversations", "messages"}),
        ({"question": Q, "cot": C, "answer": A, "solution": "2"}, "two_answers", {"answer", "solution"}),
        ({"messages": [USER, ANSWER], "question": Q, "reasoning": "Something else.", "answer": A}, "two_traces", {"messages", "reasoning"}),
        ({"interactions": [{"query": Q, "think": C, "answer": A}] * 2}, "multi_turn", set()),
    ],
)
def test_a_row_with_two_readings_is_rejected_and_names_both(row: Mapping[str, object], reason: str, named: set[str]) -> None:
    error = reject(row)
    assert error.reason == reason
    assert all(column in error.detail for column in named)


@pytest.mark.parametrize(
    "row",
    [
        {**PUBLISHED["GAIR/LIMO"], "answer": A},
        PUBLISHED["simplescaling/s1K-1.1"],
        {"question": Q, "response": R, "solution": OTHER},
        {"question": Q, "reasoning": C, "answer": A, "solution": "2"},
        {"problem": Q, "query": "Other?", "answer": R},
        {"messages": [USER, {**ANSWER, "content": A}], "cot": C, "thinking": "Something else."},
        {"prompt": Q, "completion": R, "messages": [USER, {**ANSWER, "content": OTHER}]},
        {"conversations": [USER, {**ANSWER, "content": OTHER}], "messages": [USER, ANSWER]},
    ],
)
def test_what_the_rejection_says_to_type_reads_the_row(row: Mapping[str, object]) -> None:
    said = re.search(r"--columns (\S+?),?(?= |$)", reject(row).detail)
    assert said is not None
    sample = to_sample(row, dict(pair.split("=") for pair in said[1].split(","))).sample
    assert (sample.question, sample.cot, sample.answer) == (Q, C, A)


def test_the_question_that_belongs_to_the_response_is_taken_of_several() -> None:
    row = {"question": "Short?", "prompt": Q, "generation": R, "problem": "Other?"}
    assert to_sample(row).sample.question == Q
    assert to_sample({**row, "generation": None, "response": R}).sample.question == "Short?"


def test_rows_of_pruned_jsonl_are_read_as_they_are_whatever_columns_travel_with_them() -> None:
    row = {"id": "1", "question": Q, "cot": C, "answer": A, "messages": [USER, ANSWER], "solution": "2", "response": OTHER, "prompt": "x"}
    sample = to_sample(row).sample
    assert (sample.question, sample.cot, sample.answer) == (Q, C, A)


def test_tags_of_ones_own_tell_a_response_too() -> None:
    response = R.replace("<think>", "<zone>").replace("</think>", "</zone>")
    rules = RowRules(think_tags="<zone>,</zone>")
    assert to_sample({"question": Q, "solution": "2", "answer": response}, rules=rules).sample.cot == C


def test_a_text_in_brackets_is_a_question_unless_it_is_a_chat() -> None:
    for question in ("[1, 2]", '[{"a": 1}]', "[not JSON]", json.dumps([{"query": "x"}])):
        assert to_sample({"prompt": question, "completion": R}).sample.question == question


OTHER_VALUES = st.sampled_from(
    [None, "", " ", "on", "2", 2, True, [], ["x"], "Add them up.", OTHER, [OTHER], [USER], [USER, {**ANSWER, "content": OTHER}], {"a": 1}]
)
ANY_NAME = st.sampled_from([*QUESTIONS, *LESSER_QUESTIONS, *TRACES, *RESPONSES, *ANSWERS, *CHATS, "id", "text", "tests", "Answer"])


@st.composite
def rows_with_others(draw: st.DrawFn) -> dict[str, object]:
    """A row that holds Q with the trace C in one of the ways, among other columns of any name with other values."""
    kind = draw(st.sampled_from(["whole", "beside", "chat", "open chat"]))
    question: dict[str, object] = {draw(st.sampled_from(QUESTIONS)): Q}
    beside: dict[str, object] = {draw(st.sampled_from(TRACES)): C, draw(st.sampled_from([*RESPONSES, *ANSWERS])): A}
    rows: dict[str, dict[str, object]] = {
        "whole": {**question, draw(st.sampled_from([*RESPONSES, *ANSWERS])): R},
        "beside": {**question, **beside},
        "chat": {draw(st.sampled_from(CHATS)): [USER, ANSWER]},
        "open chat": {draw(st.sampled_from(CHATS)): [USER], **beside},
    }
    return {**draw(st.dictionaries(ANY_NAME, OTHER_VALUES, max_size=4)), **rows[kind]}


@example({"generation": [USER, {**ANSWER, "content": OTHER}], "question": Q, "cot": C, "response": A})
@given(rows_with_others())
def test_whatever_else_a_row_holds_no_other_thinking_is_read(row: dict[str, object]) -> None:
    assume(sum("three" in json.dumps(value) for value in row.values()) <= 1)  # two that agree are a chat and the generation it holds
    with suppress(RowError):
        assert to_sample(row).sample.cot == C
