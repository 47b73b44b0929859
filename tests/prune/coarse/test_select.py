"""How steps are shown and numbered, what counts as a selection, and how a long trace is shown in windows."""

import json
import re
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.lm.generate import Generation, Request
from asap.prune.coarse.llm_reply import InvalidReply, enclosed
from asap.prune.coarse.select import between, merged, read_selection, select_request, select_schema, windows
from asap.sample import Sample
from asap.steps import split_steps

STEPS = ["Okay.", "```python\na = 1\n\nb = 2\n```", "    indented", "Done {first}."]
SAMPLE = Sample("1", "What is {count}?", "\n\n".join(STEPS), "2")


def request(sample: Sample = SAMPLE, first: int = 0, last: int = 4, draw: int = 0) -> Request:
    spans = split_steps(sample.cot)
    return select_request(sample, "1. Think.", spans, first, last, temperature=0.3, max_tokens=200, draw=draw)


def content(found: Request) -> str:
    return found.messages[0]["content"]


def read(text: str, first: int = 0, last: int = 20, finish: str = "stop") -> list[int]:
    return read_selection(Generation(text, finish, 100, 9), first, last)


def refusal(text: str, first: int = 0, last: int = 20, finish: str = "stop") -> str:
    with pytest.raises(InvalidReply) as error:
        read(text, first, last, finish)
    return error.value.reason


def test_steps_are_shown_verbatim_under_their_numbers() -> None:
    shown = "\n".join(f"<{number}>\n{step}" for number, step in enumerate(STEPS, 1))
    found = request()
    assert enclosed("trace", shown) in content(found)
    assert enclosed("question", SAMPLE.question) in content(found)
    assert enclosed("outline", "1. Think.") in content(found)
    assert "The trace has 4 steps; steps 1 to 4 are shown." in content(found)
    assert (found.temperature, found.top_p, found.max_new_tokens) == (0.3, 1.0, 200)
    assert found.schema == select_schema(0, 4)
    assert found == request()
    assert found.key("m") == request().key("m") != request(draw=1).key("m")


def test_a_part_keeps_the_numbers_of_the_whole_trace() -> None:
    found = content(request(first=1, last=3))
    assert enclosed("trace", f"<2>\n{STEPS[1]}\n<3>\n{STEPS[2]}") in found
    assert "The trace has 4 steps; steps 2 to 3 are shown. A line such as <2> opens" in found


def test_markers_that_the_trace_holds_itself_get_a_token() -> None:
    sample = Sample("1", "Q", "See <1> and\n<2>\n\nmore", "A")
    found = content(request(sample, 0, 2))
    markers = re.findall(r"(?m)^<([0-9a-f]{8}):([12])>$", found)
    assert [number for _, number in markers] == ["1", "2"]
    assert markers[0][0] not in sample.cot
    assert f"A line such as <{markers[0][0]}:1> opens" in found


def test_the_prompt_names_json_and_the_schema_is_json() -> None:
    assert "JSON" in content(request())
    schema = select_schema(3, 120)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["properties"]["keep"]["maxItems"] == 117
    assert refusal('{"keep": ["a", "b-c"]}') == "not_a_list"  # the prompt's own example, repeated


@given(st.integers(1, 3000), st.integers(0, 3000))
def test_the_schema_takes_the_numbers_that_were_shown_and_no_others(low: int, more: int) -> None:
    high = low + more
    matches = re.compile(between(low, high)).fullmatch
    near = {*range(low - 12, low + 12), *range(high - 12, high + 12), low * 10, high * 10, (low + high) // 2, 10, 99, 100, 999, 1000}
    assert {number for number in near if number >= 0 and matches(str(number))} == {number for number in near if low <= number <= high}
    assert not matches("0" + str(low))


def test_a_reply_by_the_schema_is_in_range() -> None:
    item = re.compile(select_schema(9, 20)["properties"]["keep"]["items"]["pattern"])
    assert [text for text in ("9", "10", "20", "21", "10-20", "9-12", "12-21", "12-", "1") if item.search(text)] == ["10", "20", "10-20"]


@pytest.mark.parametrize(
    "text",
    [
        '{"keep": ["1", "3-5", "9"]}',
        '{"keep": [1, "3-5", 9]}',
        '{"keep": ["1","3–5","9",]}',
        '{"keep": "1, 3-5, 9"}',
        "{'keep': ['1', '3 to 5', '9']}",
        '{"reason": "I dropped 6 of the steps.", "keep": ["1", "3 - 5", "9"]}',
        'Sure! Steps 2 and 6 go.\n```json\n{\n  "keep": ["1", "3-5", "9"]\n}\n```\nThat makes 5 steps.',
        '["1", "3-5", "9"]',
        "[1, 3, 4, 5, 9]",
        "```json\n[1, 3, 4, 5, 9]\n```\n",
        "1, 3-5, 9",
        "1; 3—5; and 9.",
        "1 3-5 9",
        "1\n3-5\n9\n",
        "- 1\n- 3-5\n- 9",
        "Keep: 1, 3-5, 9",
        "The rest is talk.\n**Keep:** steps 3 to 5, 1 and 9.",
        "Steps to keep: [1, 3-5, 9]",
        '{"keep": ["9", "4-5", "3-4", "01", "1"]}',
        '{"keep": ["<1>", "#3", "step 4", "5", "9"]}',
    ],
)
def test_many_spellings_of_one_selection(text: str) -> None:
    assert read(text) == [0, 2, 3, 4, 8]
    assert read(text.replace("\n", "\r\n")) == [0, 2, 3, 4, 8]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I kept 5 steps because 3 of them matter.", "not_a_list"),
        ("5 steps are kept, 3 are not.", "not_a_list"),
        ("The list [1, 2, 3] is sorted in step 4.", "not_a_list"),
        ("For example:\n```\n1, 2, 3\n```\nKeep all of it.", "not_a_list"),
        ("Do not keep: 3, 4", "not_a_list"),
        ("Keep: 1, 2 because they matter", "not_a_list"),
        ("1. Sort\n2. Count", "not_a_list"),
        ('{"keep": [{"step": 1}]}', "not_a_list"),
        ('{"keep": [[1, 3], [5, 6]]}', "not_a_list"),
        ('{"keep": [1.5]}', "not_a_list"),
        ('{"keep": [true]}', "not_a_list"),
        ('{"keep": ["-3"]}', "not_a_list"),
        ('{"keep": ["1-3-5"]}', "not_a_list"),
        ('{"keep": ["1", "2"', "not_a_list"),
        ('{"steps": [1, 2]}', "not_a_list"),
        ("{}", "not_a_list"),
        ("null", "not_a_list"),
        ('{"keep": ["1"]} or {"keep": ["2"]}', "ambiguous"),
        ('{"keep": []}', "nothing_kept"),
        ("[]", "nothing_kept"),
        ('{"keep": ["21"]}', "out_of_range"),
        ('{"keep": ["0"]}', "out_of_range"),
        ('{"keep": ["15-21"]}', "out_of_range"),
        ('{"keep": ["1-999999999"]}', "out_of_range"),
        ('{"keep": ["1-' + "9" * 5000 + '"]}', "out_of_range"),
        ('{"keep": ["7-3"]}', "reversed_range"),
        ("", "empty"),
        ("[" * 100_000, "not_a_list"),
        ('{"a":' * 20_000, "not_a_list"),
    ],
)
def test_anything_else_is_invalid_with_its_reason(text: str, reason: str) -> None:
    assert refusal(text) == reason


