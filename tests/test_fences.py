"""Blocks and what stands outside of them are all of a text, and the blocks are those of markdown-it-py but for differences with a name."""

import gzip
import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from asap.fences import blocks, fenced, is_open
from asap.spans import Span
from asap.steps import split_steps
from asap.think import parts_of


def outside(text: str) -> str:
    edges = [0, *(edge for span in fenced(text) for edge in span), len(text)]
    return "".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


fence_lines = st.sampled_from(
    ["```", "````", "~~~", "~~~~", "```py", "~~~ text", "``` py title", "  ```", "   ~~~", "```a```", "``", "~~~ `x`", "``` "]
)
plain_lines = st.sampled_from(
    ["", " ", "\t", "Wait.", "# Head", "---", "[a]: b", "a ``` b", "`", "x = 1", "a\tb", "\\```", "&#96;``", "|a|"]
)
other_lines = st.sampled_from(["> ```", "> > ~~~", ">", "> a", "- a", "1. a", "    x", "<div>", "<pre>", "</pre>", "<!--", "-->", "<a>"])
odd_lines = other_lines | st.sampled_from(["    ```", "\t```py", "  - ```", "1. ```py", "So: ```py", "``` So it is.", "```</a>", "x```"])


def texts_of(*lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of such lines, with one of the two kinds of line breaks."""
    return st.builds(str.join, st.sampled_from(["\n", "\r\n"]), st.lists(st.one_of(*lines), max_size=12))


characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from("`~> \n\r")
any_text = texts_of(fence_lines, plain_lines, odd_lines) | st.text(characters, max_size=60)


class Lines(NamedTuple):
    """A block by its lines, the fences included: from `first` up to, and without, `end`."""

    first: int
    end: int
    info: str


def closed_part(text: str) -> str:
    """As many lines of the text, from its beginning, as leave no fence open."""
    lines = text.split("\n")
    parts = ("\n".join(lines[:number]).rstrip() for number in range(len(lines), -1, -1))
    return next(part for part in parts if not is_open(part))


def ours(text: str) -> list[Lines]:
    """Our outermost blocks, closed or not."""
    infos = (text[span.start :].lstrip(" \t>").split("\n")[0].lstrip("`~").split("\r")[0].strip() for span in fenced(text))
    return [
        Lines(text.count("\n", 0, span.start), text.count("\n", 0, span.end) + (not text.endswith("\n", 0, span.end)), info)
        for span, info in zip(fenced(text), infos, strict=True)
    ]


def reference(text: str, *without: str) -> list[Lines]:
    """The blocks of CommonMark; some of its other rules may be switched off. The text ends without white space, or lines are lost."""
    tokens = MarkdownIt("commonmark").disable(["inline", *without]).parse(text)
    lines = [Lines(*token.map, token.info.strip()) for token in tokens if token.type == "fence" and token.map]
    last = len(re.findall(r"\r\n?|\n", text)) + 1
    return [line._replace(end=min(line.end, last)) for line in lines]


def bare(text: str) -> str:
    """The text without indentation and signs of quotation before fences."""
    return re.sub(r"(?m)^[ \t]*(?:>[ \t]*)*(?=```|~~~)", "", text)


def is_nested(text: str) -> bool:
    """Whether a fence with text behind it stands inside a block: CommonMark takes it for text, we for one that opens or closes."""
    return any(
        re.match(r"[ \t>]*(?:`{3,}[^`\r\n]*[^`\s]|~{3,}[^\r\n]*[^~\s])", line)
        for span in fenced(text)
        for line in text[span.start : (text + "\n").index("\n", span.end - 1)].split("\n")[1:]
    )


@given(texts_of(fence_lines, plain_lines).map(closed_part))
@settings(max_examples=500, deadline=None)
def test_blocks_are_those_of_commonmark(text: str) -> None:
    assume(not is_nested(text))
    assert ours(text) == reference(text)


@given(texts_of(fence_lines, plain_lines, other_lines).map(closed_part))
@settings(max_examples=500, deadline=None)
def test_all_that_differs_is_what_stands_before_a_fence_other_blocks_and_nesting(text: str) -> None:
    assume(not is_nested(text))
    assert ours(text) == reference(bare(text), "html_block", "list", "blockquote")


@pytest.mark.parametrize(
    ("name", "text", "found", "by_commonmark"),
    [
        ("nested", "```md\n```py\n```\nx\n```", [(0, 5, "md")], [(0, 3, "md"), (4, 5, "")]),
        ("indented", "a\n    ```\n    x\n    ```", [(1, 4, "")], []),
        ("never closed", "```\nx\n\n    y\n\nSo.", [(0, 4, "")], [(0, 6, "")]),
        ("quoted", "> ```\n> x\ny", [(0, 3, "")], [(0, 2, "")]),
        ("quoted end", "```\n> ```\ny", [(0, 2, "")], [(0, 3, "")]),
        ("end of a list item", "- a\n  ```\n  x\ny", [(1, 4, "")], [(1, 3, "")]),
        ("text behind", "```\nx\n``` So it is.\ny", [(0, 3, "")], [(0, 4, "")]),
        ("end token behind", "```\nx\n```<|im_end|>\ny", [(0, 3, "")], [(0, 4, "")]),
        ("tag behind", "```\nx\n```</answer>\ny", [(0, 3, "")], [(0, 4, "")]),
        ("HTML", "<pre>\n```\n</pre>", [(1, 3, "")], []),
        ("white space of Unicode", "```\nx\n```\u3000\ny", [(0, 3, "")], [(0, 4, "")]),
        ("a carriage return alone", "a\r```\nx", [], [(1, 3, "")]),
    ],
)
def test_every_difference_from_commonmark_has_a_name(
    name: str, text: str, found: list[tuple[int, int, str]], by_commonmark: list[tuple[int, int, str]]
) -> None:
    assert ours(text) == found
    assert reference(text) == by_commonmark


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- ```\n  x\n  ```", [(0, 3, "")]),
        ("1. ```py\n   x\n   ```\ny", [(0, 3, "py")]),
        ("```\nx\n    ```\n```\ny", [(0, 4, "")]),
        ("```py\n    ```py\n    x\n    ```\n```\ny", [(0, 5, "py")]),
    ],
)
def test_lists_and_indented_fences_are_those_of_commonmark(text: str, found: list[tuple[int, int, str]]) -> None:
    assert [line[:2] for line in ours(text)] == [line[:2] for line in found]
    assert reference(text) == found


def test_real_traces_have_the_blocks_of_commonmark() -> None:
    folder = os.environ.get("ASAP_DATA")
    if not folder:
        pytest.skip("ASAP_DATA is not set: real traces were NOT searched for code blocks")
    texts = list[str]()
    for name in ("kodcode_r1", "math_r1_qwq"):
        with gzip.open(Path(folder) / f"traces/{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts += [part for line in file for part in parts_of(json.loads(line)["response"]) if part]
    found = [ours(text) for text in texts if "```" in text or "~~~" in text]
    assert sum(map(len, found)) > 500
    assert [lines for text in texts if (lines := ours(text)) or "```" in text] == [
        lines for text in texts if (lines := reference(text)) or "```" in text
    ]


@given(any_text)
@settings(max_examples=300, deadline=None)
def test_blocks_and_what_is_outside_are_all_of_the_text(text: str) -> None:
    spans = fenced(text)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    for block in blocks(text):
        assert any(span.start <= block.start and block.end <= span.end for span in spans)
        assert not is_open(text[block.start : block.end]) or text[: block.start].rpartition("\n")[2]


@given(any_text)
@settings(max_examples=300, deadline=None)
def test_no_open_block_swallows_the_prose_behind_it(text: str) -> None:
    assert outside(f"{text}\n\nSo it ends.").endswith("So it ends.")
    assert split_steps(f"{text}\n\nSo it ends.")[-1] == Span(len(text) + 2, len(text) + 13)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Say:\n\n```py\nimport x\n\ndef f():\n    a = 1\n\n    return a\n\nprint(f())\n\nThen I go on.\n\nEnd.", "print(f())\n"),
        ("```\nx\n\n# a comment\n\n@cache\n\ny, z = 1, 2\n\n}\n\nNow y is 1.", "}\n"),
        ("- a\n\n  ```py\n  x\n\n    y\n\n  Prose in the list.", "    y\n"),
        ("```py\nx\n\n## Head\n\n    y", "x\n"),
        ("````md\nx\n\n```py\ny\n\nz\n```\n\nEnd.", "x\n"),
        ("```py\nx\n\n```py\ny\n```\n\n    z", "x\n"),
        ("```py\nx = 1\nfoo bar\nThen I check the case 3.\nDoes that hold for all?", "foo bar\n"),
        ("```py\nx = 1\n# Then I go on with it.\n    A text inside of a docstring.", "docstring."),
    ],
    ids=repr,
)
def test_an_open_block_ends_where_no_code_follows(text: str, end: str) -> None:
    first = fenced(text)[0]
    assert is_open(text)
    assert text[first.start : first.end].endswith(end)


def test_thousands_of_fences_are_read_in_one_pass() -> None:
    for line in ("```py\n", "```py\n~~~\n", "````py\n```\n", "> - ```py\n", "So: ```py\n", "```\n\n    x\n", f"```py\n<{'<a' * 50}\n"):
        text = line * 20_000 + "```\n"
        assert outside(text + "\n\nSo it ends.").endswith("So it ends.")


def codes(text: str) -> list[tuple[str, str]]:
    return [(block.info, block.code) for block in blocks(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```python\na\n```", [("python", "a\n")]),
        ("```cpp\na\n```\nprose\n```python\nb\n```", [("cpp", "a\n"), ("python", "b\n")]),
        ("````md\n```python\na\n```\n````\n", [("md", "```python\na\n```\n")]),
        ("~~~py\n```\n~~~", [("py", "```\n")]),
        ("```python   \r\na\r\n```\r\nend", [("python", "a\r\n")]),
        ("1. x\n   ```python\n   a\n     b\n   ```", [("python", "a\n  b\n")]),
        ("```python\nnever closed\n\n```py\nb\n```", [("py", "b\n")]),
        ('```python\np = """\n```json\n{}\n```\n"""\n```', [("python", 'p = """\n```json\n{}\n```\n"""\n')]),
        ("```python\nno end", []),
        ("use ``` here\n```inline``` code", []),
        ("```\n```", [("", "")]),
        ("The code is: ```python\na\n```", [("python", "a\n")]),
        ("Begin with ```python and end.\n\n```py\na\n```", [("py", "a\n")]),
        ("I begin with ```python\n\n```py\na\n```", [("py", "a\n")]),
        ("<answer>```python\na\n```</answer>", [("python", "a\n")]),
        ("```python\na\n```<｜end▁of▁sentence｜>", [("python", "a\n")]),
        ("\\boxed{\n```python\na\n```}", [("python", "a\n")]),
        ("```python\na\n``` That is all.\n```\nb\n```", [("python", "a\n"), ("", "b\n")]),
        ("2) ```python\n   a\n     b\n   ```", [("python", "a\n  b\n")]),
        ("- ```python\na\n    b\n```", [("python", "a\n    b\n")]),
        ("> - ```python\n> a\n>     b\n> ```", [("python", "a\n    b\n")]),
        ("> ```python\n> a\n>   b\n>\n> ```", [("python", "a\n  b\n\n")]),
        ("> 1. ```python\n>    a\n>    ```", [("python", "a\n")]),
        (
            '```python\nf():\n    """\n    ```\n    f()\n    ```\n    """\n```',
            [("python", 'f():\n    """\n    ```\n    f()\n    ```\n    """\n')],
        ),
    ],
)
def test_fences_are_paired_correctly(text: str, expected: list[tuple[str, str]]) -> None:
    assert codes(text) == expected


@given(
    st.lists(st.sampled_from(["```", "```py", "````", "~~~", "  ~~~ x", "> ```", "a", "", "b`"]), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_closed_block_lies_within_one_step(lines: list[str], line_end: str) -> None:
    """The splitter of steps and the finder of blocks must pair fences alike."""
    text = line_end.join(lines)
    found = blocks(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    for block in found:
        assert any(span.start <= block.start and block.end <= span.end + 1 for span in split_steps(text))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\n\n```python\nx = 1\n\ny\n```\n\nb", "a\n\n\nb"),
        ("~~~\n```\nx\n~~~\nb", "b"),
        ("a\n```\nnever closed", "a\n"),
        ("a\n```\nx\n```", "a\n"),
        ("`inline` stays", "`inline` stays"),
        ("", ""),
    ],
)
def test_outside_of_blocks_only_the_code_is_missing(text: str, left: str) -> None:
    assert outside(text) == left
