"""Spans are held to a line-by-line reference of fences, and to what makes them spans: order, white space between, no bytes lost."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.spans import Span
from asap.steps import SEPARATOR, STEP_SPLITS, StepSplit, has_line_break, join_steps, keep_steps, laid_out, separator, split_steps

BLANK = " \t\r\n\u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"

fences = st.sampled_from(
    [
        "```",
        "````",
        "~~~",
        "~~~~",
        "```py",
        "~~~ text",
        "``` py title",
        "> ```",
        "> > ~~~",
        "    ```",
        "\t```py",
        "  - ```",
        "```a```",
        "``",
        "~~~ `x`",
    ]
)
lines = st.one_of(
    fences,
    fences.map(lambda line: line + "\r"),
    st.sampled_from(
        ["", "", " ", "\t", "\r", " \t\r", "\f", "\v", "\x85", "\u2028", "Wait.", "    x = 1", "x\r", "x \r\r", "a ``` b", "`````", "#"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=6),
)
prose = st.sampled_from(
    ["It is so. Then", "We", "go on.", "A? B!", "\\[ a.", "B \\]", "甲。乙", "1. One", "    Indented. ", "$$", "``x. Y``", "- e.g. This"]
)
documents = st.lists(lines | prose, max_size=14).map("\n".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
both_splits = pytest.mark.parametrize("how", ["fenced", "paper"])
every_split = pytest.mark.parametrize("how", STEP_SPLITS)


def texts_of(text: str, how: StepSplit = "fenced") -> list[str]:
    return [text[span.start : span.end] for span in split_steps(text, how)]


class Lines(NamedTuple):
    """Lines of a text, and whether they are one closed code block."""

    lines: list[str]
    is_block: bool


def block(fences: tuple[str, str], inside: list[str]) -> Lines:
    return Lines([fences[0], *inside, fences[1]], is_block=True)


FENCES = [
    *[
        ("```", "```"),
        ("```py", "```  "),
        ("````", "````"),
        ("~~~ text", "~~~"),
        ("```", "`````"),
        ("> ```", "> ```"),
        ("> > ~~~", "> > ~~~"),
    ],
    *[("    ```", "    ```"), ("\t```py", "```"), ("  - ```", "    ```"), ("1. ```py title", "```")],
    *[("```", "```<|im_end|>"), ("```{.py .n}", "```</answer>"), ("```", "``` That is it."), ("```py\r", "```\r")],
]
harmless = [
    "",
    "",
    " ",
    "\t",
    "\r",
    "\f",
    "\u00a0",
    "\u3000 ",
    "\x85",
    "\u2028",
    "Wait.",
    "    x = 1",
    "x\r",
    "a ``` b",
    "``",
    "`a`",
    "use ```x``` here",
    "\\```",
    "#",
]
plain = st.builds(lambda line: Lines([line], is_block=False), st.sampled_from(harmless))
in_blocks = st.lists(st.sampled_from([*harmless, "          ```", "          ~~~py"]), max_size=5)
nested = st.builds(lambda inside: block(("````md", "````"), ["```py", *inside, "```", ""]), in_blocks)
documents_of_closed_blocks = st.lists(plain | st.builds(block, st.sampled_from(FENCES), in_blocks) | nested, max_size=8)


def text_of(parts: Sequence[Lines]) -> str:
    return "\n".join(line for part in parts for line in part.lines)


def reference_steps(parts: Sequence[Lines]) -> list[str]:
    """Lines between blank lines outside of blocks, without the blank lines at the end and the last line's carriage returns."""
    steps: list[list[str]] = [[]]
    for part in parts:
        for line in part.lines:
            if part.is_block or line.strip(BLANK):
                steps[-1].append(line)
            else:
                steps.append([])
    while_visible = [step[: max((n for n, line in enumerate(step, start=1) if line.strip(BLANK)), default=0)] for step in steps]
    return ["\n".join(step).rstrip("\r") for step in while_visible if step]


