"""CPU time that LLMLingua-2 spends outside of its model: a literal transcription of the original, and asap.

Run `python benchmarks/perf/token_level.py [--rows traces.jsonl --limit 100]`, without rows on traces that are made up from a seed; each
trace is met once in a repetition. `--package` times the real package `llmlingua` (0.2.2) too where it is installed. The transcription is
the replica in `tests/reference`, which is held against what the package returned. The classifier's tokenizer is trained on the traces
(XLM-R's kind), and the model is a table of draws that costs nothing. The original weighs each word and counts the text with OpenAI's
tokenizer: where `tiktoken` is installed this is done with it, and with the vocabulary of the bundled scorer, since OpenAI's is a download
of its own; else it is left out in the original's favour.
"""

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from figures import Figure, at_least
from match import make_steps
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from asap import read_samples
from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Units
from asap.prune.methods.llmlingua2 import ClassifierImportance, word_units
from asap.sample import Sample
from asap.steps import split_steps

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.llmlingua2 import LONGEST, LLMLingua2

TRANSCRIBED, OURS = "original, transcribed", "asap: chunks, words, probabilities"
DRAWS = np.abs(np.sin(np.arange(LONGEST) * 12.9898) * 43758.5453) % 1  # probabilities that depend on nothing but their place
SPECIAL = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def main() -> None:
    """Print the time of each way, and how much of it is which part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="a data set that asap prune reads")
    parser.add_argument("--limit", type=int, default=100, help="how many of its traces (default %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="without --rows: steps of each of four traces (default %(default)s)")
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=5, help="timings per figure, the median counts (default %(default)s)")
    parser.add_argument("--package", action="store_true", help="time the package llmlingua as well")
    args = parser.parse_args()
    torch.set_num_threads(1)

    texts = [sample.cot for sample in islice(read_samples(args.rows), args.limit)] if args.rows else made_up(4, args.steps)
    counter = TokenCounter(wrapped(backend := trained(texts).to_str()), "trained")
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    sizes = f"{sum(map(len, texts)) / len(texts):,.0f} characters, {sum(counter.count_many(texts)) / len(texts):,.0f} tokens"
    print(f"{len(texts)} traces, each of {sizes} in the mean, ratio {args.ratio:g}; CPU ms a trace, median of {args.repeats}\n")

    medians = measured(texts, backend, args.ratio, args.repeats, with_package=args.package)
    for name, median in medians.items():
        print(f"{name:<36} {median:9.2f} {medians[TRANSCRIBED] / median:7.1f}x")


def figures(quick: bool) -> Iterator[Figure]:
    """The line for `run.py`: made-up traces, so that anyone can repeat it. Without tiktoken the original does less than its own work."""
    torch.set_num_threads(1)
    texts = made_up(4, 200)
    medians = measured(texts, trained(texts).to_str(), 0.5, 3 if quick else 5, with_package=False)
    yield at_least(
        "LLMLingua-2 outside of its model",
        [medians[TRANSCRIBED] / medians[OURS]],
        10,
        "the original, transcribed",
        counts=find_spec("tiktoken") is not None,
    )


def measured(texts: Sequence[str], backend: str, ratio: float, repeats: int, *, with_package: bool) -> dict[str, float]:
    """CPU milliseconds a text of each way, medians."""
    hf = wrapped(backend)
    counter, weigh = TokenCounter(hf, "trained"), weigher()
    made = {text: word_units(text, ClassifierImportance(Stub(counter))([text])[0]) for text in texts}
    original = LLMLingua2(hf, draws, weigh)
    chunks = {text: original.chunks(text) for text in texts}
    words = {text: original.compress(text, ratio).words for text in texts}

    def always(way: Callable[[str], object]) -> Callable[[TokenCounter], Callable[[str], object]]:
        return lambda _: way

    def units(tokens: TokenCounter) -> Callable[[str], object]:
        importance = ClassifierImportance(Stub(tokens))
        return lambda text: word_units(text, importance([text])[0])

    ways: dict[str, Callable[[TokenCounter], Callable[[str], object]]] = {
        TRANSCRIBED: always(lambda text: original.compress(text, ratio)),
        "of that: tokenising twice": always(lambda text: [hf.tokenize(one) for one in (text, *chunks[text])]),
        "of that: word weights": always(lambda text: [weigh(word) for word in words[text]]),
        OURS: units,
        "of that: tokenising": lambda tokens: by_words(tokens).encode,
        "one pass of the tokenizer": always(counter.encode),
        "asap: cut, exact tokens": lambda tokens: lambda text: asap_cut(text, made[text], tokens, ratio),
    }
    if with_package:
        ways["original, the package"] = always(package(wrapped(backend), ratio, weigh))
    times = [timed({name: make(TokenCounter(hf, "trained")) for name, make in ways.items()}, texts) for _ in range(repeats)]
    return {name: statistics.median(one[name] for one in times) for name in ways}


def timed(ways: Mapping[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, float]:
    """CPU milliseconds a text of each way. 50 texts in one go, then the next way, so that a slow moment of the machine hits all."""
    spent = dict.fromkeys(ways, 0.0)
    for first in range(0, len(texts), 50):
        for name, way in ways.items():
            start = time.process_time()
            for text in texts[first : first + 50]:
                way(text)
            spent[name] += 1000 * (time.process_time() - start) / len(texts)
    return spent


def made_up(count: int, steps: int) -> list[str]:
    """Traces of so many steps of about 300 characters, all with the same words."""
    made = make_steps(random.Random(0), count * steps, 300)
    return ["\n\n".join(made[start : start + steps]) for start in range(0, len(made), steps)]


def wrapped(backend: str) -> PreTrainedTokenizerFast:
    """A tokenizer of its own; the package adds tokens to the one that it gets."""
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(backend), **SPECIAL)


def weigher() -> Callable[[str], int]:
    """How many tokens a text has to the original: by tiktoken where it is installed, with the bundled scorer's byte pairs."""
    try:
        import tiktoken
    except ImportError:
        print("tiktoken is not installed: words weigh their length over four, which costs nothing")
        return lambda text: len(text) // 4 + 1
    letters = {letter: byte for byte, letter in bytes_to_unicode().items()}
    pieces = {piece: rank for piece, rank in load_tokens("bundled").hf.get_vocab().items() if all(map(letters.__contains__, piece))}
    ranks = {bytes([byte]): len(pieces) + byte for byte in range(256)}
    ranks |= {bytes(letters[letter] for letter in piece): rank for piece, rank in pieces.items()}
    encoding = tiktoken.Encoding("bundled", pat_str=r"\w+|[^\w\s]+|\s+", mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode(text))


