"""The bytes that the entries of a tokenizer's vocabulary stand for, in the two usual spellings."""

import re
from functools import cache

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def byte_level(entry: str) -> bytes | None:
    """The bytes of a byte-level entry, such as `Ġthe` and `Ċ` of GPT-2, Llama 3 and Qwen; None if it is none."""
    letters = _letters()
    return bytes(letters[letter] for letter in entry) if letters.keys() >= {*entry} else None


def sentencepiece(entry: str) -> bytes:
    """The bytes of an entry of SentencePiece, such as `▁the` and `<0x0A>` of Llama 2 and Gemma."""
    byte = _BYTE.fullmatch(entry)
    return bytes([int(byte[1], 16)]) if byte else entry.replace("▁", " ").encode("utf-8", "surrogatepass")


def is_byte(entry: str) -> bool:
    """Whether an entry of SentencePiece stands for one byte, such as `<0x0A>`."""
    return bool(_BYTE.fullmatch(entry))


@cache
def _letters() -> dict[str, int]:
    """GPT-2's letter for each byte: printable ones are their own, the others get the letters from 256 on."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(256 + place): byte for place, byte in enumerate(others)}
