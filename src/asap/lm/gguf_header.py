"""The header of a GGUF file: a model's sizes, and how long a context fits into this machine's memory."""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from asap.errors import InputError

_STEP = 256  # llama.cpp gives out context in such steps
_MEMORY_SHARE = 4  # the contexts of all slots take a quarter of the machine's memory at most
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_ARRAY = 1024  # longer ones are vocabularies


def read_header(file: Path) -> dict[str, Any]:
    """The metadata of a GGUF file without its vocabulary. Raises InputError for a file that no chat model can be read from."""
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise InputError(f"{file} is not a GGUF file (it does not start with GGUF)")
            _, _, count = _unpack(stream, "<IQQ")
            header = {}
            for _ in range(count):
                name = _value(stream, _STRING)
                header[name] = _value(stream, *_unpack(stream, "<I"))
    except OSError as error:
        raise InputError(f"GGUF file {file} cannot be read ({error.strerror})") from error
    except (struct.error, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise InputError(f"{file} is damaged or no whole GGUF file: its header cannot be read") from error
    if header.get("split.count", 0) > 1:
        raise InputError(f"{file} is one of {header['split.count']} parts of a model; join them with llama-gguf-split --merge")
    if not header.get("tokenizer.chat_template"):
        raise InputError(f"{file} has no chat template, so it is no model that follows instructions; use its chat or instruct version")
    return header


def _unpack(stream: IO[bytes], form: str) -> tuple[Any, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))


def _value(stream: IO[bytes], kind: int) -> Any:
    """One value of the header; None for long arrays and for those of strings."""
    if kind == _STRING:
        [length] = _unpack(stream, "<Q")
        return _text(stream, length)
    if kind != _ARRAY:
        return _unpack(stream, "<" + _SCALARS[kind])[0]
    inner, length = _unpack(stream, "<IQ")
    if inner == _STRING:
        for _ in range(length):
            [size] = _unpack(stream, "<Q")
            stream.seek(size, os.SEEK_CUR)
        return None
    if length <= _LONGEST_ARRAY:
        return _unpack(stream, f"<{length}{_SCALARS[inner]}")
    stream.seek(length * struct.calcsize(_SCALARS[inner]), os.SEEK_CUR)
    return None


def _text(stream: IO[bytes], length: int) -> str:
    content = stream.read(min(length, 1 << 24))
    if len(content) != length:
        raise struct.error("the file ends within a text")
    return content.decode("utf-8")


def context_in_memory(header: Mapping[str, Any], file: Path, slots: int, wanted: int | None) -> int:
    """The context of each slot: the wanted one or what fits into memory, never more than the model was made for."""
    limit = header.get(f"{header.get('general.architecture')}.context_length")
    if not isinstance(limit, int) or limit < 1:
        raise InputError(f"{file} does not tell the length of its context, so it is not a language model")
    if wanted is None and (cost := _bytes_per_token(header)):
        wanted = _memory_bytes() // _MEMORY_SHARE // (slots * cost)
    return max(_STEP, min(limit, wanted or limit) // _STEP * _STEP)


def _bytes_per_token(header: Mapping[str, Any]) -> int:
    """Memory of one token of context: a key and a value of 16-bit numbers in each layer; 0 where the header does not say."""
    architecture = header["general.architecture"]
    layers = header.get(f"{architecture}.block_count") or 0
    heads = header.get(f"{architecture}.attention.head_count") or 0
    key_heads = header.get(f"{architecture}.attention.head_count_kv") or heads
    if not isinstance(heads, int) or not heads:
        return 0
    width = (header.get(f"{architecture}.embedding_length") or 0) // heads
    lengths = [header.get(f"{architecture}.attention.{name}_length") or width for name in ("key", "value")]
    return int(2 * sum(lengths) * (sum(key_heads) if isinstance(key_heads, tuple) else layers * key_heads))


def _memory_bytes() -> int:
    """The machine's memory; 8 GiB where it is unknown."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30
