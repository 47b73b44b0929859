"""Exact token counts and character offsets of one tokenizer."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.digest import content_digest
from asap.errors import InputError
from asap.lm.hub import load_pretrained

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHARACTERS_PER_TOKEN = 3.5
_TOKENS_PER_MESSAGE = 8  # role and turn marks of the usual chat templates


class Encoded(NamedTuple):
    """Token ids and their character offsets in the text; arrays of one length."""

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class TokenCounter:
    """A tokenizer without special tokens: the number of tokens of a text, and their places in it.

    `name` says where it came from. The Hugging Face wrapper stays reachable as `hf` for chat templates, what it wraps as `backend`.
    """

    def __init__(self, hf_tokenizer: Any, name: str) -> None:
        backend: Tokenizer | None = getattr(hf_tokenizer, "_tokenizer", None)
        if backend is None:
            raise InputError(
                f"the tokenizer of {name} gives no character offsets (it is not a fast tokenizer); convert it to tokenizer.json"
            )
        backend.no_truncation()
        backend.no_padding()
        self.hf = hf_tokenizer
        self.name = name
        self.backend = backend

    @classmethod
    def load(cls, folder: str, name: str | None = None) -> "TokenCounter":
        """The tokenizer in a folder or on the Hub; `name` is what to call it."""
        hf = load_pretrained("AutoTokenizer", folder)
        if hf.is_fast and not _comes_back(hf):  # transformers 5.17 to 5.21 lose the spaces of byte-level tokenizers stored as Llama's
            with suppress(InputError):
                plain = load_pretrained("PreTrainedTokenizerFast", folder)
                hf = plain if _comes_back(plain) else hf
        return cls(hf, name or folder)

    def encode(self, text: str) -> Encoded:
        """The tokens of a text, special tokens that the text spells out included, none added."""
        return _encoded(self.backend.encode(text, add_special_tokens=False))

    def encode_many(self, texts: Sequence[str]) -> list[Encoded]:
        """The tokens of each text."""
        return [_encoded(encoding) for encoding in self.backend.encode_batch(list(texts), add_special_tokens=False)]

    def input_ids(self, text: str) -> list[int]:
        """What a model reads: the tokens of a text, and before them the BOS where the model wants one and the text has none."""
        ids: list[int] = self.encode(text).ids.tolist()
        return ids if self.bos_id is None or ids[:1] == [self.bos_id] else [self.bos_id, *ids]

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.backend.encode_batch_fast([text], add_special_tokens=False)[0])

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [len(encoding) for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    @cached_property
    def bos_id(self) -> int | None:
        """The BOS that this tokenizer puts before a text by itself; None where it adds none."""
        bos = self.hf.bos_token_id
        with_special = self.backend.encode("a", add_special_tokens=True).ids
        return int(bos) if bos is not None and with_special[:1] == [bos] else None

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the vocabulary and rules, the same for equal tokenizers only."""
        return content_digest(self.backend.to_str())[:16]


def _encoded(encoding: Any) -> Encoded:
    starts, ends = np.fromiter(chain.from_iterable(encoding.offsets), np.int64).reshape(-1, 2).T
    return Encoded(np.asarray(encoding.ids, dtype=np.int64), starts, ends)


def consecutive(first: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices first[0], first[0] + 1, … of so many items, then those from first[1] on, and so forth."""
    behind = np.cumsum(counts)
    return np.arange(behind[-1] if len(behind) else 0) + np.repeat(first - behind + counts, counts)


def _comes_back(hf: Any) -> bool:
    """Whether decoding gives a text back, spaces and all; there are tokenizers that are not made for it, such as T5's."""
    text = "if a b:\n\n  c"
    return bool(hf.decode(hf.encode(text, add_special_tokens=False), clean_up_tokenization_spaces=False) == text)


def count_tokens(text: str, tokens: TokenCounter | None) -> int:
    """How many tokens a text has: exact with the model's tokenizer, else an estimate from its bytes."""
    return tokens.count(text) if tokens else math.ceil(len(text.encode("utf-8", "replace")) / _CHARACTERS_PER_TOKEN)


def count_prompt(messages: Sequence[Mapping[str, str]], tokens: TokenCounter | None) -> int:
    """How many tokens a prompt has, chat template included (that part is an estimate always)."""
    return sum(count_tokens(message["content"], tokens) + _TOKENS_PER_MESSAGE for message in messages)
