"""Thinking and answer come apart and go together again, whichever tags of the table delimit them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asap.errors import AsapError, RowError
from asap.think import (
    CLOSE,
    CLOSED,
    OPEN,
    OPENED,
    TAGS,
    ThinkTags,
    closes_unopened,
    closing_tag,
    has_tag,
    join_think,
    opened_by,
    parts_of,
    split_think,
    strip_think,
    unopened,
)

tags = st.sampled_from([tag for row in TAGS for tag in row if tag])
pieces = st.sampled_from(["a", "<", "think>", "\n", "\r\n", " ", "\n\n"]) | st.text(max_size=3)
texts = st.lists(tags | pieces, max_size=12).map("".join)
untagged = st.lists(pieces, max_size=12).map("".join)  # seldom has a tag, from its pieces
each_row = pytest.mark.parametrize("row", TAGS, ids=lambda row: row.open)


def plain(text: str) -> bool:
    """Whether an answer is nothing but an answer: not closing a thought, and not in tags of its own."""
    return closing_tag(text) is None and split_think(join_think("", text)).answer == text


@given(texts, texts)
def test_what_was_put_together_comes_apart(cot: str, answer: str) -> None:
    """Whatever tags the trace holds, and though the answer opens a thought."""
    assume(plain(answer))
    assert split_think(join_think(cot.strip("\r\n"), answer)) == (cot.strip("\r\n"), answer)


@given(texts, untagged)
def test_a_generation_and_a_reply_come_apart_at_the_same_place(cot: str, answer: str) -> None:
    assume(not has_tag(answer))
    response = join_think(cot, answer)
    assert parts_of(response) == (f"{OPENED}{cot}\n", f"\n\n{answer}")
    if CLOSE not in cot:
        assert strip_think(response, opened=False) == strip_think(response, opened=None) == answer.lstrip()
        assert strip_think(response.removeprefix(OPENED), opened=True) == answer.lstrip()


@each_row
@given(untagged, untagged)
def test_every_row_of_the_table_delimits(row: ThinkTags, cot: str, answer: str) -> None:
    assume(plain(answer) and not has_tag(cot + answer))
    written = f"{row.open}\n{cot}\n{row.close}\n\n{row.open_answer}{answer}{row.close_answer}"
    assert has_tag(written)
    assert split_think(written) == split_think(written.removeprefix(row.open)) == (cot.strip("\r\n"), answer.strip("\r\n"))
    assert parts_of(f"{row.open}{cot}") == (f"{row.open}{cot}", None)


@each_row
def test_no_delimiter_is_part_of_another_one(row: ThinkTags) -> None:
    """Or the first one found would depend on the order of the table."""
    others = [tag for other in TAGS for tag in other if tag and tag not in row]
    assert all(tag not in other for tag in row if tag for other in others)
    assert len(set(filter(None, row))) == len([tag for tag in row if tag])


@given(texts)
def test_a_prompt_opens_the_thinking_at_its_end_or_not_at_all(text: str) -> None:
    assert opened_by(text + OPENED)
    assert unopened(text + OPENED) == text
    assert unopened(text) == text if not opened_by(text) else text.startswith(unopened(text) + OPEN)


@given(texts)
def test_a_closing_tag_without_an_opening_one_shows_that_the_prompt_opened_it(text: str) -> None:
    assert closes_unopened(text) == (CLOSE in text and OPEN not in text[: text.index(CLOSE)])
    assert not closes_unopened(OPENED + text)
    assert closing_tag(text + CLOSED) is not None


@pytest.mark.parametrize(
    ("text", "cot", "answer"),
    [
        ("<think>\na\n</think>\n\nb", "a", "b"),
        ("<think>a</think>b", "a", "b"),
        (" \n<think>a</think>b", "a", "b"),
        ("<think>\r\n  a  \r\n</think>\r\nb\r\n", "  a  ", "b"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nb\n\n<|end_of_solution|>", "a", "b"),
        ("a\n</think>\n\nb", "a", "b"),
        ("a</thinking>b", "a", "b"),
        ("<think>a</think>b</think>c", "a</think>b", "c"),
        ("<think>a<think>b</think>c", "a<think>b", "c"),
        ("<think>a</think>\n<think>b</think>c", "a</think>\n<think>b", "c"),
        ("a</think>b</think>c", "a</think>b", "c"),
        ("<think></think>b", "", "b"),
        ("<think>a</think>", "a", ""),
        ("<think>a</think>the <|begin_of_solution|> tag", "a", "the <|begin_of_solution|> tag"),
        ("<think>\n\n    x = 1\n\n</think>\n\n    y", "    x = 1", "    y"),
    ],
    ids=repr,
)
def test_a_response_is_taken_apart(text: str, cot: str, answer: str) -> None:
    assert split_think(text) == (cot, answer)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_think"),
        ("just an answer", "no_think"),
        ("<THINK>a</THINK>b", "no_think"),
        ("<think>a", "unclosed_think"),
        ("</think><think>a", "unclosed_think"),
        ("<|begin_of_thought|>a", "unclosed_think"),
        ("Sure! <think>a</think>b", "text_before_think"),
        ("a</think>b<think>c</think>d", "text_before_think"),
    ],
    ids=repr,
)
def test_a_response_without_one_complete_think_part_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason) as caught:
        split_think(text)
    assert caught.value.reason == reason
    assert isinstance(caught.value, AsapError)


@pytest.mark.parametrize(
    ("generation", "thinking", "answer"),
    [
        ("no thinking", None, "no thinking"),
        ("<think>\nhm\n</think>\n\nyes", "<think>\nhm\n", "\n\nyes"),
        ("hm\n</think>yes", "hm\n", "yes"),
        ("<think>one</think> two </think>three", "<think>one</think> two ", "three"),
        ("<think>hm", "<think>hm", None),
        ("Sure.\n<think>hm", "Sure.\n<think>hm", None),
        ("<think>a</think>b<think>c", "<think>a</think>b<think>c", None),
        ("", None, ""),
    ],
)
def test_the_answer_stands_after_the_last_closing_tag(generation: str, thinking: str | None, answer: str | None) -> None:
    assert parts_of(generation) == (thinking, answer)


@pytest.mark.parametrize(
    ("prompt", "text", "shown"),
    [
        ("assistant\n", "<think>\nhm\n</think>\n\n1, 2", "1, 2"),
        ("assistant\n<think>\n", "hm\n</think>\n\n1, 2", "1, 2"),
        ("assistant\n", "<think>\nhm", ""),
        ("assistant\n<think>\n", "hm", ""),
        ("assistant\n", "1, 2 </think> 3", "1, 2 </think> 3"),
        ("assistant\n<think>\n\n</think>\n\n", " 1, 2", " 1, 2"),
    ],
)
def test_thinking_is_dropped(prompt: str, text: str, shown: str) -> None:
    assert strip_think(text, opened=opened_by(prompt)) == shown