def test_a_reply_that_was_cut_is_invalid_even_if_it_reads_well() -> None:
    assert refusal('{"keep": ["1"]}', finish="length") == "cut_off"


def test_numbers_count_from_the_first_step_of_the_trace() -> None:
    assert read('{"keep": ["11-12", "20"]}', 10, 20) == [10, 11, 19]
    assert refusal('{"keep": ["10"]}', 10, 20) == "out_of_range"


@given(
    st.text(max_size=80)
    | st.text('0123456789-, []"{}:keptos\n', max_size=80)
    | st.lists(st.sampled_from(['"keep"', ": ", "[", "]", "1", "19", "-", " to ", ",", " ", '"', "Keep: ", "\n", "```"]), max_size=20).map(
        "".join
    )
)
def test_whatever_the_reply_is_shown_steps_in_order_come_out(text: str) -> None:
    try:
        kept = read(text, 3, 20)
    except InvalidReply:
        return
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(3, 20))
    assert kept


@given(st.sets(st.integers(0, 19), min_size=1), st.data())
def test_every_selection_can_be_told(kept: set[int], data: st.DataObject) -> None:
    items: list[Any] = [index + 1 for index in sorted(kept)]
    as_text = data.draw(st.booleans())
    assert read(json.dumps({"keep": [str(item) for item in items] if as_text else items})) == sorted(kept)


@pytest.mark.parametrize(
    "text", ["1 " * 500_000, "1" + " " * 10**6, '"keep"' * 200_000, "Keep: " * 200_000, "[" + "1-19," * 20_000 + "]", "-" * 10**6]
)
@pytest.mark.timeout(600)  # hours if it took a time that grows with the square of the length
def test_a_long_reply_is_read_in_one_go(text: str) -> None:
    with suppress(InvalidReply):
        read(text)


tokens = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@given(tokens, st.integers(0, 120), st.integers(0, 4))
def test_windows_cover_every_step_once_or_twice_and_fit(step_tokens: list[int], room: int, overlap: int) -> None:
    found = windows(step_tokens, room, overlap)
    assert found == windows(step_tokens, room, overlap)
    shown = [sum(first <= index < last for first, last in found) for index in range(len(step_tokens))]
    assert set(shown) <= {1, 2}
    assert (found[0][0], found[-1][1]) == (0, len(step_tokens))
    assert all(first < last for first, last in found)
    assert all(one[0] < other[0] <= one[1] < other[1] and one[1] - other[0] <= overlap for one, other in pairwise(found))
    assert all(sum(step_tokens[first:last]) <= room or last - first == 1 for first, last in found)
    assert (len(found) == 1) == (sum(step_tokens) <= room or len(step_tokens) == 1)


def test_windows_overlap_at_the_seams_and_are_even() -> None:
    found = windows([10] * 100, 300)
    assert all(one[1] - other[0] == 2 for one, other in pairwise(found))
    assert max(last - first for first, last in found) - min(last - first for first, last in found) <= 3


def test_a_step_larger_than_the_room_is_alone() -> None:
    assert windows([5, 5, 100, 5, 5], 20) == [(0, 2), (2, 3), (3, 5)]
    assert windows([100], 20) == [(0, 1)]
    assert windows([], 20) == []


def test_what_one_part_keeps_stays() -> None:
    assert merged([[0, 2, 5], [4, 5, 9], []]) == [0, 2, 4, 5, 9]