@every_split
@given(text=documents)
@settings(max_examples=200, deadline=None)
def test_spans_and_the_white_space_between_them_are_the_original(how: StepSplit, text: str) -> None:
    spans = split_steps(text, how)
    position, rebuilt = 0, ""
    for span in spans:
        assert position <= span.start < span.end
        assert text[span.start : span.end].strip(BLANK)
        gap = text[position : span.start]
        assert not (gap.strip(BLANK) if how == "fenced" else gap.strip())
        rebuilt += gap + text[span.start : span.end]
        position = span.end
    assert not (text[position:].strip(BLANK) if how == "fenced" else text[position:].strip())
    assert rebuilt + text[position:] == text
    gaps = [text[one.end : other.start] for one, other in pairwise(spans)]
    if how != "sentence":
        assert all(has_line_break(gap) or (how == "line" and {*gap} & {*"\x85\u2028\u2029"}) for gap in gaps), "also Unicode's line ends"


@given(documents_of_closed_blocks)
@settings(max_examples=300, deadline=None)
def test_steps_are_those_of_the_reference(parts: list[Lines]) -> None:
    assert texts_of(text_of(parts)) == reference_steps(parts)


@every_split
@given(text=documents)
@settings(max_examples=300, deadline=None)
def test_keeping_every_step_keeps_every_byte(how: StepSplit, text: str) -> None:
    spans = split_steps(text, how)
    assert keep_steps(text, spans, [True] * len(spans)) == text


@pytest.mark.parametrize("how", ["line", "sentence"])
@given(parts=documents_of_closed_blocks)
@settings(max_examples=200, deadline=None)
def test_lines_and_sentences_never_split_a_closed_block(how: StepSplit, parts: list[Lines]) -> None:
    text, steps = text_of(parts), split_steps(text_of(parts), how)
    position = 0
    for part in parts:
        end = position + len("\n".join(part.lines))
        if part.is_block:
            fence = text.index("~~~" if "~~~" in part.lines[0] else "```", position)
            close = text.rindex("~~~" if "~~~" in part.lines[-1] else "```", position, end)
            assert any(step.start <= fence and close < step.end for step in steps)
        position = end + 1


@every_split
@given(text=documents, data=st.data())
@settings(max_examples=200, deadline=None)
def test_kept_steps_are_joined_by_what_lay_between_them(how: StepSplit, text: str, data: st.DataObject) -> None:
    spans = split_steps(text, how)
    kept = data.draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    left = [span for span, keep in zip(spans, kept, strict=True) if keep]
    joined, laid = laid_out(text, left)
    assert [joined[span.start : span.end] for span in laid] == [text[span.start : span.end] for span in left]
    for (one, other), (here, there) in zip(pairwise(left), pairwise(laid), strict=True):
        between, lost = joined[here.end : there.start], text[one.end : other.start]
        assert between == separator(text, one, other)
        assert not between.strip()
        assert between in lost or between == SEPARATOR
        assert ("\n" in between) == ("\n" in lost)
        assert "\n\n" not in lost or between == SEPARATOR
    if not all(kept):
        assert keep_steps(text, spans, kept) == joined == join_steps(text, left)


