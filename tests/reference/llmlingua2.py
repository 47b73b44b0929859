"""What the package `llmlingua` 0.2.2 makes of a text by LLMLingua-2, faults included: the reference for `asap.prune.methods.llmlingua2`.

- Chunks are written out and tokenised again; what is then too long is cut off. They are joined without a space.
- The tokens for start, end and padding are always BERT's; in other vocabularies they become the unknown token.
- Words begin at "▁" or at a sign (BERT: wherever there is no "##"); unknown tokens vanish.
- A word counts as often as the tokens that it has with its "▁", so words outweigh signs. The package counts with OpenAI's cl100k.
- Line breaks and runs of spaces are lost where the classifier's tokenizer loses them.

Written anew from what the package does, in its order and with its data types, so that it serves as the baseline of
`benchmarks/perf/token_level.py` too. Held against what the package returned (`tests/recorded`). Forced tokens are left out.
"""

import string
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

LONGEST = 512
_CHUNK_ENDS = {".", "\n"}
_BATCH = 50


class Compressed(NamedTuple):
    """The text that is left, the words that were weighed, and both texts' tokens."""

    text: str
    words: list[str]
    tokens_before: int
    tokens_after: int


class LLMLingua2:
    """The package's compressor. `probabilities` gives, for token ids and their mask, how likely each token stays; `weigh` counts tokens."""

    def __init__(
        self,
        tokenizer: Any,
        probabilities: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        weigh: Callable[[str], int],
        *,
        bert: bool = False,
    ) -> None:
        self.tokenizer, self.probabilities, self.weigh, self.bert = tokenizer, probabilities, weigh, bert
        self.special = {token for token in tokenizer.special_tokens_map.values() if isinstance(token, str)}

    def compress(self, text: str, rate: float, *, keep_digits: bool = False) -> Compressed:
        """The text at a rate: in each chunk the words stay that are above a percentile of its words, each as often as it weighs."""
        before, weighed, written = self.weigh(text), list[str](), list[str]()
        for names, read in self.read(text):
            words, values = self.words(names, read, keep_digits=keep_digits)
            kept = kept_words(values, list(map(self.weigh, words)), rate)
            weighed += words
            written.append(self.tokenizer.convert_tokens_to_string([word for word, stays in zip(words, kept, strict=True) if stays]))
        return Compressed("".join(written), weighed, before, sum(map(self.weigh, written)))

    def chunks(self, text: str) -> list[str]:
        """The chunks of up to 511 tokens, written out; they end at a full stop or line break if there is one."""
        pieces, chunks, start = self.tokenizer.tokenize(text), list[str](), 0
        while start < len(pieces):
            end = start + LONGEST - 2
            if end > len(pieces) - 1:
                chunks.append(self.tokenizer.convert_tokens_to_string(pieces[start:]))
                break
            for back in range(end - start):
                if pieces[end - back] in _CHUNK_ENDS:
                    end -= back
                    break
            chunks.append(self.tokenizer.convert_tokens_to_string(pieces[start : end + 1]))
            start = end + 1
        return chunks

    def read(self, text: str) -> list[tuple[list[str], Any]]:
        """The tokens of each chunk, tokenised again, and the probability of each that it stays, in float32."""
        found = []
        for batch in DataLoader(_Chunks(self.chunks(text), self.tokenizer), batch_size=_BATCH):
            mask = batch["mask"] == 1
            with torch.inference_mode():
                probabilities = self.probabilities(batch["ids"], batch["mask"])
            for row in range(len(mask)):
                values = torch.masked_select(probabilities[row], mask[row]).cpu().numpy()
                ids = torch.masked_select(batch["ids"][row], mask[row])
                found.append((self.tokenizer.convert_ids_to_tokens(ids.tolist()), values))
        return found

    def words(self, names: Sequence[str], read: Sequence[Any], *, keep_digits: bool = False) -> tuple[list[str], list[Any]]:
        """The words of a chunk and the means of their tokens. As in the package, a run of signs is one if Python's list of them has it."""
        words, values, bert, special = list[str](), list[list[Any]](), self.bert, self.special
        for name, value in zip(names, read, strict=True):
            if name in special:
                continue
            begins = not name.startswith("##") if bert else name in string.punctuation or name.startswith("▁")
            number = 1.0 if keep_digits and any(map(str.isdigit, name)) else value
            if begins or not words:
                words.append(name)
                values.append([number])
            else:
                words[-1] += name.lstrip("##") if bert else name.lstrip("▁")  # noqa: B005 (as there: a set of characters)
                values[-1].append(number)
        return words, [sum(numbers) / len(numbers) for numbers in values]


class _Chunks(Dataset[dict[str, torch.Tensor]]):
    """Each chunk is tokenised when it is asked for, and padded."""

    def __init__(self, texts: Sequence[str], tokenizer: Any) -> None:
        self.texts, self.tokenizer = texts, tokenizer

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        names = ["[CLS]", *self.tokenizer.tokenize(self.texts[index]), "[SEP]"][:LONGEST]
        names += ["[PAD]"] * (LONGEST - len(names))
        ids = self.tokenizer.convert_tokens_to_ids(names)
        return {"ids": torch.tensor(ids), "mask": torch.tensor([int(name != "[PAD]") for name in names])}


def kept_words(values: Sequence[Any], weights: Sequence[int], rate: float) -> list[bool]:
    """Whether each word stays: those above the percentile, which is a whole number, and the sure ones if it is 1."""
    repeated = [value for value, weight in zip(values, weights, strict=True) for _ in range(weight)]
    threshold = np.percentile(repeated, int(100 * (1 - rate) + 1))
    return [value > threshold or (threshold == 1.0 and value == threshold) for value in values]
