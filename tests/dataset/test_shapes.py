"""Shapes: every form of row gives the same sample, and what cannot be used says why."""

from collections.abc import Mapping
from typing import Any

import pytest

from asap.dataset import Shaped, render_row, to_sample
from asap.errors import RowError

Q, C, A, S = "What is 1+1?", "One and one.\n\nThat is two.", "It is 2.", "Be brief."
R = f"<think>\n{C}\n</think>\n\n{A}"
USER, ANSWER = {"role": "user", "content": Q}, {"role": "assistant", "content": R}
TEXT = {"type": "text", "text": A}
SYSTEM = {"role": "system", "content": S}


def beside(**reasoning: object) -> dict[str, object]:
    return {"messages": [USER, {"role": "assistant", "content": A, **reasoning}]}


def said(content: object) -> dict[str, object]:
    return {"messages": [USER, {"role": "assistant", "content": content}]}


def reject(row: Mapping[str, object], columns: Mapping[str, str] | None = None) -> RowError:
    with pytest.raises(RowError) as caught:
        to_sample(row, columns)
    assert "\n" not in caught.value.detail
    return caught.value


ROWS: dict[str, tuple[str, dict[str, object]]] = {
    "own": ("question+cot+answer", {"question": Q, "cot": C, "answer": A, "messages": [USER, ANSWER]}),
    "response": ("question+response", {"question": Q, "response": R}),
    "generation": ("prompt+generation", {"prompt": Q, "generation": R, "messages": "anything"}),
    "trl strings": ("prompt+completion", {"prompt": Q, "completion": R}),
    "trl messages": ("prompt+completion", {"prompt": [USER], "completion": [ANSWER]}),
    "trl mixed": ("prompt+completion", {"prompt": [USER], "completion": R}),
    "messages": ("messages", {"messages": [USER, ANSWER]}),
    "reasoning_content": ("messages", beside(reasoning_content=C)),
    "reasoning": ("messages", beside(reasoning=C, reasoning_content=None)),
    "thinking": ("messages", beside(thinking=C, reasoning="")),
    "axolotl parts": ("messages", beside(reasoning_content=[{"text": C[:9], "train": True}, {"content": C[9:], "train": False}])),
    "content parts": (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": Q, "image": None}]}, {"role": "assistant", "content": [R]}]},
    ),
    "anthropic": ("messages", said([{"type": "thinking", "thinking": C, "signature": "x"}, TEXT])),
    "mistral": ("messages", said([{"type": "thinking", "thinking": [{"type": "text", "text": C}]}, TEXT])),
    "openai chat parts": ("messages", said([{"type": "reasoning", "text": C}, {"type": "output_text", "text": A}])),
    "openai summaries": (
        "messages",
        said([{"type": "reasoning", "summary": [{"type": "summary_text", "text": t} for t in C.split("\n\n")]}, TEXT]),
    ),
    "openai responses": (
        "messages",
        {
            "messages": [
                USER,
                {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": C}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": A}]},
            ]
        },
    ),
    "openrouter": ("messages", beside(reasoning=None, reasoning_details=[{"type": "reasoning.text", "text": C}])),
    "gemini": ("messages", said([{"text": C, "thought": True}, {"text": A}])),
    "bedrock": ("messages", said([{"reasoningContent": {"reasoningText": {"text": C, "signature": "x"}}}, {"text": A}])),
    "interleaved": (
        "messages",
        said([{"type": "thinking", "thinking": C[:12]}, {"type": "text", "text": C[14:]}, {"type": "thinking", "thinking": ""}, TEXT]),
    ),
    "gpt-oss channels": (
        "messages",
        {
            "messages": [
                USER,
                {"role": "assistant", "channel": "analysis", "content": C},
                {"role": "assistant", "channel": "final", "content": A},
            ]
        },
    ),
    "gpt-oss fields": ("messages", beside(thinking=C, channel="final")),
    "harmony": (
        "prompt+completion",
        {"prompt": Q, "completion": f"<|channel|>analysis<|message|>{C}<|end|><|start|>assistant<|channel|>final<|message|>{A}<|return|>"},
    ),
    "harmony's words": ("prompt+completion", {"prompt": Q, "completion": f"analysis{C}assistantfinal{A}"}),
    "empty reasoning, tags inside": ("messages", {"messages": [USER, {**ANSWER, "reasoning_content": ""}]}),
    "the same trace twice": ("messages", {"messages": [USER, {**ANSWER, "reasoning_content": C}]}),
    "reasoning null in the question": ("messages", {"messages": [{**USER, "reasoning_content": None}, ANSWER]}),
    "sharegpt": ("conversations", {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": R}]}),
    "sharegpt, other names": ("conversations", {"conversations": [{"from": "user", "value": Q}, {"from": "assistant", "value": R}]}),
    "alpaca": ("instruction+output", {"instruction": Q, "output": R}),
    "alpaca, empty input": ("instruction+output", {"instruction": Q, "input": "", "output": R, "history": []}),
    "alpaca, input": ("instruction+output", {"instruction": Q, "input": "", "output": R, "system": ""}),
    "openthoughts": (
        "problem+deepseek_reasoning+deepseek_solution",
        {"problem": Q, "deepseek_reasoning": C, "deepseek_solution": A, "test_cases": "[]"},
    ),
    "null columns are not there": ("messages", {"question": None, "response": None, "messages": [USER, ANSWER]}),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_shape_gives_the_same_sample(name: str) -> None:
    shape, row = ROWS[name]
    shaped = to_sample(row)
    assert shaped.shape == shape
    assert (shaped.sample.question, shaped.sample.cot, shaped.sample.answer, shaped.sample.system) == (Q, C, A, None)
    assert len(shaped.sample.id) == 16


WITH_SYSTEM: dict[str, dict[str, object]] = {
    "own": {"question": Q, "cot": C, "answer": A, "messages": [SYSTEM, USER, ANSWER]},
    "own, column": {"question": Q, "cot": C, "answer": A, "system": S},
    "response": {"question": Q, "response": R, "system": S},
    "trl": {"prompt": [SYSTEM, USER], "completion": [ANSWER]},
    "messages": {"messages": [SYSTEM, USER, ANSWER]},
    "developer": {"messages": [{"role": "developer", "content": S}, USER, ANSWER]},
    "messages, column": {"messages": [USER, ANSWER], "system": S},
    "sharegpt": {"conversations": [{"from": "system", "value": S}, {"from": "human", "value": Q}, {"from": "gpt", "value": R}]},
    "openthoughts-114k": {"system": S, "conversations": [{"from": "user", "value": Q}, {"from": "assistant", "value": R}]},
    "alpaca": {"instruction": Q, "input": "", "output": R, "system": S},
}


@pytest.mark.parametrize("name", WITH_SYSTEM)
def test_the_system_message_is_found(name: str) -> None:
    sample = to_sample(WITH_SYSTEM[name]).sample
    assert (sample.system, sample.question, sample.cot, sample.answer) == (S, Q, C, A)


def test_a_system_message_in_the_conversation_goes_before_the_column() -> None:
    sample = to_sample({"messages": [SYSTEM, USER, ANSWER], "system": "other"}).sample
    assert (sample.system, sample.meta) == (S, {"system": "other"})


def test_a_messages_column_that_only_repeats_the_row_is_never_a_reason_to_reject_it() -> None:
    for messages in ("text", [1], [{"role": "nobody"}], [], {}):
        assert to_sample({"question": Q, "cot": C, "answer": A, "messages": messages}).sample.system is None


def test_the_input_of_an_alpaca_row_follows_the_instruction() -> None:
    assert to_sample({"input": "3, 4", "output": R, "instruction": "Add:"}).sample.question == "Add:\n3, 4"


def test_an_alpaca_row_with_a_history_is_not_a_single_question() -> None:
    assert reject({"instruction": Q, "output": R, "history": [["a", "b"], ["c", "d"]]}).reason == "multi_turn"


def test_a_row_of_codeforces_cots_is_read() -> None:
    """The columns of open-r1/codeforces-cots as its card lists them, with made-up values."""
    row: dict[str, Any] = {
        "id": "1000/A",
        "aliases": None,
        "contest_id": "1000",
        "contest_name": "A round",
        "contest_type": "ICPC",
        "contest_start": 1530110100,
        "contest_start_year": 2018,
        "index": "A",
        "time_limit": 2.0,
        "memory_limit": 256,
        "title": "Sizes",
        "description": "Count the sizes.",
        "input_format": "A number.",
        "output_format": "A number.",
        "examples": [{"input": "1", "output": "2"}],
        "note": None,
        "editorial": None,
        "prompt": Q,
        "generation": R,
        "finish_reason": "stop",
        "api_metadata": {"completion_tokens": 9, "prompt_tokens": 3, "prompt_tokens_details": None, "total_tokens": 12},
        "interaction_format": None,
        "messages": [USER, ANSWER],
    }
    shaped = to_sample(row)
    assert shaped.shape == "prompt+generation"
    sample = shaped.sample
    assert (sample.id, sample.question, sample.cot, sample.answer, sample.system) == ("1000/A", Q, C, A, None)
    assert dict(sample.meta) == {key: value for key, value in row.items() if key not in ("id", "prompt", "generation", "messages")}


@pytest.mark.parametrize(
    ("response", "cot", "answer"),
    [
        ("just the end\n</think>\n\nx", "just the end", "x"),
        ("<thinking>\na\n</thinking>\nx", "a", "x"),
        ("<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\nx", "a", "x"),
        ("<think>\r\na\r\n\r\nb\r\n</think>\r\n\r\nx\r\ny", "a\r\n\r\nb", "x\r\ny"),
        ("<think>a</think>b<think>c</think>x", "a</think>b<think>c", "x"),
        ("<think>a\0b</think>x\0", "a\0b", "x\0"),
    ],
)
@pytest.mark.parametrize("column", ["response", "messages"])
def test_responses_are_split_at_their_tags(column: str, response: str, cot: str, answer: str) -> None:
    row: dict[str, object] = {"question": Q, "response": response}
    if column == "messages":
        row = {"messages": [USER, {"role": "assistant", "content": response}]}
    sample = to_sample(row).sample
    assert (sample.cot, sample.answer) == (cot, answer)


@pytest.mark.parametrize("answer", ["the </think> tag", "```python\nx = '</think>'\n```"])
def test_an_answer_may_quote_a_closing_tag(answer: str) -> None:
    assert to_sample({"question": Q, "cot": C, "answer": answer}).sample.answer == answer


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": Q, "response": A}, "no_think"),
        ({"question": Q, "response": "<think>a"}, "unclosed_think"),
        ({"question": Q, "response": "Well <think>a</think>b"}, "text_before_think"),
        ({"question": Q, "response": "<think></think>b"}, "empty_think"),
        ({"question": Q, "response": "<think>a</think>"}, "empty_answer"),
        ({"question": " ", "response": R}, "empty_question"),
        ({"question": Q, "cot": "", "answer": A}, "empty_think"),
        ({"question": Q, "cot": C, "answer": "2 </think> 3"}, "two_traces"),
        ({"question": Q, "response": "[THINK]a[/THINK]2 </think> 3"}, "think_in_answer"),
        ({"question": "\ud800", "response": R}, "lone_surrogate"),
        ({"question": Q, "response": f"<think>\udfff</think>{A}"}, "lone_surrogate"),
        (beside(), "no_think"),
        (beside(reasoning_content=" "), "empty_think"),
        ({"messages": [USER, {"role": "assistant", "content": "<think>a", "reasoning": ""}]}, "unclosed_think"),
        ({"messages": [USER, {**ANSWER, "reasoning": "something else"}]}, "two_traces"),
        (said([{"type": "thinking", "thinking": C}]), "empty_answer"),
        (said([TEXT, {"type": "thinking", "thinking": C}]), "empty_answer"),
        (said([{"type": "redacted_thinking", "data": "x"}, TEXT]), "not_text"),
        ({"messages": [USER, {"role": "assistant", "channel": "analysis", "content": C}]}, "empty_answer"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": C}], "reasoning": "else"}]}, "two_traces"),
        ({"messages": [USER, {"role": "assistant", "content": None, "reasoning_content": C}]}, "empty_answer"),
        ({"messages": [USER, {"role": "assistant", "content": None, "reasoning_content": None}]}, "wrong_type"),
        ({"question": Q, "cot": [C, C], "answer": A}, "two_traces"),
        ({"messages": [USER]}, "no_answer"),
        ({"messages": [ANSWER]}, "no_question"),
        ({"messages": []}, "no_question"),
        ({"messages": [ANSWER, USER]}, "wrong_order"),
        ({"messages": [USER, ANSWER, USER, ANSWER]}, "multi_turn"),
        ({"messages": [SYSTEM, SYSTEM, USER, ANSWER]}, "multi_turn"),
        ({"prompt": [USER, ANSWER, USER], "completion": R}, "multi_turn"),
        ({"messages": [USER, {"role": "tool", "content": "x"}, ANSWER]}, "unknown_role"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "image_url", "text": "x"}]}]}, "not_text"),
    ],
)
def test_a_row_that_cannot_be_used_has_a_reason(row: dict[str, object], reason: str) -> None:
    assert reject(row).reason == reason
    if "id" not in row:
        assert reject({**row, "id": 7}).row_id == "7"


