"""What is asked for the anchor, what is shown of an answer, and what counts as an anchor."""

import gzip
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asap.prune.coarse.anchor import anchor_request, anchor_text, shown_answer
from asap.prune.coarse.llm_reply import InvalidReply, enclosed
from asap.sample import Sample, make_sample
from asap.think import split_think


def sample(answer: str, question: str = "Add two numbers.", **meta: Any) -> Sample:
    return make_sample(question, "Let me think.", answer, row_id="1", meta=meta)


def fenced(code: str, info: str = "python") -> str:
    return f"```{info}\n{code}\n```"


def test_the_request_is_greedy_and_the_same_every_time() -> None:
    request = anchor_request(sample("It is 4."), 512)
    assert (request.temperature, request.top_p, request.max_new_tokens, request.draw, request.schema) == (0.0, 1.0, 512, 0, None)
    assert [message["role"] for message in request.messages] == ["user"]
    assert request == anchor_request(sample("It is 4."), 512)
    assert request.key("m") == anchor_request(sample("It is 4."), 512).key("m")


def test_the_request_shows_question_and_answer_but_not_the_trace() -> None:
    row = sample("It is 4.", "What is {answer}? ```\n{0} {question}")
    content = anchor_request(row, 512).messages[0]["content"]
    assert enclosed("question", row.question) in content
    assert enclosed("answer", "It is 4.") in content
    assert row.cot not in content


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("The answer is 4.", "The answer is 4."),
        (f"Draft:\n{fenced('a = 1')}\nBetter:\n{fenced('b = 2')}\nDone.", "b = 2"),
        (f"{fenced('int a;', 'cpp')}\nSome prose\n{fenced('a = 1')}", "a = 1"),
        (f"{fenced('a = 1')}\nOutput:\n{fenced('1', 'text')}\n{fenced('2', '')}", "a = 1"),
        (f"{fenced('int a;', 'cpp')}\n{fenced('a = 1', '')}", "a = 1"),
        (f"{fenced('int a;', 'cpp')} is it", f"{fenced('int a;', 'cpp')} is it"),
        (f"{fenced('a = 1')}\n```python\nb = 2", "a = 1"),
        ("```python\nnever closed\n\n```python\nb = 2\n```", "b = 2"),
        ("```python\r\na = 1\r\nb = 2\r\n```\r\n", "a = 1\r\nb = 2"),
        ("1. So:\n\n   ```python\n   if a:\n       b\n   ```", "if a:\n    b"),
        ("~~~~python\n```\n~~~\n~~~~", "```\n~~~"),
        (fenced("  a = 1"), "  a = 1"),
        (fenced("", "python"), fenced("", "python")),
    ],
)
def test_the_last_complete_python_block_is_shown(answer: str, shown: str) -> None:
    assert shown_answer(sample(answer)) == shown


@pytest.mark.parametrize(
    "info", ["python", "python3", "py", "Python", "python   ", " python", "python {.numbers}", 'py title="a"', "{.python}", "py3.11"]
)
def test_python_by_any_name(info: str) -> None:
    assert shown_answer(sample(f"Text.\n{fenced('a = 1', info)}")) == "a = 1"


@pytest.mark.parametrize("info", ["python-repl", "pyx", "pycon", "c++", "javascript", "ipython"])
def test_other_languages_are_not_python(info: str) -> None:
    answer = f"Text.\n{fenced('a = 1', info)}"
    assert shown_answer(sample(answer)) == answer


def test_an_example_call_or_a_quotation_is_not_the_program() -> None:
    program = "def add(a, b):\n    total = a + b\n    return total"
    for aside in ("print(add(1, 2))  # 3", "total = a + b", "x = [1]\nassert add(1, x[0]) == 2"):
        assert shown_answer(sample(f"{fenced(program)}\nFor example:\n{fenced(aside)}")) == program


def test_a_later_program_counts_although_it_shares_names() -> None:
    first = "def add(a, b):\n    return a + b"
    for last in ("def add(a, b):\n    return b + a\nprint(add(1, 2))", "a, b = map(int, input().split())\nprint(a + b)", "s.add(1)"):
        assert shown_answer(sample(f"{fenced(first)}\n{fenced(last)}")) == last


def test_the_tested_code_is_shown_where_the_row_names_it() -> None:
    answer = f"{fenced('a = 1  ')}\n{fenced('b = 2')}"
    assert shown_answer(sample(answer, tested_code="\n  a = 1\n")) == "a = 1  "
    assert shown_answer(sample(answer, tested_code="c = 3\n")) == "c = 3"
    assert shown_answer(sample("```python\r\na\r\nb\r\n```", tested_code="a\nb")) == "a\r\nb"
    for nothing in ("", " \n", None, 7, ["a = 1"]):
        assert shown_answer(sample(answer, tested_code=nothing)) == "b = 2"


def test_an_anchor_is_what_is_left_of_a_reply() -> None:
    assert anchor_text("\n" + enclosed("answer", " 1. Add.\n\n2. Return. ") + "\n") == "1. Add.\n\n2. Return."
    assert anchor_text("1. Add.\n```python\na\n```") == "1. Add.\n```python\na\n```"


@pytest.mark.parametrize("reply", ["", " \n\t\r\n", enclosed("answer", "")])
def test_an_empty_anchor_is_invalid(reply: str) -> None:
    with pytest.raises(InvalidReply, match=r"^empty: "):
        anchor_text(reply)


def renamed(code: str, as_in: str) -> set[str]:
    """The code with its functions named as in another one, at the definition only or everywhere."""
    pairs = list(zip(re.findall(r"\bdef (\w+)", code), re.findall(r"\bdef (\w+)", as_in), strict=False))
    heads, words = code, code
    for old, new in pairs:
        heads, words = heads.replace(f"def {old}(", f"def {new}("), re.sub(rf"\b{old}\b", new, words)
    return {code.strip(), heads.strip(), words.strip()}


def test_real_answers_show_the_code_that_was_tested() -> None:
    """Many rows were tested under another function name. The few other rows give several programs, of which the first was tested."""
    folder = os.environ.get("ASAP_DATA")
    if not folder:
        pytest.skip("ASAP_DATA is not set: code extraction from real answers was NOT checked")
    found: Counter[str] = Counter()
    with gzip.open(Path(folder) / "traces" / "kodcode_r1.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            thought, tested = split_think(row["response"]), row["tested_code"].strip()
            shown = shown_answer(make_sample(row["question"], thought.cot, thought.answer)).strip()
            found["equal" if shown == tested else "renamed" if tested in renamed(shown, tested) else "other"] += 1
            told = make_sample(row["question"], thought.cot, thought.answer, meta={"tested_code": row["tested_code"]})
            assert shown_answer(told).strip() == tested
    assert found.total() == 545
    assert found["other"] <= 5
