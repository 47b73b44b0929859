"""What a cut does to the form of a trace, by hand and on any text."""

import os
import re
import string
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap import read_samples
from asap.compare.structure import dangling, structure
from asap.fences import is_open
from asap.prune.decision import Decision
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Units
from asap.spans import Span
from asap.steps import join_steps, keep_steps, split_steps

TRACE = (
    "Let total = 0 first.\n\n```python\ncount: int = 1\nfor item in xs:\n    total += item\n```\n\n"
    "Now total and count are known.\n\nSo count == 1."
)


def decided(cot: str, keep: list[int], spans: list[tuple[int, int]] | None = None) -> Decision:
    steps = [
        StepDecision(number, span.start, span.end, 1, None, None, None, None, number, 0, number in keep, None if number in keep else "fine")
        for number, span in enumerate(split_steps(cot))
    ]
    if spans is None:
        return StepCut("a", "asap", 9, 9, 5, 5, 1, 1, CoarseReport("none"), steps)
    return UnitCut("a", "llmlingua2", 9, 5, 5, 1, steps, [Span(*span) for span in spans], Units([len(cot)], [None]))


def lost(keep: list[int]) -> list[str]:
    spans = split_steps(TRACE)
    return dangling(TRACE, [spans[index] for index in keep])


def test_a_name_dangles_when_every_definition_is_gone_and_a_use_is_left() -> None:
    assert lost([0, 1, 2, 3]) == []
    assert lost([0, 2, 3]) == ["count"]
    assert lost([1, 2]) == ["total"]
    assert lost([2, 3]) == ["count", "total"]
    assert lost([0]) == []


def test_a_comparison_or_a_name_inside_a_word_is_no_definition() -> None:
    assert dangling("so count == 1\n\nlast count", [Span(15, 25)]) == []
    assert dangling("nn = 1\n\nbanner", [Span(8, 14)]) == []


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("Then, for each word and for loop in Python, go on", ""),
        ("look for duplicates in the list, for example, earlier in the step", ""),
        ("the class should work, the class is: see below, class with:", ""),
        ("I will import heapq, then import everything", ""),
        ("import what you need, then go on", ""),
        ("the `def keyword` and def itself", ""),
        ("Another test: num=3 and check: len(first) = 2", "num"),
        ("Step: num = 3 comes next, so formula: (a*b) = 12", "num"),
        ("Sum: 3 + 5 = 8 is = 8, or == 8, and node.next = prev, count += 1, number => 5", ""),
        ("for i, (name, *rest) in enumerate(pairs):", "name rest"),
        ("Like sum(char for char in text if char.isupper()), or [num for num in nums[1:]].", "char num"),
        ("So for color in blocks: go. Then for word in 'a b'.", "color word"),
        ("say def helper(text): and class Node: or class Pair[T]:", "Node Pair helper"),
        ("    import os.path, numpy as np, math  # all of them", "math np os"),
        ("from typing import Any as Anything, List", "Anything List"),
        ("from a.b import (\n    first,\n    second,\n)", "first second"),
        ("get both: low = 0, high = low = 5; if (size := 3):", "high low size"),
        ("count: int = 1\n  seen: dict[str, list[int]] = {}\nroot: Node | None = None", "count root seen"),
    ],
)
def test_what_defines_a_name_has_the_form_of_code(said: str, names: str) -> None:
    uses = "\n".join(re.findall(r"\w+", said))
    cot = f"{said}\n\n{uses}"
    assert dangling(cot, [Span(len(said) + 2, len(cot))]) == names.split()


@pytest.mark.skipif(not os.environ.get("ASAP_DATA"), reason="ASAP_DATA is not set: names in real traces were NOT checked")
def test_common_words_of_real_traces_do_not_dangle() -> None:
    common = set(re.findall(r"\w+", "the this that each example numbers when which all an no one very larger loop think wait step test"))
    found = list[str]()
    for sample in islice(read_samples(Path(os.environ["ASAP_DATA"]) / "traces/kodcode_r1.jsonl.gz"), 60):
        for first in (0, 1):
            found += dangling(sample.cot, split_steps(sample.cot)[first::2])
    assert len(found) > 20
    assert sum(name in common for name in found) <= len(found) // 50


def test_a_use_before_the_first_definition_does_not_count() -> None:
    assert dangling("total is asked for\n\ntotal = 3", [Span(0, 18)]) == []


def test_the_end_of_the_thinking() -> None:
    words = "a1\n\nb1\n\nc1\n\nd1"
    assert structure(words, decided(words, [0, 3])).last_kept == 1 / 3
    assert structure(words, decided(words, [1, 2, 3])).last_kept == 1.0
    assert structure(words, decided(words, [0])).last_kept == 0.0


def test_whole_steps_never_leave_a_fence_open() -> None:
    for keep in ([0], [1], [1, 3], [2]):
        assert structure(TRACE, decided(TRACE, keep)).open_fences == 0


WORDS = st.lists(st.text(string.ascii_letters + " =:_\n`~", max_size=30), min_size=1, max_size=8).map("\n\n".join)


@given(WORDS, st.data())
def test_nothing_dangles_where_nothing_or_everything_was_cut(cot: str, data: st.DataObject) -> None:
    steps = split_steps(cot)
    assert dangling(cot, steps) == []
    assert dangling(cot, []) == []
    kept = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    left = [span for span, keep in zip(steps, kept, strict=True) if keep]
    text = join_steps(cot, left)
    assert all(name in text for name in dangling(cot, left))


@given(WORDS)
def test_joined_steps_of_a_closed_text_are_closed(cot: str) -> None:
    if not is_open(cot):
        steps = split_steps(cot)
        assert not is_open(keep_steps(cot, steps, [index % 2 == 0 for index in range(len(steps))]))
