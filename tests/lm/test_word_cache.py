"""The tokens of a text from those of its words are those that the tokenizer gives, for any text; other tokenizers are asked as ever."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lm_helpers import TRACE, llama3, qwen, r1, smol
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from asap.lm import word_cache
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import WordTokens

PIECES = ["a", "the", "list[i],", "1.5", "é", "e\u0301", "\u0301", "\u0308x", "ﬁ", "中文", "…", "🙂", "👨\u200d👩", "\u200b"]
PIECES += ["\x08", "\x00", "▁", "##ing", "<mask>", "<MASK>", "＜mask＞", "[MASK]", "<s>", "İ", "가", "\u1161", "x" * 200]
GAPS = ["", " ", "  ", "\n", "\n\n", " \n ", "\t", "\r\n", "\r", "\u00a0", "\u3000", "\u2028", "\x0b", "\x85", "\x1c"]
TEXTS = st.lists(st.sampled_from(PIECES) | st.sampled_from(GAPS) | st.text(max_size=3), max_size=30).map("".join)


def sentencepiece() -> Tokenizer:
    """As XLM-R's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), split("always")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=220, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TRACE.split("\n"), trainer)
    return tokenizer


def word_pieces() -> Tokenizer:
    """As BERT's, cased."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TRACE.split("\n"), trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    return tokenizer


def charsmap(changes: dict[str, str]) -> bytes:
    """SentencePiece's compiled rules for single ASCII characters: a trie as a double array, then the texts that it points at."""
    trie, texts = np.zeros(1024, np.uint32), b""
    trie[0] = 256 << 10  # the root's children stand at 256 + character, their values at 512 + character
    for old, new in changes.items():
        trie[256 + ord(old)], trie[512 + ord(old)] = ord(old) | 1 << 8 | 768 << 10, len(texts)
        texts += new.encode() + b"\x00"
    return (4 * len(trie)).to_bytes(4, "little") + trie.tobytes() + texts


def split(scheme: str) -> pre_tokenizers.PreTokenizer:
    """At white space, then a sign before each word (`always`), the first or none."""
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    return pre_tokenizers.Sequence([pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit()]), metaspace])


def with_parts(made: Callable[[], Tokenizer], **parts: Any) -> Tokenizer:
    tokenizer = made()
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return tokenizer


def masked(made: Callable[[], Tokenizer], content: str) -> Tokenizer:
    tokenizer = made()
    tokenizer.add_special_tokens([AddedToken(content, lstrip=True, rstrip=True, normalized=True)])
    return tokenizer


APART = {
    "as XLM-R": sentencepiece(),
    "as XLM-R with a mask": masked(sentencepiece, "<mask>"),
    "XLM-R's rules": with_parts(
        sentencepiece, normalizer=normalizers.Precompiled(charsmap({**dict.fromkeys("\n\t\r", " "), **dict.fromkeys("\x08\x7f", "")}))
    ),
    "without a sign before words": with_parts(sentencepiece, pre_tokenizer=split("never")),
    "as BERT": word_pieces(),
    "as BERT with a mask": masked(word_pieces, "<mask>"),
    "as BERT, lower case": with_parts(word_pieces, normalizer=normalizers.BertNormalizer(lowercase=True)),
    "without accents": with_parts(
        word_pieces, normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    ),
    "composed": with_parts(word_pieces, normalizer=normalizers.NFC(), pre_tokenizer=pre_tokenizers.Whitespace()),
}
SPLIT = r"\p{L}+|\s+|."
WITH_SPACES = {
    "as SmolLM": smol(),
    "as Qwen": qwen(),
    "as R1's distilled": r1(),
    "as Llama 3": llama3(),
    "as GPT-2": with_parts(smol, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "as GPT-2 with a mask": with_parts(lambda: masked(smol, "<mask>"), pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False)),
}
TOGETHER = {
    "as RoBERTa": with_parts(smol, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "of bytes, not split": with_parts(smol, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)),
    "another pattern": with_parts(
        smol,
        pre_tokenizer=pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        ),
    ),
    "a sign before the first word": with_parts(sentencepiece, pre_tokenizer=split("first")),
    "spaces are signs": with_parts(sentencepiece, pre_tokenizer=pre_tokenizers.Metaspace()),
    "not split": with_parts(sentencepiece, pre_tokenizer=None),
    "a text begins with a word": with_parts(sentencepiece, normalizer=normalizers.Prepend("x")),
    "stripped": with_parts(sentencepiece, normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Strip()])),
    "a token of two words": masked(word_pieces, "the\na"),
    "line breaks vanish": with_parts(sentencepiece, normalizer=normalizers.Precompiled(charsmap({"\n": ""}))),
    "replaced": with_parts(sentencepiece, normalizer=normalizers.Replace(Regex("a\\s+a"), "b")),
}
COUNTERS = {
    name: TokenCounter(PreTrainedTokenizerFast(tokenizer_object=made), name) for name, made in {**APART, **WITH_SPACES, **TOGETHER}.items()
}
REMEMBERING = {name: WordTokens(counter) for name, counter in COUNTERS.items()}