@both_splits
@given(parts=documents_of_closed_blocks, data=st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_kept_splits_into_the_same_steps_again(how: StepSplit, parts: list[Lines], data: st.DataObject) -> None:
    """Where all fences are closed: behind one that is not, what is removed may stand between its code and more that looks like code."""
    text = text_of(parts)
    spans = split_steps(text, how)
    kept = data.draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    pruned = keep_steps(text, spans, kept)
    if any(kept):
        assert texts_of(pruned, how) == [step for step, keep in zip(texts_of(text, how), kept, strict=True) if keep]
    elif spans:
        assert pruned == ""
    if not all(kept):
        assert pruned == SEPARATOR.join(step for step, keep in zip(texts_of(text, how), kept, strict=True) if keep)


@given(documents | st.text("a \n\t\r", max_size=30))
@settings(max_examples=200, deadline=None)
def test_the_papers_split_is_every_literal_blank_line(text: str) -> None:
    assert texts_of(text, "paper") == [piece for piece in text.split("\n\n") if piece.strip()]


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["\n\n", "\n\n\n", "\n \n", "\n\t \n\n", "\r\n\r\n", "\n \r\n"])), min_size=1, max_size=8
    )
)
def test_code_with_blank_lines_is_one_step_and_paragraphs_are_steps(parts: list[tuple[bool, str]]) -> None:
    code = "```py\nclass A:\n\n    x = 1\n\n\n    y = 2\n```"
    steps = [code if fenced else f"  Step {number}.\n    more" for number, (fenced, _) in enumerate(parts)]
    text = "".join(step + gap for step, (_, gap) in zip(steps, parts, strict=True))
    assert texts_of(text) == steps
    assert texts_of("\n \n" + text) == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        (" \n\t\r\n ", []),
        ("one", ["one"]),
        ("one\ntwo", ["one\ntwo"]),
        ("one\n   \n\t\ntwo", ["one", "two"]),
        ("one\r\n\r\ntwo\r\n", ["one", "two"]),
        ("one  \n\n  two", ["one  ", "  two"]),
        ("    def f():\n        return 1\n\n    def g():", ["    def f():\n        return 1", "    def g():"]),
        ("a\n\n```\nx\n\ny\n```\n\nb", ["a", "```\nx\n\ny\n```", "b"]),
        ("a:\n```\nx\n\ny\n```\nb\n\nc", ["a:\n```\nx\n\ny\n```\nb", "c"]),
        ("```\nnever closed\n\nb\n\nc\n\n", ["```\nnever closed", "b", "c"]),
        ("a\n\n```py\ndef f():\n    x\n\n    y\n\nb\n\nc", ["a", "```py\ndef f():\n    x\n\n    y", "b", "c"]),
        ("a\n\n```py\nx\n``` Now b.\n\nc\n\nd", ["a", "```py\nx\n``` Now b.", "c", "d"]),
        ("So: ```py\nx\n\ny\n```\n\nb", ["So: ```py\nx\n\ny\n```", "b"]),
        ('```py\nf:\n    """\n    ```\n    """\n\n    x\n```\n\nb', ['```py\nf:\n    """\n    ```\n    """\n\n    x\n```', "b"]),
        ("````md\n```py\nx\n\n```\n\ny\n````\n\nb", ["````md\n```py\nx\n\n```\n\ny\n````", "b"]),
        ("```md\n```py\nx\n\n```\n\ny\n```\n\nb", ["```md\n```py\nx\n\n```\n\ny\n```", "b"]),
        ("```\n~~~\n\n```\n\nb", ["```\n~~~\n\n```", "b"]),
        ("~~~\n```\n\n~~~\n\nb", ["~~~\n```\n\n~~~", "b"]),
        ("````\n```\n\nx\n````\n\nb", ["````\n```\n\nx\n````", "b"]),
        ("```\nx\n\n`````\n\nb", ["```\nx\n\n`````", "b"]),
        ("use ```x``` here\n\nb", ["use ```x``` here", "b"]),
        ("```x``` in front\n\nb", ["```x``` in front", "b"]),
        ("``\n\nb", ["``", "b"]),
        ("- item\n    ```\n    x\n\n    y\n    ```\n\nb", ["- item\n    ```\n    x\n\n    y\n    ```", "b"]),
        ("> ```\n> x\n\n> y\n> ```\n\nb", ["> ```\n> x\n\n> y\n> ```", "b"]),
        ("```py\r\nx\r\n\r\ny\r\n```\r\n\r\nb", ["```py\r\nx\r\n\r\ny\r\n```", "b"]),
        ("a\f\n\n\f\n\nb", ["a\f", "\f", "b"]),
        ("a\n\u00a0\nb\n \u3000\t\n\u00a0c", ["a", "b", "\u00a0c"]),
    ],
    ids=repr,
)
def test_steps_of(text: str, steps: list[str]) -> None:
    assert texts_of(text) == steps


