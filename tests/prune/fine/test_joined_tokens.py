"""The sums of JoinedTokens are held to tokenising the joined text anew, for a tiny tokenizer of every common kind."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import CORPUS, TOKENIZERS, laid_out, steps, tokens_of

from asap import steps as steps_module
from asap.lm.tokens import Encoded, TokenCounter
from asap.prune.fine import joined_tokens
from asap.prune.fine.joined_tokens import JoinedTokens
from asap.spans import Span
from asap.steps import STEP_SPLITS, Separators, join_steps, separator, split_steps

every_kind = pytest.mark.parametrize("kind", [*TOKENIZERS, "bundled", "deepseek"])
SENTENCES = [line for line in CORPUS.split("\n") if line.strip()]


def check_toggles(kind: str, texts: Sequence[str], toggles: Sequence[int], between: Sequence[str] = ()) -> JoinedTokens:
    """Remove or re-insert the steps one by one; the total is right each time, or it is said that it need not be."""
    text, spans = separated(texts, between) if between else laid_out(texts)
    tokens = tokens_of(kind)
    joined = JoinedTokens(text, spans, tokens)
    assert joined.total == tokens.count(text) == sum(joined.step_tokens)
    kept = set(range(len(texts)))
    for toggle in toggles:
        step = toggle % len(texts)
        (joined.remove if step in kept else joined.insert)(step)
        kept ^= {step}
        assert [*joined.kept] == sorted(kept)
        if joined.exact:
            assert joined.total == tokens.count(join_steps(text, (spans[index] for index in joined.kept)))
    return joined


def separated(texts: Sequence[str], between: Sequence[str]) -> tuple[str, list[Span]]:
    """The steps, each with the separator that follows it, and their spans."""
    text, spans = "", list[Span]()
    for step, space in zip(texts, between, strict=False):
        spans.append(Span(len(text), len(text) + len(step)))
        text += step + space
    return text[: spans[-1].end], spans


@every_kind
@given(st.lists(steps.map(str.strip).filter(bool), min_size=1, max_size=8), st.data())
@settings(max_examples=100, deadline=None)
def test_lines_and_sentences_are_counted_exactly(kind: str, texts: list[str], data: st.DataObject) -> None:
    between = data.draw(st.lists(st.sampled_from([" ", " ", "\n", "\n\n", "  ", ""]), min_size=len(texts), max_size=len(texts)))
    texts = [text if space else f"{text}。" for text, space in zip(texts, between, strict=True)]
    check_toggles(kind, texts, data.draw(st.lists(st.integers(0, 7), max_size=10)), between)


@every_kind
def test_sentences_are_counted_without_the_whole_text(kind: str) -> None:
    """Most of them: where a tokenizer takes a space and the letter behind it together, the space is counted with the letter."""
    rng = random.Random(6)
    text, spans = separated(rng.choices(["So it is.", "Then we see two.", "Add 3 and 4.", "Is it so?"], k=40), [" "] * 40)
    tokens, joined = tokens_of(kind), JoinedTokens(text, spans, tokens_of(kind))
    order = rng.sample(range(40), 40)
    totals, kept = joined.remove_each(order), list(range(40))
    for step, total in zip(order, totals, strict=True):
        kept.remove(step)
        assert total == tokens.count(join_steps(text, (spans[index] for index in kept)))
    assert joined.exact


class Counted:
    """A tokenizer that counts the characters that it is asked about."""

    def __init__(self, tokens: TokenCounter) -> None:
        self.tokens, self.characters = tokens, 0

    def encode(self, text: str) -> Encoded:
        self.characters += len(text)
        return self.tokens.encode(text)

    def encode_many(self, texts: Sequence[str]) -> list[Encoded]:
        self.characters += sum(map(len, texts))
        return self.tokens.encode_many(texts)

    def may_hold_added(self, text: str) -> bool:
        return False


def _list_item(number: int) -> str:
    return f"{'  ' * (number % 40)}- so we add a number {number} to it"


@every_kind
@pytest.mark.parametrize(
    "make",
    [lambda number: f"So it is {number}.", _list_item, lambda number: f"    we see\n    that {number}"],
    ids=["line", "list", "code"],
)
@pytest.mark.parametrize("between", ["\n\n", " "])
def test_a_removal_reads_as_much_however_many_steps_there_are(
    kind: str, make: Callable[[int], str], between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where lists are deep, where no step starts with a token of its own, and where the kept steps are far apart."""
    read, whole = list[int](), (lambda step: step) if "\n" in between else (lambda step: " ".join(step.split()))
    for count in (80, 320):
        counted = Counted(tokens_of(kind))
        monkeypatch.setattr(joined_tokens, "by_words", lambda tokens, counted=counted: counted)
        text, spans = separated([whole(make(number)) for number in range(count)], [between] * count)
        steps = list(range(count))
        for order in (steps[::-1], steps, random.Random(1).sample(steps, count), [*steps[1:], 0]):
            joined = JoinedTokens(text, spans, tokens_of(kind))
            totals, half = joined.remove_each(order), sorted(order[count // 2 :])
            assert joined.exact
            assert totals[count // 2 - 1] == tokens_of(kind).count(join_steps(text, (spans[step] for step in half)))
            assert not joined._costs, "nothing is kept of what is gone"
        read.append(counted.characters)
    assert read[1] < 5 * read[0]


@given(st.text(alphabet="a \n\r\t\u2028.", max_size=60), st.data())
def test_separators_of_any_two_steps(text: str, data: st.DataObject) -> None:
    monkeypatched = steps_module._NEAR
    spans = split_steps(text, data.draw(st.sampled_from(STEP_SPLITS)))
    try:
        steps_module._NEAR = 0
        separators = Separators(text)
        for first in range(len(spans)):
            for second in range(first + 1, len(spans)):
                assert separators.between(spans[first], spans[second]) == separator(text, spans[first], spans[second])
    finally:
        steps_module._NEAR = monkeypatched


@every_kind
@given(st.lists(steps, min_size=1, max_size=8), st.lists(st.integers(0, 7), max_size=10))
@settings(max_examples=100, deadline=None)
def test_the_total_equals_tokenising_anew_after_any_removals_and_insertions(kind: str, texts: list[str], toggles: list[int]) -> None:
    assert check_toggles(kind, texts, toggles).exact


@given(st.lists(steps, min_size=2, max_size=8), st.lists(st.integers(0, 7), max_size=10))
@settings(max_examples=100, deadline=None)
def test_a_tokenizer_that_merges_over_lines_is_noticed_before_a_total_is_wrong(texts: list[str], toggles: list[int]) -> None:
    check_toggles("far-reaching", texts, toggles)


def test_a_tokenizer_that_merges_over_lines_is_noticed_at_all() -> None:
    rng = random.Random(3)
    runs = [check_toggles("far-reaching", rng.choices(SENTENCES, k=8), rng.sample(range(8), 6)) for _ in range(50)]
    assert not all(joined.exact for joined in runs)


@pytest.mark.parametrize("kind", ["smollm", "qwen2", "mistral"])
def test_a_thousand_random_prunings_cut_where_exhaustive_tokenising_cuts(kind: str) -> None:
    rng = random.Random(5)
    tokens = tokens_of(kind)
    for _ in range(1000):
        text, spans = laid_out(["\n".join(rng.choices(SENTENCES, k=rng.randint(1, 2))) for _ in range(rng.randint(2, 10))])
        joined = JoinedTokens(text, spans, tokens)
        order = rng.sample(range(len(spans)), len(spans))
        budget = rng.randint(1, joined.total)
        exhaustive = list(range(len(spans)))
        for step in order:
            if tokens.count(join_steps(text, (spans[index] for index in exhaustive))) <= budget:
                break
            exhaustive.remove(step)
        for step in order:
            if joined.total <= budget:
                break
            joined.remove(step)
        assert [*joined.kept] == exhaustive
        assert joined.exact


@pytest.mark.parametrize(("kind", "token"), [("llama3", ".ĊĊ"), ("qwen2", "ĊĊ"), ("gpt2", "ĠĠĠ"), ("smollm", "ĊĊ"), ("gemma", "\n\n")])
def test_the_tiny_tokenizers_have_tokens_that_hold_the_blank_line(kind: str, token: str) -> None:
    assert token in tokens_of(kind).hf.get_vocab()


def test_a_blank_line_is_dearer_before_a_letter_than_before_a_digit_for_smollm() -> None:
    tokens = tokens_of("smollm")
    text, spans = laid_out(["Yes", "So", "1. Sort"])
    assert tokens.count("Yes\n\n1") == tokens.count("Yes\n\nS") - 1, "the case that this test is about"
    joined = JoinedTokens(text, spans, tokens)
    joined.remove(1)
    assert joined.total == tokens.count("Yes\n\n1. Sort")


def test_slashes_that_o200k_takes_together_with_the_step_before_are_counted_with_it() -> None:
    tokens = tokens_of("o200k")
    for last in ("//", "//(x) a comment"):
        assert tokens.count(f"No.\n\n{last}") < tokens.count("No.\n\n") + tokens.count(last), "the case that this test is about"
        assert check_toggles("o200k", ["No.", "Yes", last], [1, 1, 2, 2, 0]).exact


@pytest.mark.parametrize(("kind", "step"), [("gpt2", "<|end|> x"), ("roberta", "<mask> me"), ("llama3", "<s> x"), ("qwen2", "<think> x")])
def test_a_special_token_that_a_step_starts_with_is_seen_by_the_step_before(kind: str, step: str) -> None:
    assert check_toggles(kind, ["Yes", "So", step], [1, 2, 1, 2, 1, 0]).exact
    assert check_toggles(kind, ["Yes", step, "So"], [1, 1, 0, 2, 2, 0]).exact


@every_kind
def test_every_step_costs_something_and_their_sum_is_the_total(kind: str) -> None:
    text, spans = laid_out(SENTENCES)
    tokens = tokens_of(kind)
    joined = JoinedTokens(text, spans, tokens)
    assert all(cost > 0 for cost in joined.step_tokens)
    assert sum(joined.step_tokens) == joined.total == tokens.count(text)


def test_one_step_costs_what_its_text_costs_and_none_costs_nothing() -> None:
    for kind in TOKENIZERS:
        joined = check_toggles(kind, ["    Only one step."], [0, 0, 0])
        assert joined.total == 0


def test_the_memory_of_counts_does_not_change_with_the_way_to_a_state() -> None:
    rng = random.Random(6)
    texts = rng.choices(SENTENCES, k=10)
    for kind in ("smollm", "llama3", "t5"):
        there = check_toggles(kind, texts, [1, 5, 7, 5, 2, 9, 0, 5, 9])
        directly = check_toggles(kind, texts, [7, 2, 1, 0, 5])
        assert [*there.kept] == [*directly.kept]
        assert there.total == directly.total
