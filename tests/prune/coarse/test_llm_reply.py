"""What requests and replies of stage 1 share: delimiters, placeholders, code fences, what is finished, how much is kept."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.lm.generate import Generation
from asap.prune.coarse.llm_reply import (
    Coverage,
    InvalidReply,
    check_share,
    coverage,
    delimiters,
    enclosed,
    filled,
    finished_text,
    prompt_file,
    unfenced,
    unused_token,
    without_delimiters,
)
from asap.spans import Span

SPANS = [Span(0, 10), Span(12, 42), Span(44, 54), Span(56, 106)]  # 10, 30, 10 and 50 characters


@pytest.mark.parametrize(
    ("name", "placeholders"),
    [
        ("anchor", ["question", "answer"]),
        ("rewrite", ["question", "outline", "trace", "begin", "end"]),
        ("select", ["question", "outline", "trace", "count", "first", "last", "marker"]),
    ],
)
def test_a_prompt_has_exactly_its_placeholders(name: str, placeholders: list[str]) -> None:
    assert re.findall(r"\{(\w+)\}", prompt_file(name)) == placeholders


def test_a_text_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert filled("{a} and {b}: {}, {A}, {'x': 1}", {"a": "{b}", "b": "{a} {0}"}) == "{b} and {a} {0}: {}, {A}, {'x': 1}"


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("{a}", {})


@given(st.text(max_size=300))
def test_delimiters_are_the_same_for_the_same_text_and_not_in_it(text: str) -> None:
    lines = delimiters("trace", text)
    assert lines == delimiters("trace", text)
    assert unused_token(text) not in text
    assert enclosed("trace", text) == f"{lines.begin}\n{text}\n{lines.end}"


def test_a_token_that_is_in_the_text_gives_way_to_another() -> None:
    class Holding(str):
        """A text that holds one more token than its bytes do: no real one with its own hash in it is at hand."""

        def __contains__(self, part: str) -> bool:
            return part == first or super().__contains__(part)

    first = unused_token("some text")
    assert unused_token(Holding("some text")) not in (first, "some text")


def test_echoed_delimiters_go_and_others_stay() -> None:
    echoed = "\n \n" + enclosed("answer", "1. Sort.\n<b>\n2. Count.") + "\r\n\n"
    assert without_delimiters(echoed) == "1. Sort.\n<b>\n2. Count."
    assert without_delimiters("<step_x>\nfoo <answer_0123abcd>\n") == "<step_x>\nfoo <answer_0123abcd>"


@pytest.mark.parametrize(("reason", "code"), [("length", "cut_off"), ("content_filter", "content_filter"), ("abort", "unfinished")])
def test_only_a_reply_that_ended_by_itself_counts(reason: str, code: str) -> None:
    with pytest.raises(InvalidReply) as error:
        finished_text(Generation("fine so far", reason, 10, 20))
    assert error.value.reason == code


def test_an_empty_reply_is_invalid() -> None:
    with pytest.raises(InvalidReply, match=r"^empty: "):
        finished_text(Generation(" \r\n\t", "stop", 10, 0))


def test_invalid_reply_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(InvalidReply("no_match", "step 2")))
    assert (error.reason, error.detail, str(error)) == ("no_match", "step 2", "no_match: step 2")


def test_only_a_fence_around_everything_is_taken_off() -> None:
    inner = "Okay.\n\n```python\na\n```\n\nDone."
    for info in ("", "text", "markdown"):
        assert unfenced(f"\n```{info}\n{inner}\n```\n\n") == inner + "\n"
    for kept in (inner, "```py\na\n```\n\nthen\n\n```py\nb\n```\n", "```text\nno end", "Here:\n```\na\n```"):
        assert unfenced(kept) == kept


def test_coverage_counts_characters_and_the_last_step() -> None:
    assert coverage([0, 2], SPANS) == Coverage(0.2, 0.75)
    assert coverage([], SPANS) == Coverage(0.0, 0.0)
    assert coverage([0, 1, 2, 3], SPANS) == Coverage(1.0, 1.0)


@pytest.mark.parametrize(
    ("kept", "limits", "reason"),
    [
        ([2], (0.11, 1.0, 0.0), "too_little"),
        ([], (0.01, 1.0, 0.0), "too_little"),
        ([0, 1, 2, 3], (0.0, 0.99, 0.0), "too_much"),
        ([0, 1], (0.0, 1.0, 0.51), "head_only"),
        ([], (0.0, 1.0, 0.1), "head_only"),
    ],
)
def test_too_little_too_much_and_the_head_alone_are_invalid(kept: list[int], limits: tuple[float, float, float], reason: str) -> None:
    floor, ceiling, reach = limits
    with pytest.raises(InvalidReply) as error:
        check_share(kept, SPANS, floor=floor, ceiling=ceiling, reach=reach)
    assert error.value.reason == reason


def test_the_limits_themselves_are_allowed() -> None:
    check_share([0, 1], SPANS, floor=0.4, ceiling=0.4, reach=0.5)
    check_share([0, 1, 2, 3], SPANS, floor=0.0, ceiling=1.0, reach=1.0)