@pytest.mark.parametrize("name", COUNTERS)
def test_which_tokenizers_take_words_apart(name: str) -> None:
    assert REMEMBERING[name].border == ("" if name in APART else " " if name in WITH_SPACES else None)


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=100, deadline=None)
@given(TEXTS)
@example(TRACE)
@example("")
@example(" \n ")
@example("a  <mask>  b")
def test_any_text_has_the_tokens_that_the_tokenizer_gives(name: str, text: str) -> None:
    expected = COUNTERS[name].encode(text)
    for words in (REMEMBERING[name], WordTokens(COUNTERS[name])):
        for _ in range(2):  # unknown words, then known ones
            found = words.encode(text)
            assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
            assert found.ids.dtype == found.starts.dtype == np.int64
            assert words.count(text) == len(expected.ids)


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, max_size=8))
@example(TRACE.split("\n\n"))
@example(["a", ")\n", "a b…", "b a", "(", "a  <mask>  b", "", "/a b"])
@example(["a (b", "(c)", ")"])
@example(["a.\n\nb c", "b\n\n1 d.\n\n2", "a.\n\nb\n'", "c \n b\n\n\n(d\r\n\ne"])
def test_many_texts_have_the_tokens_of_each(name: str, texts: list[str]) -> None:
    expected = [COUNTERS[name].encode(text) for text in texts]
    for words in (REMEMBERING[name], WordTokens(COUNTERS[name])):
        for _ in range(2):
            found = words.encode_many(texts)
            assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True) for pair in zip(*pair, strict=True))
            assert words.count_many(texts) == [len(one.ids) for one in expected]


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
@example("<mask>\n", TRACE)
@example("a <mask> b<mask>", " c d e f g h")
@example("<ma", "sk> a b c d")
def test_what_may_hold_special_tokens_is_read_as_it_stands(name: str, before: str, text: str) -> None:
    expected = COUNTERS[name].encode(before + text)
    for words in (REMEMBERING[name], WordTokens(COUNTERS[name])):
        found = words.encode(before + text, whole=len(before))
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_a_chat_template_before_a_trace_does_not_have_it_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read, encode = list[str](), TokenCounter.encode
    monkeypatch.setattr(TokenCounter, "encode", lambda self, text: (read.append(text), encode(self, text))[1])
    words = WordTokens(COUNTERS["as GPT-2 with a mask"])
    for _ in range(2):
        words.encode("<mask>one\n" + "two three four five six seven", whole=10)
    assert read == ["a five six seven", "<mask>one\ntwo three four", "<mask>one\ntwo three four"]


@pytest.mark.parametrize("name", [*APART, *WITH_SPACES])
def test_a_character_that_vanishes_at_the_edge_of_a_word_moves_no_token(name: str) -> None:
    words = WordTokens(COUNTERS[name])  # where one vanishes at the start of a text, what follows it moves
    for text in ("a", "a \x08b", " \x08b", "\x08b a", "a c\x08", "a c\x08 ", "\x08", "b \x08 b"):
        assert all(np.array_equal(*pair) for pair in zip(words.encode(text), COUNTERS[name].encode(text), strict=True))


def test_a_word_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, encode = list[str](), TokenCounter.encode
    monkeypatch.setattr(TokenCounter, "encode", lambda self, text: (read.append(text), encode(self, text))[1])
    words = WordTokens(COUNTERS["as XLM-R"])
    for text in ("one two one", "two three\n\none", "three two"):
        words.encode(text)
    assert read == ["one\ntwo", "three"]


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_cache, "_MOST", 50)
    counter, words = COUNTERS["as BERT"], WordTokens(COUNTERS["as BERT"])
    for number in range(100):
        text = " ".join(f"w{number}x{place}" for place in range(20))
        assert np.array_equal(words.encode(text).ids, counter.encode(text).ids)
        assert len(words._numbers) <= 50 + 20
    monkeypatch.setattr(word_cache, "_MOST_TOKENS", 200)
    for number in range(100):
        text = f"a {chr(0x4E00 + number) * 40} b"
        assert np.array_equal(words.encode(text).ids, counter.encode(text).ids)
        assert words._first[-1] <= 200 + 42


def test_words_that_do_not_come_again_are_not_remembered() -> None:
    counter, words = COUNTERS["as Qwen"], WordTokens(COUNTERS["as Qwen"])
    text = "首先检查数组是否为空。" * 20
    assert np.array_equal(words.encode(text).ids, counter.encode(text).ids)
    assert words.count(text) == counter.count(text)
    assert not words._numbers
