"""What a trace copies from its answer: by hand for code and for results, and what must hold for any trace and any cut."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.compare.copies import Copies, Left
from asap.prune.boxed_result import BoxedResult
from asap.prune.code_lines import CodeLines, forms, normal
from asap.prune.decision import Decision
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Units
from asap.sample import Sample
from asap.spans import Span
from asap.steps import StepSplit, split_steps

PROGRAM = """import heapq

def merge(first, second):
    # both are sorted
    merged = list(heapq.merge(first, second))  # lazily
    if not merged:
        return []
    tag = "a # b"
    return merged"""
ANSWER = f"So:\n\n```python\n{PROGRAM}\n```\n"


def code(cot: str, question: str = "Merge two lists.") -> Copies:
    return Copies.find(Sample("a", question, cot, ANSWER))


def result(cot: str, boxed: str = "42") -> Copies:
    return Copies.find(Sample("a", "How many?", cot, rf"It is \boxed{{{boxed}}}."))


@pytest.mark.parametrize(
    "line",
    [
        "import heapq",
        "    return []",
        "\treturn  [ ]",
        "def merge(first,second):",
        "def merge(first, second):  # the signature",
        "merged = list(heapq.merge(first, second))",
        'tag = "a # b"  # a comment',
        "# both are sorted",
        "- return merged",
        "3. `return merged`.",
        "12: if not merged:",
        "12 | if not merged:",
        ">>> import heapq",
        "> > import heapq",
        '"return merged"',
        "“return merged”",
        "* ``return merged``,",
    ],
)
def test_a_line_of_the_answer_is_blanked_however_it_is_set(line: str) -> None:
    copies = code(f"First I think.\n{line}\nThen I go on.")
    assert copies.blanked == "First I think.\n\nThen I go on."
    assert code(f"First I think.\n\n```python\n{line}\n```").blanked == "First I think.\n\n```python\n\n```"


@pytest.mark.parametrize(
    "line",
    [
        "So return merged",
        "return merged and more",
        "return Merged",
        "def merge(a, b):",
        'tag = "a',
        'tag = "a # c"',
        "both are sorted",
        "return",
        "return not merged",
        "importheapq",
        "[]",
        "-",
        "don't # return merged",
    ],
)
def test_another_line_stays(line: str) -> None:
    cot = f"First I think.\n  {line}  \nThen I go on."
    assert code(cot).blanked == cot


def test_a_comment_alone_is_a_line_and_one_behind_code_is_none() -> None:
    assert normal("x  =  1   # one") == normal("x=1") == "x=1"
    assert normal("# one  two") == "#one two"
    assert normal("print('it # is', \"a#\")  # c") == "print('it#is',\"a#\")"
    assert forms("1. `x = 1`") == ("1.`x=1`", "`x=1`", "x=1")


def test_answer_lines_are_told_by_their_length_and_not_by_what_the_question_says() -> None:
    copies = code("import heapq\n\nreturn []\n\nif not merged:", question="Use import heapq in\n  def merge(first, second):")
    assert isinstance(copies.of, CodeLines)
    assert copies.of.telling == {"#both are sorted", "merged=list(heapq.merge(first,second))", "if not merged:", 'tag="a#b"', *RETURNS}
    assert copies.left().answer_lines == 2 / 6
    assert code("I think.").left() == Left(0.0, 0)
    assert code("I think.", question=PROGRAM).left() == Left(None, 0)


RETURNS = {"return[]", "return merged"}


def test_near_copies_are_renamed_lines_and_lines_with_other_text() -> None:
    cot = (
        "result = list(heapq.merge(left, right))\n\nSo we do merged = list(heapq.merge(first, second)).\n\ndef merge(a, a):\n\n"
        "def merge(a, b):\n\nreturn merged\n\nunsorted, so return merged_lists\n\nresult = list(heapq.nlargest(left, right))"
    )
    assert code(cot).left() == Left(1 / 8, 3)  # the whole line inside another one is none of its own
    assert code("result = set(heapq.merge(left, right))").left().near_copies == 0  # another builtin
    assert code("result = list(heapq.merge(left, left))").left().near_copies == 0


@pytest.mark.parametrize(
    ("boxed", "cot", "blanked"),
    [
        ("42", "so 42, not 421, 3.42, 42.5, 42,000, 1,042 or -42; x42 = 42", "so, not 421, 3.42, 42.5, 42,000, 1,042 or -42; x42 ="),
        ("42", r"It is \boxed{42}. Or $42$, or \( 42 \), \$42, 42% and 42cm, (42), [1,42,3].", r"It is. Or, or, \$,% andcm, (), [1,,3]."),
        ("42", "40 + 2 = 42\nthe 42nd", "40 + 2 =\nthe 42nd"),
        ("1251", r"1,251 or 1251 or 1{,}251, not 11,251 or 1,251,000", "or or, not 11,251 or 1,251,000"),
        (r"1{,}251\text{ students}", "1,251 of 1251", "of"),
        (r"\dfrac{3}{4}", r"\frac{3}{4}, \frac34, \tfrac{3}{4}, 3/4, 3 / 4; 13/4, 3/41, 0.75", ",,,,; 13/4, 3/41, 0.75"),
        (r"6\sqrt{2}", r"6√2, 6\sqrt2, $6\sqrt{2}$, 6 sqrt(2), 6", ",,,, 6"),
        (r"\frac{20000}{\pi}", "20000/π or 20,000 / pi", "or"),
        ("6 - 5i", "6 -5i, 6−5i, 16 - 5i, 6 - 5in", ",, 16 - 5i, 6 - 5in"),
        ("-3", "x = -3 or 5-3 or (-3), 3", "x = or 5-3 or (), 3"),
        ("x = 3", "so x = 3, and y=3", "so x =, and y="),
        (r"\text{east}", "East or east, not northeast, Easter", "or, not northeast, Easter"),
        (r"(3, \pi)", r"(3,π) is ( 3 , \pi )", "is"),
        (r"\$10.50", r"10.50, \$10.50, 10.5", r", \$, 10.5"),
        (r"50\%", "50% of 50", "% of"),
        (r"90^\circ", "90 degrees, 90°", "degrees,°"),
    ],
)
def test_a_result_is_blanked_wherever_it_stands_as_a_whole(boxed: str, cot: str, blanked: str) -> None:
    copies = result(cot, boxed)
    assert copies.blanked.lstrip() == blanked
    assert copies.left().answer_lines == 1


def test_the_same_number_otherwise_is_a_near_copy() -> None:
    assert result("3/4, 0.75, 6/8, 0.7, 3/0", r"\frac{3}{4}").left() == Left(1.0, 2)
    assert result("42.0, 42.00, 84/2, 42, -42.0", "42").left() == Left(1.0, 2)
    assert result("-42.0, 42.0", "-42").left() == Left(0.0, 1)
    assert result("east by east", "east").left() == Left(1.0, 0)


def test_a_number_of_thousands_of_digits_is_no_other_spelling() -> None:
    long = "4" * 5000
    cot = f"{long}, 42.{long}, {long}/2, 42{',000' * 2000}, 42.0"
    assert result(cot, "42").left() == Left(0.0, 1)
    assert result(cot, long).left() == Left(1.0, 0)


def test_an_empty_box_and_an_answer_of_text_blank_nothing() -> None:
    for answer in ("It is 42.", r"\boxed{}", r"\boxed{ \, }"):
        copies = Copies.find(Sample("a", "q", "It is 42.", answer))
        assert (copies.blanked, copies.left()) == ("It is 42.", Left(None, None))


def test_a_long_or_odd_box_is_looked_for_as_it_is() -> None:
    long = "a + b^2 - " * 30 + "1"
    assert result(f"so {long} it is", long).blanked == "so it is"
    matrix, nested = r"\begin{pmatrix}1\\2\end{pmatrix}", r"\frac{" * 30 + "1"
    for odd in (r"\frac", r"\frac{1", r"\sqrt", r"\sqrt[3]{8}", "{", "(", r"\\", "[a-z]*", matrix, nested):
        found = BoxedResult.of(rf"\boxed{{{odd}}}")
        assert found is None or found.near("1 of 2") >= 0


# what must always hold

prose = st.sampled_from(["Wait.", "So we merge them.", "", "Then return merged is what I need", "x = 1", "So, `merge` is it", "-", "}"])
copied = st.sampled_from([*PROGRAM.split("\n")[2:], "- return merged", "merged=list( heapq.merge(first,second) )", "  return []  # none"])
traces = st.lists(st.builds(str.__add__, prose | copied, st.sampled_from(["\n", "\n\n", "\n \n", "\r\n"])), min_size=1)


def steps_of(cot: str, how: StepSplit, keep: list[bool]) -> StepCut:
    steps = []
    for number, span in enumerate(split_steps(cot, how)):
        kept = keep[number % len(keep)]
        steps.append(StepDecision(number, *span, 1, None, None, None, None, number, 0, kept, None if kept else "fine"))
    return StepCut("a", "asap", 9, 9, 5, 5, 1, 1, CoarseReport("none"), steps)


@given(traces)
@settings(max_examples=150, deadline=None)
def test_only_lines_of_the_answer_are_changed_and_all_of_them(parts: list[str]) -> None:
    cot = "".join(parts)
    copies, lines = code(cot), {normal(line) for line in PROGRAM.splitlines() if re.search(r"\w", line)}
    before, after = cot.split("\n"), copies.blanked.split("\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        is_copy = bool(lines.intersection(forms(old)))
        assert new == (("\r" if old.endswith("\r") else "") if is_copy else old)
    assert not any(lines.intersection(forms(line)) for line in after)
    assert code(copies.blanked).blanked == copies.blanked
    assert Copies.find(Sample("a", "q", copies.blanked, ANSWER)).left().answer_lines == 0


@given(traces, st.sampled_from(["fenced", "paper", "line"]), st.lists(st.booleans(), min_size=1))
@settings(max_examples=150, deadline=None)
def test_blanking_and_cutting_whole_lines_change_places(parts: list[str], how: StepSplit, keep: list[bool]) -> None:
    cot = "".join(parts).strip("\r\n") or "Wait."
    decision = steps_of(cot, how, keep)
    assert code(cot).cut(decision) == code(decision.apply(cot)).blanked


@given(traces, st.lists(st.integers(0, 200), min_size=2))
@settings(max_examples=150, deadline=None)
def test_a_cut_inside_of_lines_loses_the_characters_that_are_blanked_in_the_whole(parts: list[str], edges: list[int]) -> None:
    cot = "".join(parts)
    cuts = sorted({min(edge, len(cot)) for edge in edges})
    spans = [Span(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False)]
    decision: Decision = UnitCut("a", "llmlingua2", 9, 5, 5, 1, [], spans, Units([len(cot)], [None]))
    copies = code(cot)
    taken = {place for span in copies.of.spans(cot) for place in range(*span)} if copies.of else set[int]()
    left = [cot[place] for span in spans for place in range(*span) if place not in taken]
    assert "".join(copies.cut(decision).split()) == "".join("".join(left).split())


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_a_number_is_found_with_and_without_separators_and_not_in_another(number: int, other: int) -> None:
    copies = result(f"so {number} is {number:,}, not {other}: 1{number}, {number}1, {number}.5", str(number))
    assert copies.blanked == f"so is, not{'' if other == number else f' {other}'}: 1{number}, {number}1, {number}.5"
