"""Cutting inside steps: kept text is verbatim, words are not glued, budgets are met in real tokens, any cut is a fresh cut."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import real_traces, steps, tokens_of

from asap.prune.decision import decision_from_row
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Laid, Units, means_over, tile
from asap.prune.methods.phrases import words
from asap.sample import Sample
from asap.steps import split_steps

texts = st.lists(steps, min_size=1, max_size=6).map("\n\n".join).filter(lambda text: text.strip() and not text.startswith("\ufeff"))


def by_words(text: str) -> list[int]:
    return tile(words(text)[1], len(text))


def made(text: str, scores: list[float], kind: str = "smollm", chunks: list[int] | None = None) -> UnitCut:
    units = Units(by_words(text), list(scores), chunks=chunks)
    return UnitCut.whole(Sample("a", "q", text, "x"), "llmlingua2", split_steps(text), units, tokens_of(kind))


def spans(text: str, kept: list[int]) -> str:
    laid = Laid.of(text, by_words(text))
    flags = np.zeros(len(laid.starts), np.bool_)
    flags[kept] = True
    return "".join(text[start:end] for start, end in laid.spans(flags))


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        ("one two three", [0, 2], "one three"),
        ("one two three", [1], "two"),
        ("one\n\ntwo three", [0, 2], "one\n\nthree"),  # a paragraph stays one
        ("one two\n  three four", [0, 3], "one\n  four"),  # with its indentation
        ("one\ntwo\n\n\nthree\nfour", [0, 3], "one\n\n\nfour"),
        ("f(x, y)", [0, 2, 4, 5], "f(x y)"),  # a sign keeps words apart where no white space does
        ("foo bar,baz", [0, 3], "foo baz"),  # the space stays although the comma stood next to baz
        ("a,b", [0, 2], "a,b"),  # nothing else keeps them apart
        ("a(b)c", [0, 4], "a(c"),
        ("x = y", [0, 1], "x ="),
        ("  one two  ", [0, 1], "  one two  "),
        ("  one two  ", [1], "two  "),
        ("one two", [], ""),
    ],
)
def test_what_stays_by_hand(text: str, kept: list[int], expected: str) -> None:
    assert spans(text, kept) == expected


@settings(max_examples=40, deadline=None)
@given(texts, st.data())
def test_kept_text_is_verbatim_and_no_words_are_glued(text: str, data: st.DataObject) -> None:
    lengths = by_words(text)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths))), np.bool_)
    laid = Laid.of(text, lengths)
    found = laid.spans(kept)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(end < start for (_, end), (start, _) in pairwise(found))  # in order, apart, as few as can be
    for start, end in zip(laid.starts[kept].tolist(), laid.ends[kept].tolist(), strict=True):
        assert any(first <= start and end <= last for first, last in found)
    for (_, end), (start, _) in pairwise(found):
        assert not (re.match(r"\w", text[end - 1]) and re.match(r"\w", text[start]) and re.search(r"\W", text[end:start]))


@settings(max_examples=40, deadline=None)
@given(texts, st.data(), st.sampled_from(["smollm", "qwen2", "llama2", "bert"]))
def test_a_cut_fits_and_the_next_unit_would_not(text: str, data: st.DataObject, kind: str) -> None:
    count = len(by_words(text))
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=count, max_size=count))
    tokens, uncut = tokens_of(kind), made(text, scores, kind)
    budget = data.draw(st.integers(1, max(1, uncut.tokens_before)))
    decision = uncut.cut(text, lambda: tokens, budget=budget)
    result = decision.apply(text)
    assert decision.tokens_after == tokens.count(result)
    assert result.strip()
    assert decision.tokens_before == tokens.count(text)
    if decision.tokens_before <= budget:
        assert result == text
        assert not decision.changed
        return
    if count == 1:  # at least one unit stays
        assert result == text
        return
    laid = Laid.of(text, by_words(text))
    order = np.argsort(np.array(scores), kind="stable")

    def after(removed: int) -> list[tuple[int, int]]:
        kept = np.ones(count, np.bool_)
        kept[order[:removed]] = False
        return laid.spans(kept)

    gone = next(removed for removed in range(1, count) if after(removed) == decision.spans)  # the lowest, of equals the earlier
    assert decision.tokens_after <= budget or gone == count - 1
    assert gone == 1 or tokens.count("".join(text[start:end] for start, end in after(gone - 1))) > budget


@settings(max_examples=40, deadline=None)
@given(texts, st.data())
def test_a_cut_of_a_cut_is_a_cut(text: str, data: st.DataObject) -> None:
    count = len(by_words(text))
    scores = data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    tokens, uncut = tokens_of("smollm"), made(text, scores)
    first = data.draw(st.floats(0.05, 1.0))
    once = uncut.cut(text, lambda: tokens, ratio=first)
    assert once.cut(text, lambda: tokens, ratio=0.4) == uncut.cut(text, lambda: tokens, ratio=0.4)
    assert decision_from_row(once.as_row()) == once


def test_steps_count_as_kept_where_anything_of_them_is() -> None:
    text = "alpha beta\n\n    gamma\n\ndelta"
    decision = made(text, [1.0, 0.2, 0.1, 0.9]).cut(text, lambda: tokens_of("smollm"), ratio=0.6)
    assert "alpha" in decision.apply(text)
    assert "gamma" not in decision.apply(text)
    assert [step.kept for step in decision.steps] == [True, False, True]
    assert [step.removed_by for step in decision.steps] == [None, "fine", None]
    assert sum(step.tokens for step in decision.steps) == decision.tokens_before


def test_each_chunk_loses_its_share() -> None:
    """The second chunk is worth less throughout; without chunks all of it would go first."""
    text = " ".join(["word"] * 40)
    scores = [0.9 + number / 1000 for number in range(20)] + [0.1 + number / 1000 for number in range(20)]
    laid = Laid.of(text, by_words(text))

    def left(chunks: list[int] | None) -> tuple[int, int]:
        decision = made(text, scores, chunks=chunks).cut(text, lambda: tokens_of("smollm"), ratio=0.5)
        starts = [start for start, end in zip(laid.starts, laid.ends, strict=True)
                  if any(first <= start and end <= last for first, last in decision.spans or [])]  # fmt: skip
        return sum(start < laid.starts[20] for start in starts), sum(start >= laid.starts[20] for start in starts)

    assert left(None) == (20, 0)
    assert left([20, 20]) == (10, 10)


@pytest.mark.parametrize("kind", ["qwen2", "bundled"])
def test_real_traces_fit_to_a_token_or_so(kind: str) -> None:
    tokens = tokens_of(kind)
    for text in real_traces(4, 12_000):
        scores = [round(number * 0.618 % 1, 6) for number in range(len(words(text)[0]))]
        uncut = made(text, scores, kind, chunks=[len(scores) // 2, len(scores) - len(scores) // 2])
        for ratio in (0.75, 0.25):
            decision = uncut.cut(text, lambda: tokens, ratio=ratio)
            assert decision.tokens_after == tokens.count(decision.apply(text))
            assert 0 <= ratio * uncut.tokens_before - decision.tokens_after < 12  # one unit more would be too much


def test_means_over_units_by_hand() -> None:
    starts, values = np.array([0, 2, 5, 5, 9]), np.array([1.0, 3.0, 5.0, np.nan, 7.0])
    assert means_over(np.array([0, 5, 8]), starts, values).tolist() == [2.0, 5.0, 7.0]
    assert means_over(np.array([0, 6]), np.array([0]), np.array([2.0])).tolist() == [2.0, 2.0]  # the token that reaches over it
    assert np.isnan(means_over(np.array([0]), np.array([0]), np.array([np.nan]))).all()


def test_a_long_trace_makes_a_small_row() -> None:
    import json

    text = "\n\n".join("Then the total is 12 + 30 = 42, so the next value has to be checked again." for _ in range(800))
    scores = [round(number * 0.618 % 1, 6) for number in range(len(by_words(text)))]
    tokens = tokens_of("smollm")
    decision = made(text, scores).cut(text, lambda: tokens, ratio=0.5)
    assert tokens.count(text) > 15_000
    assert len(json.dumps(decision.as_row())) < 8 * len(text)
