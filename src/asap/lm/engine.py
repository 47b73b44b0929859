"""What a server says about itself: its engine and version, the longest text, the numbers' type, whether it keeps prefixes."""

import asyncio
import json
import re
from typing import Any

from openai import AsyncOpenAI, OpenAIError

_PATIENCE_S = 10.0
_LONGEST = 1 << 20
_SGLANG = ("version", "dtype", "model_path", "disable_radix_cache", "context_length", "quantization", "kv_cache_dtype", "attention_backend")
_LLAMA = ("build_info", "model_path", "total_slots")


async def ask_engine(client: AsyncOpenAI, context_tokens: int | None) -> dict[str, Any]:
    """Everything the server says about its engine; servers that say nothing are fine."""
    root = str(client.base_url).rstrip("/").removesuffix("/v1")
    names = ("version", "metrics", "get_server_info", "props")  # vLLM the first two
    answers = dict(zip(names, await asyncio.gather(*(_ask(client, f"{root}/{name}") for name in names)), strict=True))
    return {"context_tokens": context_tokens, **read_engine(answers)}


def read_engine(answers: dict[str, str]) -> dict[str, Any]:
    """The engine's settings in its answers by path: vLLM (/version, /metrics), SGLang (/get_server_info), llama.cpp (/props)."""
    version, sglang, llama = (_object(answers.get(name, "")) for name in ("version", "get_server_info", "props"))
    cache = re.search(r"^vllm:cache_config_info\{(.*)\}", answers.get("metrics", ""), re.MULTILINE)
    if cache or "vllm:" in answers.get("metrics", ""):
        config = dict(re.findall(r'(\w+)="([^"]*)"', cache[1])) if cache else {}
        kept = {name: config[name] for name in ("enable_prefix_caching", "cache_dtype", "gpu_memory_utilization") if name in config}
        return {"name": "vllm", **({"version": version["version"]} if "version" in version else {}), **kept}
    for settings in (sglang, llama):
        if isinstance(settings.get("model_path"), str):
            settings["model_path"] = settings["model_path"].rpartition("/")[2]  # the folder is nobody's business
    if "disable_radix_cache" in sglang:
        return {"name": "sglang", **{name: sglang[name] for name in _SGLANG if sglang.get(name) is not None}}
    if "build_info" in llama or "total_slots" in llama:
        context = llama.get("default_generation_settings", {})
        found = {name: llama[name] for name in _LLAMA if name in llama}
        return {"name": "llama.cpp", **found, **({"n_ctx": context["n_ctx"]} if isinstance(context, dict) and "n_ctx" in context else {})}
    return {"name": "unknown", **({"version": version["version"]} if "version" in version else {})}


async def _ask(client: AsyncOpenAI, url: str) -> str:
    """The text at an address of the server, empty where it has none."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            answer = await client.with_options(max_retries=0).get(url, cast_to=str)
    except (OpenAIError, TimeoutError):
        return ""
    return answer[:_LONGEST] if isinstance(answer, str) else json.dumps(answer)[:_LONGEST]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