def test_the_counts_of_a_long_conversation_are_named() -> None:
    assert "2 user, 1 assistant and 0 system" in reject({"messages": [USER, USER, ANSWER]}).detail


@pytest.mark.parametrize(
    ("row", "place", "found"),
    [
        ({"question": 3, "response": R}, "question", "int"),
        ({"question": Q, "response": [3]}, "response", "int"),
        ({"prompt": [Q, Q], "completion": R}, "prompt[0]", "str"),
        ({"prompt": Q, "completion": {"a": 1}}, "completion", "dict"),
        ({"question": Q, "cot": 1.5, "answer": A}, "cot", "float"),
        ({"question": Q, "response": R, "system": True}, "system", "bool"),
        ({"messages": "text"}, "messages", "str"),
        ({"messages": {"role": ["user"], "content": [Q, R]}}, "messages", "dict"),
        ({"messages": [None]}, "messages[0]", "null"),
        ({"messages": [{"role": ["user"], "content": Q}]}, "messages[0].role", "list"),
        ({"messages": [{"content": Q}]}, "messages[0].role", "null"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "messages[1].content", "null"),
        ({"messages": [USER, {"role": "assistant", "content": [3]}]}, "messages[1].content[0]", "int"),
        ({"messages": [USER, {"role": "assistant", "content": [{"text": 3}]}]}, "messages[1].content[0].text", "int"),
        (beside(reasoning_content=5), "messages[1].reasoning_content", "int"),
        ({"conversations": [{"from": "human", "value": 1}]}, "conversations[0].value", "int"),
        ({"instruction": Q, "input": ["x", "y"], "output": R}, "input", "list"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_type(row: dict[str, object], place: str, found: str) -> None:
    error = reject(row)
    assert error.reason == "wrong_type"
    assert error.detail.startswith(f"{place} is {found};")


def test_an_unknown_shape_lists_the_columns_and_the_option() -> None:
    error = reject({"id": "x", "text": "hello", "cot": None, "bad\nname\ud800": 1})
    assert (error.reason, error.row_id) == ("unknown_shape", "x")
    assert "'id', 'text', 'cot' (null), 'bad\\nname\\ud800'" in error.detail
    assert "columns={'question': '...', 'response': '...'}" in error.detail
    error.detail.encode()
    assert reject({}).reason == "unknown_shape"


# --- ids and the rest of the row ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "expected", "rest"),
    [
        ({"id": "a", "uuid": "b"}, "a", {"uuid": "b"}),
        ({"id": 0}, "0", {}),
        ({"id": None, "uuid": "b"}, "b", {"id": None}),
        ({"uuid": "b", "note": 1}, "b", {"note": 1}),
    ],
)
def test_the_id_comes_from_id_then_uuid(extra: dict[str, object], expected: str, rest: dict[str, object]) -> None:
    sample = to_sample({"question": Q, "response": R, **extra}).sample
    assert (sample.id, sample.meta) == (expected, rest)


def test_rows_without_an_id_get_one_from_their_content() -> None:
    one, same, other = (to_sample({"question": q, "response": R}).sample.id for q in (Q, Q, "other"))
    assert one == same != other


def test_an_id_that_is_not_unicode_is_shown_escaped() -> None:
    for row in ({"response": R}, {"response": 3}):
        assert reject({"id": "x\ud800", "question": Q, **row}).row_id == "x\\ud800"


# --- the rendering --------------------------------------------------------------------------------------------------


def test_the_rendering_shows_every_part_with_its_length() -> None:
    shaped = to_sample({"id": "r1", "system": S, "question": Q, "cot": "x" * 1234, "answer": A})
    lines = render_row(Shaped(shaped.shape, shaped.sample)).split("\n")
    assert lines[:3] == ["shape: question+cot+answer", "id: r1", "system (9 characters): Be brief."]
    assert lines[3] == "question (12 characters): What is 1+1?"
    assert lines[4] == f"trace (1,234 characters): {'x' * 200}…"
    assert lines[5] == "answer (8 characters): It is 2."
