"""CPU time that LLMLingua-2 spends outside of its model, on one long trace: a literal transcription of the original, and asap.

Run `python benchmarks/perf/token_level.py`; `--package` times the real package `llmlingua` (0.2.2) too where it is installed. The
text is made up from a seed, the classifier's tokenizer is trained on it (XLM-R's kind), and the model is a table of draws that costs
nothing. OpenAI's tokenizer, with which the original weighs words, is left out in its favour: a word weighs its length over four.
"""

import argparse
import os
import platform
import random
import statistics
import string
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from match import make_steps
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerFast

from asap.lm.tokens import TokenCounter
from asap.prune.decision import Units
from asap.prune.llmlingua2 import Importance, chunk_edges, ends_here, word_units
from asap.prune.llmlingua2_legacy import legacy_units
from asap.prune.token_level import settled
from asap.prune.units import whole
from asap.sample import Sample
from asap.steps import split_steps

LONGEST = 512
SPECIAL = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def main() -> None:
    """Print the time of each way, and how much of it is which part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="steps of the trace, of about 300 characters (default %(default)s)")
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=5, help="timings per figure, the median counts (default %(default)s)")
    parser.add_argument("--package", action="store_true", help="time the package llmlingua as well")
    args = parser.parse_args()
    torch.set_num_threads(1)

    text = "\n\n".join(make_steps(random.Random(0), args.steps, 300))
    backend = trained(text).to_str()
    hf = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(backend), **SPECIAL)
    counter = TokenCounter(hf, "trained")
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"{len(text):,} characters, {counter.count(text):,} tokens, ratio {args.ratio:g}; CPU ms, median of {args.repeats}\n")

    classifier = Stub(counter)
    made = asap_units(text, classifier)
    ways: dict[str, Callable[[], object]] = {
        "original, transcribed": lambda: original(text, hf, args.ratio),
        "asap: tokenise (once)": lambda: counter.encode(text),
        "asap: chunks, words, probabilities": lambda: asap_units(text, classifier),
        "asap: cut, exact tokens": lambda: asap_cut(text, made, counter, args.ratio),
        "asap: another cut of it": lambda: asap_cut(text, made, counter, args.ratio / 2),
        "asap --legacy, all of it": lambda: asap_cut(text, legacy_units(text, classifier, counter), counter, args.ratio),  # type: ignore[arg-type]
    }
    chunks = chunk_texts(text, hf)
    ways["original: its tokenising (twice)"] = lambda: [hf.tokenize(one) for one in (text, *chunks)]
    if args.package:
        other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(backend), **SPECIAL)
        ways["original, the package"] = package(text, other, args.ratio)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.repeats):  # turn and turn about, so that a busy moment of the machine hits all of them
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(1000 * (time.process_time() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<36} {median:9.1f} {medians['original, transcribed'] / median:7.1f}x")
    theirs = medians["original, transcribed"] - medians["original: its tokenising (twice)"]
    own = medians["asap: chunks, words, probabilities"] - medians["asap: tokenise (once)"]
    print(f"\ntokenising left out: original {theirs:.1f} ms, asap's chunks, words and probabilities {own:.1f} ms: {theirs / own:.1f}x")


def draws(count: int) -> np.ndarray:
    """Probabilities that do not depend on anything but their place."""
    return np.abs(np.sin(np.arange(count) * 12.9898) * 43758.5453) % 1


class Stub:
    """Stands in for the classifier: its numbers cost nothing."""

    def __init__(self, counter: TokenCounter) -> None:
        self.tokens, self.chunk_tokens = counter, LONGEST - 2

    def read(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Numbers for inputs with their special tokens."""
        return [draws(len(ids)) for ids in inputs]


def asap_units(text: str, classifier: Stub) -> Units:
    """What asap does about a trace before and after the model."""
    encoded = classifier.tokens.encode(text)
    edges = chunk_edges(ends_here(text, encoded.starts, encoded.ends), classifier.chunk_tokens)
    keep = [values[1:-1] for values in classifier.read([np.concatenate([[0], encoded.ids[a:b], [2]]) for a, b in pairwise(edges)])]
    chunks = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    return word_units(text, Importance(encoded.starts, encoded.ends, np.concatenate(keep), chunks))


def asap_cut(text: str, units: Units, counter: TokenCounter, ratio: float) -> str:
    """The trace at a ratio, its tokens counted."""
    sample = Sample("a", "q", text, "x")
    return settled(whole(sample, "llmlingua2", units, split_steps(text), counter, 1), sample, lambda: counter, ratio=ratio).apply(text)


