"""The LLM that a spec names: a server, a GGUF file, or a transformers model."""

from pathlib import Path
from typing import TYPE_CHECKING

from asap.errors import UsageError
from asap.lm.hub import Dtype
from asap.lm.specs import load_tokens

if TYPE_CHECKING:
    from asap.lm.generate import Generator
    from asap.lm.spending import SpendingLimit


def load_llm(
    spec: str,
    *,
    base_url: str | None = None,
    concurrency: int | None = None,
    spending: "SpendingLimit | None" = None,
    context_tokens: int | None = None,
    tokenizer: str | None = None,
    batch: bool = False,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> "Generator":
    """The completer of a spec: `openai:<model>`, `bundled`, `gguf:<file>` or `hf:<hub id or folder>`.

    `base_url`, `tokenizer` (Hub id or folder) and `batch` are for servers, `dtype` and `device` for hf: models.
    `concurrency` None is what suits the completer. Raises UsageError, InputError or MissingExtra.
    """
    kind, _, name = spec.partition(":")
    if spec != "bundled" and (kind not in ("openai", "gguf", "hf") or not name):
        raise UsageError(f"unknown LLM {spec!r}; write openai:<model>, bundled, gguf:<file> or hf:<hub id or folder>")
    of_servers = {"base-url": base_url, "llm-tokenizer": tokenizer, "batch": batch}
    if kind != "openai" and (given := [option for option, value in of_servers.items() if value]):
        raise UsageError(f"--{given[0]} is about a server, and {spec!r} runs here; write openai:<model> or leave --{given[0]} out")
    if kind == "openai":
        from asap.lm.batch import Batched
        from asap.lm.openai import OpenAIServer

        tokens = load_tokens(tokenizer) if tokenizer else None
        endpoint = OpenAIServer(
            name, base_url=base_url, spending=spending, context_tokens=context_tokens, tokens=tokens, concurrency=concurrency or 16
        )
        return Batched(endpoint) if batch else endpoint
    if kind == "hf":
        if concurrency not in (None, 1):
            raise UsageError(f"--concurrency {concurrency}: {spec!r} writes one reply at a time; leave --concurrency out")
        from asap.lm.transformers import Writer

        return Writer(name, spec=spec, dtype=dtype, device=device, context_tokens=context_tokens, spending=spending)
    from asap.lm.gguf import bundled_gguf
    from asap.lm.llama_cpp import LlamaCpp

    file = bundled_gguf() if spec == "bundled" else Path(name)
    return LlamaCpp(file, spec=spec, context_tokens=context_tokens, spending=spending, concurrency=concurrency or 1)