def draws(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The probabilities of a batch of padded chunks."""
    return torch.tensor(DRAWS, dtype=torch.float32).expand(len(ids), -1)


class Stub:
    """Stands in for the classifier: its numbers cost nothing."""

    identity: Mapping[str, str] = {}
    batch_tokens = 0

    def __init__(self, counter: TokenCounter) -> None:
        self.tokens, self.chunk_tokens = counter, LONGEST - 2

    def keep(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Numbers for chunks without special tokens."""
        return [DRAWS[: len(ids)] for ids in chunks]


def asap_cut(text: str, units: Units, counter: TokenCounter, ratio: float) -> str:
    """The trace at a ratio, its tokens counted."""
    sample = Sample("a", "q", text, "x")
    whole = UnitCut.whole(sample, "llmlingua2", split_steps(text), units, counter)
    return whole.cut(text, lambda: counter, ratio=ratio).apply(text)


def package(hf: Any, rate: float, weigh: Callable[[str], int]) -> Callable[[str], object]:
    """The same by the package itself, with a model that costs nothing."""
    import tiktoken
    from llmlingua import PromptCompressor

    class Free(torch.nn.Module):
        def resize_token_embeddings(self, size: int) -> None:
            """Nothing to resize."""

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
            wave = torch.tensor(DRAWS, dtype=torch.float32).expand(len(input_ids), -1)
            return SimpleNamespace(loss=None, logits=torch.stack([1 - wave, wave], dim=-1))

    def load(self: Any, *_: object) -> None:
        self.tokenizer, self.model, self.device = hf, Free(), "cpu"

    counts = SimpleNamespace(encode=lambda text: range(weigh(text)))
    with (
        tempfile.TemporaryDirectory() as scratch,
        patch.object(tiktoken, "encoding_for_model", lambda name: counts),
        patch.object(PromptCompressor, "load_model", load),
    ):
        compressor = PromptCompressor(str(Path(scratch) / "xlm-roberta-large"), use_llmlingua2=True)
    return lambda text: compressor.compress_prompt_llmlingua2([text], rate=rate)


def trained(texts: Sequence[str]) -> Tokenizer:
    """A tokenizer of XLM-R's kind with 8,000 pieces."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=8000, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([step for text in texts for step in text.split("\n\n")], trainer)
    return tokenizer


if __name__ == "__main__":
    main()
