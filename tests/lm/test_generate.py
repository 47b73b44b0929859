"""What is read off a generation: the answer without its thinking, and the whole text with both tags."""

import pytest

from asap.lm.generate import Generation


def generation(text: str, *, thought: str = "", opened: str | None = None) -> Generation:
    return Generation(text, "stop", 7, 3, thought=thought, opened=opened, ttft_s=1.0, seconds=2.0)


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
    assert generation(text, opened="<think>" * prompt.rstrip().endswith("<think>")).answered() == Generation(shown, "stop", 7, 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("hm\n</think>\n\n1, 2", "1, 2"), ("write <think>x</think> so", "write <think>x</think> so"), ("\n<think>hm", ""), (" a", " a")],
)
def test_a_server_may_have_opened_the_thinking_unseen(text: str, shown: str) -> None:
    assert generation(text, opened=None).answered().text == shown


def test_thinking_that_was_sent_apart_is_no_part_of_the_answer() -> None:
    assert generation(" a </think> b <think>", thought="hm", opened="").answered().text == " a </think> b <think>"


@pytest.mark.parametrize(
    ("text", "thought", "opened", "whole"),
    [
        ("yes", "", None, "yes"),
        ("yes", "hm", None, "<think>\nhm\n</think>\n\nyes"),
        ("", "hm", None, "<think>\nhm\n"),
        ("hm</think>yes", "", "<think>", "<think>\nhm</think>yes"),
        ("hm[/THINK]yes", "", "[THINK]", "[THINK]\nhm[/THINK]yes"),
        ("<think>hm</think>yes", "", "", "<think>hm</think>yes"),
    ],
)
def test_the_whole_text_has_both_tags_unless_no_answer_followed(text: str, thought: str, opened: str | None, whole: str) -> None:
    assert generation(text, thought=thought, opened=opened).whole() == whole