class _Chunks(Dataset[dict[str, torch.Tensor]]):
    """The original's data set: each chunk is tokenised when it is asked for, and padded."""

    def __init__(self, texts: Sequence[str], tokenizer: Any) -> None:
        self.texts, self.tokenizer = texts, tokenizer

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        pieces = ["[CLS]", *self.tokenizer.tokenize(self.texts[index]), "[SEP]"][:LONGEST]
        pieces += ["[PAD]"] * (LONGEST - len(pieces))
        ids = self.tokenizer.convert_tokens_to_ids(pieces)
        return {"ids": torch.tensor(ids), "mask": torch.tensor([int(piece != "[PAD]") for piece in pieces])}


def chunk_texts(text: str, tokenizer: Any) -> list[str]:
    """The original's chunks, written out again."""
    pieces, chunks, start = tokenizer.tokenize(text), list[str](), 0
    while start < len(pieces):
        end = start + LONGEST - 2
        if end > len(pieces) - 1:
            chunks.append(tokenizer.convert_tokens_to_string(pieces[start:]))
            break
        for back in range(end - start):
            if pieces[end - back] in {".", "\n"}:
                end -= back
                break
        chunks.append(tokenizer.convert_tokens_to_string(pieces[start : end + 1]))
        start = end + 1
    return chunks


def original(text: str, tokenizer: Any, rate: float) -> str:
    """The original's steps outside of the model, in its order and with its data types."""
    chunks = chunk_texts(text, tokenizer)
    special, forced, marks = set(SPECIAL.values()), list[str](), dict[str, str]()
    written = []
    for batch in DataLoader(_Chunks(chunks, tokenizer), batch_size=50):
        mask = batch["mask"] == 1
        probabilities = torch.tensor(np.stack([draws(LONGEST)] * len(mask)), dtype=torch.float32)
        for row in range(len(mask)):
            active = torch.masked_select(probabilities[row], mask[row])
            names = tokenizer.convert_ids_to_tokens(torch.masked_select(batch["ids"][row], mask[row]).squeeze().tolist())
            values = [value for value in active.cpu().numpy()]  # noqa: C416
            words, of_words = list[str](), list[list[Any]]()
            for name, value in zip(names, values, strict=True):
                if name in special:
                    continue
                begins = name in string.punctuation or name in forced or name in set(marks.values()) or name.startswith("▁")
                if begins or not words:
                    pure = name.lstrip("▁")
                    words.append(name)
                    of_words.append([1.0 if pure in forced or pure in set(marks.values()) else value])
                else:
                    words[-1] += name.lstrip("▁")
                    of_words[-1].append(value)
            means = [sum(numbers) / len(numbers) for numbers in of_words]
            repeated = [mean for word, mean in zip(words, means, strict=True) for _ in range(len(word) // 4 + 1)]
            threshold = np.percentile(repeated, int(100 * (1 - rate) + 1))
            kept = [word for word, mean in zip(words, means, strict=True) if mean > threshold or (threshold == 1.0 and mean == threshold)]
            written.append(tokenizer.convert_tokens_to_string(kept))
    return "".join(written)


def package(text: str, hf: Any, rate: float) -> Callable[[], object]:
    """The same by the package itself, with a model that costs nothing."""
    import tiktoken
    from llmlingua import PromptCompressor

    class Free(torch.nn.Module):
        def resize_token_embeddings(self, size: int) -> None:
            """Nothing to resize."""

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
            wave = torch.tensor(draws(LONGEST), dtype=torch.float32).expand(len(input_ids), -1)
            return SimpleNamespace(loss=None, logits=torch.stack([1 - wave, wave], dim=-1))

    def load(self: Any, *_: object) -> None:
        self.tokenizer, self.model, self.device = hf, Free(), "cpu"

    weigh = SimpleNamespace(encode=lambda word: range(len(word) // 4 + 1))
    with (
        tempfile.TemporaryDirectory() as scratch,
        patch.object(tiktoken, "encoding_for_model", lambda name: weigh),
        patch.object(PromptCompressor, "load_model", load),
    ):
        compressor = PromptCompressor(str(Path(scratch) / "xlm-roberta-large"), use_llmlingua2=True)
    return lambda: compressor.compress_prompt_llmlingua2([text], rate=rate)


def trained(text: str) -> Tokenizer:
    """A tokenizer of XLM-R's kind with 8,000 pieces."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=8000, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(text.split("\n\n"), trainer)
    return tokenizer


if __name__ == "__main__":
    main()
