"""What the package `selective-context` 0.1.4 makes of a text, faults included: the reference for `asap.prune.methods.selective_context`.

- White space is collapsed, so lines and indentation are lost; "!" ends no sentence.
- Each sentence is read alone, after the tokenizer's BOS. Tokens are decoded one by one, so only text without multi-byte tokens works.
- A token counts for the unit in which it ends, see `means`.
- A unit goes if its mean self-information is below a percentile over all units. Ties stay, and so do units without a number.

Written anew from what the package does, and held against what it returned (`tests/recorded`).
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch

Level = Literal["sent", "phrase", "token"]
_SENTENCE_END = re.compile(r"(?<!\w\.\w.)(?<![A-Z][a-z]\.)(?<=\.|\?)\s")


class SelectiveContext:
    """The package's compressor. `phrases` gives the character spans of a sentence's noun chunks and other tokens, as spaCy does."""

    def __init__(self, model: Any, tokenizer: Any, phrases: Callable[[str], Sequence[tuple[int, int]]]) -> None:
        self.model, self.tokenizer, self.phrases = model, tokenizer, phrases

    def compress(self, text: str, reduce: float, level: Level) -> str:
        """The text without the share `reduce` of its units."""
        texts, values = self.units(text, level)
        kept = kept_units(values, reduce)
        return (" " if level == "sent" else "").join(unit if stays else "" for unit, stays in zip(texts, kept, strict=True))

    def units(self, text: str, level: Level) -> tuple[list[str], list[float]]:
        """The units of a text, as they are written, and their self-information in nats."""
        texts, values = list[str](), list[float]()
        for number, sentence in enumerate(sentences(text)):
            tokens, information = self.self_information(sentence)
            if level == "token":
                found, means_of = tokens, information
            elif level == "sent":
                found, means_of = [sentence], [float(np.mean(information))]
            else:
                found = self.pieces(sentence)
                means_of = means(tokens, information, found)
                found[0] = (" " if number else "") + found[0]
            texts += found
            values += means_of
        return texts, values

    def pieces(self, sentence: str) -> list[str]:
        """The phrases of a sentence, each with the white space before it."""
        return [sentence[start:end] for start, end in pairwise([0, *(end for _, end in self.phrases(sentence))])]

    def self_information(self, sentence: str) -> tuple[list[str], list[float]]:
        """The tokens of a sentence and -ln p of each, given those before it and the BOS."""
        ids = self.tokenizer(f"{self.tokenizer.bos_token}{sentence}", add_special_tokens=False, return_tensors="pt").input_ids
        with torch.inference_mode():
            information = -torch.log(torch.softmax(self.model(ids).logits, dim=-1))
        values = information[0, :-1].gather(-1, ids[0, 1:, None])[:, 0].tolist()
        return [self.tokenizer.decode([one]) for one in ids[0, 1:].tolist()], values


def sentences(text: str) -> list[str]:
    """The sentences of a text, its white space collapsed."""
    parts = _SENTENCE_END.split(re.sub(r"\s+", " ", text))
    return [part.strip() for part in parts if part.strip()]


def means(tokens: Sequence[str], information: Sequence[float], units: Sequence[str]) -> list[float]:
    """The mean self-information of each unit. A token that completes several units is shared out among them and gives nothing to
    the one that it opens; one that completes none counts for the unit that it is in, unless it is a space.
    """
    values: list[list[float]] = [[] for _ in units]
    at, position = 0, 0
    for token, value in zip(tokens, information, strict=True):
        if at >= len(units):
            break
        position += len(token)
        first = at
        while at < len(units) and position >= len(units[at]):
            position -= len(units[at])
            at += 1
        if at > first:
            for unit in range(first, at):
                values[unit].append(value / (at - first))
        elif token != " ":
            values[at].append(value)
    return [float(np.mean(numbers)) if numbers else float("nan") for numbers in values]


def kept_units(values: Sequence[float], reduce: float) -> list[bool]:
    """Whether each unit stays: not those below the percentile `reduce` over all units."""
    threshold = np.nanpercentile(values, reduce * 100)
    return [not value < threshold for value in values]