def test_the_papers_split_cuts_fences_and_only_at_bare_blank_lines() -> None:
    assert texts_of("```\nx\n\n  y\n```", "paper") == ["```\nx", "  y\n```"]
    assert texts_of("a\n \nb\n\n\nc\n\n \n\nd", "paper") == ["a\n \nb", "\nc", "d"]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a\nb\n\n\nc", ["a", "b", "c"]),
        ("a\r\n  b  \r\n \r\nc\r\n", ["a", "  b  ", "c"]),
        ("\n \n  a\n", ["  a"]),
        ("a:\n```py\nx\n\ny\n```\nb", ["a:", "```py\nx\n\ny\n```", "b"]),
        ("So: ```py\nx\n```\nb", ["So: ```py\nx\n```", "b"]),
        ("a\n$$\nx\n$$\nb", ["a", "$$\nx\n$$", "b"]),
        ("```py\nx\n    y\n\nThen prose.\nMore.", ["```py\nx\n    y", "Then prose.", "More."]),
        ("A. B", ["A. B"]),
    ],
    ids=repr,
)
def test_lines_of(text: str, steps: list[str]) -> None:
    assert texts_of(text, "line") == steps


@pytest.mark.parametrize(
    ("how", "text", "kept", "left"),
    [
        ("line", "a\nb\nc\n\nd", "101 1", "a\nc\n\nd"),
        ("line", "a\nb\n\nc\nd", "1001", "a\n\nd"),
        ("line", "a\r\nb\r\nc", "101", "a\r\nc"),
        ("line", "a\n    b\n    c", "101", "a\n    c"),
        ("sentence", "A b. C d. E f.", "101", "A b. E f."),
        ("sentence", "Aa.  Bb.\tCc.", "101", "Aa.\tCc."),
        ("sentence", "Aa. Bb.\nCc.", "101", "Aa.\nCc."),
        ("sentence", "Aa.\n\nBb. Cc.", "101", "Aa.\n\nCc."),
        ("sentence", "甲。乙。丙", "101", "甲。丙"),
        ("sentence", "Aa. 乙。Cc", "101", "Aa. Cc"),
        ("sentence", "Aa. Bb.\n```\nx\n```\nCc. Dd.", "10111", "Aa.\n```\nx\n```\nCc. Dd."),
        ("sentence", "Aa. Bb.\n```\nx\n```\nCc. Dd.", "00101", "```\nx\n```\nDd."),
    ],
    ids=repr,
)
def test_lines_and_sentences_keep_what_separates_them(how: StepSplit, text: str, kept: str, left: str) -> None:
    assert keep_steps(text, split_steps(text, how), [mark == "1" for mark in kept.replace(" ", "")]) == left


def test_a_mark_stands_where_the_removed_steps_stood() -> None:
    text = "Aa. Bb. Cc.\nDd. Ee."
    assert keep_steps(text, split_steps(text, "sentence"), [True, False, False, True, False], "[...]") == "Aa. [...]\nDd. [...]"
    assert keep_steps(text, split_steps(text, "line"), [False, True], "[...]") == "[...]\nDd. Ee."


def test_joining_uses_one_blank_line() -> None:
    text = "one\n \n\ntwo\n\n\n\nthree"
    assert join_steps(text, split_steps(text)) == "one\n\ntwo\n\nthree"
    assert keep_steps(text, split_steps(text), [True, False, True]) == "one\n\nthree"
    assert keep_steps(text, [Span(0, 3)], [False]) == ""


def test_a_mask_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        keep_steps("a\n\nb", split_steps("a\n\nb"), [False])


@pytest.mark.parametrize("line", ["word " * 20, "```", "> " * 50, "` ` " * 25])
def test_megabytes_in_one_step_are_split(line: str) -> None:
    text = f"{line}\n" * (2_000_000 // (len(line) + 1))
    assert texts_of(text) == [text.rstrip("\n")]
    assert texts_of("a" * 10_000_000) == ["a" * 10_000_000]
