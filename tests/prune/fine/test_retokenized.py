"""Each count is held to tokenising the whole text after each removal, for a tokenizer of every kind, with gaps and without."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import CORPUS, TOKENIZERS, laid_out, real_traces, recounted_anew, steps, tokens_of

from asap.lm.tokens import Encoded, TokenCounter
from asap.prune.fine.retokenized import WHOLE, RetokenizedTrace, recounted
from asap.spans import Span
from asap.steps import keep_steps, split_steps

every_kind = pytest.mark.parametrize("kind", [*TOKENIZERS, "bundled", "deepseek", "far-reaching"])
gaps = st.sampled_from(["", "[SKIP]", "...", "…", "<think>", "1", "<mask>", "a"])
SENTENCES = [line for line in CORPUS.split("\n") if line.strip()]


def each_removal(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter, gap: str, around: int = 64) -> list[int]:
    kept = RetokenizedTrace(text, spans, tokens, gap, around)
    return [kept.remove(step) for step in order]


@every_kind
@given(st.lists(steps, min_size=1, max_size=12), gaps, st.randoms(), st.sampled_from([8, 64]))
@settings(max_examples=60, deadline=None)
def test_each_count_is_that_of_the_whole_text(kind: str, texts: list[str], gap: str, drawn: random.Random, around: int) -> None:
    text, spans = laid_out(texts)
    order = drawn.sample(range(len(spans)), len(spans))
    assert each_removal(text, spans, order, tokens_of(kind), gap, around) == recounted_anew(text, spans, order, tokens_of(kind), gap)


@every_kind
@pytest.mark.parametrize("gap", ["", "[SKIP]"])
@pytest.mark.parametrize("how", ["fenced", "sentence"])
def test_long_texts(kind: str, gap: str, how: str) -> None:
    rng = random.Random(2)
    text = "".join(rng.choice(SENTENCES) + rng.choice(["\n\n", "\n\n\n", "\n", " "]) for _ in range(150))
    spans, tokens = split_steps(text, "fenced" if how == "fenced" else "sentence"), tokens_of(kind)
    order = rng.sample(range(len(spans)), len(spans))
    assert each_removal(text, spans, order, tokens, gap) == recounted_anew(text, spans, order, tokens, gap)


@every_kind
@given(st.lists(steps, min_size=1, max_size=8), st.lists(st.integers(0, 7), max_size=12), gaps)
@settings(max_examples=40, deadline=None)
def test_steps_come_back(kind: str, texts: list[str], toggles: list[int], gap: str) -> None:
    text, spans = laid_out(texts)
    kept, stays = RetokenizedTrace(text, spans, tokens_of(kind), gap), [True] * len(spans)
    assert kept.kept.are_all
    for toggle in toggles:
        step = toggle % len(spans)
        total = (kept.remove if stays[step] else kept.insert)(step)
        stays[step] = not stays[step]
        assert [*kept.kept] == [step for step, stay in enumerate(stays) if stay]
        assert total == kept.total == tokens_of(kind).count(keep_steps(text, spans, stays, gap))


class Counted:
    """A tokenizer that counts the characters that it is asked about."""

    def __init__(self, tokens: TokenCounter) -> None:
        self.tokens, self.characters = tokens, 0

    def encode(self, text: str) -> Encoded:
        self.characters += len(text)
        return self.tokens.encode(text)


@every_kind
@pytest.mark.parametrize("gap", ["", "[SKIP]"])
def test_a_removal_reads_as_much_however_many_steps_there_are(kind: str, gap: str) -> None:
    read = list[int]()
    for count in (100, 400):
        rng = random.Random(3)
        text, spans = laid_out([f"{rng.choice(SENTENCES)} {number}" for number in range(count)])
        counted = Counted(tokens_of(kind))
        kept = RetokenizedTrace(text, spans, tokens_of(kind), gap)
        kept._parts._tokens = counted  # type: ignore[assignment]
        for step in rng.sample(range(count), count):
            kept.remove(step)
        read.append(counted.characters)
    assert read[1] < 6 * read[0]


def test_real_traces_as_if_tokenised_anew() -> None:
    for kind in ("bundled", "mistral", "far-reaching"):
        for text in real_traces(3, 6000):
            spans = split_steps(text, "sentence")
            order = random.Random(4).sample(range(len(spans)), len(spans))
            for gap in ("", "[SKIP]"):
                assert recounted(text, spans, order, tokens_of(kind), gap) == recounted_anew(text, spans, order, tokens_of(kind), gap)


def test_all_of_the_text_is_read_where_that_is_asked() -> None:
    text, spans = laid_out(SENTENCES)
    order = random.Random(5).sample(range(len(spans)), len(spans))
    tokens = tokens_of("far-reaching")
    assert recounted(text, spans, order, tokens, "", WHOLE) == recounted_anew(text, spans, order, tokens)
