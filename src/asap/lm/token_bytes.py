"""The bytes of a tokenizer's tokens by id: exact where a token holds only a part of a character, which decoding it alone loses."""

import json
from functools import cache
from typing import Protocol

from asap.lm.tokens import TokenCounter
from asap.vocabulary import byte_level, is_byte, sentencepiece


class TokenBytes(Protocol):
    """Gives the bytes of a token id; None for an id that the tokenizer does not have."""

    def __call__(self, token_id: int) -> bytes | None:
        """The bytes of a token."""
        ...


def token_bytes(tokens: TokenCounter) -> TokenBytes:
    """A function that gives the bytes of each of a tokenizer's tokens; special tokens are spelled out."""
    backend = tokens.backend
    added = {token_id: token.content for token_id, token in backend.get_added_tokens_decoder().items()}
    decoder = json.dumps(json.loads(backend.to_str())["decoder"])
    by_letters, by_fallback = ('"ByteLevel"' in decoder), ('"ByteFallback"' in decoder)

    @cache
    def bytes_of(token_id: int) -> bytes | None:
        entry = backend.id_to_token(token_id) if 0 <= token_id < 1 << 32 else None
        if token_id in added and not (by_fallback and is_byte(added[token_id])):
            return added[token_id].encode()
        if entry is None:
            return None
        found = byte_level(entry) if by_letters else None
        return sentencepiece(entry) if found is None else found

    return bytes_of
