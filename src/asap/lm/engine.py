"""What a server says about itself: its engine and version, the longest text, the numbers' type, whether it keeps prefixes."""

import re
from collections.abc import Mapping
from typing import Any

from asap.lm.fields import count_in, json_in, object_in, scalar_in, word_in

_VLLM = ("enable_prefix_caching", "cache_dtype", "gpu_memory_utilization")
_SGLANG = ("version", "dtype", "model_path", "disable_radix_cache", "context_length", "quantization", "kv_cache_dtype", "attention_backend")
_LONGEST_CONFIG = 10_000  # characters
_LLAMA = ("build_info", "model_path", "total_slots")


_OFF = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
NEUTRAL: Mapping[str, Mapping[str, float]] = {"vllm": _OFF, "sglang": _OFF}
"""By engine, the samplers that it takes from the model's own files where a request leaves them out, at the values that do nothing."""


ENGINE_PATHS = ("version", "metrics", "get_server_info", "props")


def read_engine(answers: dict[str, str]) -> dict[str, Any]:
    """The engine's settings in its answers by path: vLLM (/version, /metrics), SGLang (/get_server_info), llama.cpp (/props)."""
    version, sglang, llama = (_settings_in(answers.get(name, "")) for name in ("version", "get_server_info", "props"))
    cache = re.search(r"^vllm:cache_config_info\{(.*)\}", answers.get("metrics", ""), re.MULTILINE)
    if cache or "vllm:" in answers.get("metrics", ""):
        config = dict(re.findall(r'(\w+)="([^"]*)"', cache[1][:_LONGEST_CONFIG])) if cache else {}
        kept = {name: config[name] for name in _VLLM if word_in(config.get(name))}
        return {"name": "vllm", **({"version": version["version"]} if "version" in version else {}), **kept}
    for settings in (sglang, llama):
        if isinstance(settings.get("model_path"), str):
            settings["model_path"] = settings["model_path"].rpartition("/")[2]  # the folder is nobody's business
    if "disable_radix_cache" in sglang:
        return {"name": "sglang", **{name: sglang[name] for name in _SGLANG if name in sglang}}
    if "build_info" in llama or "total_slots" in llama:
        context = count_in(object_in(object_in(json_in(answers.get("props", ""))).get("default_generation_settings")).get("n_ctx"))
        return {"name": "llama.cpp", **{name: llama[name] for name in _LLAMA if name in llama}, **({"n_ctx": context} if context else {})}
    return {"name": "unknown", **({"version": version["version"]} if "version" in version else {})}


def _settings_in(text: str) -> dict[str, Any]:
    """The settings in a page that are words, numbers, or true or false."""
    found = {name: scalar_in(value) for name, value in object_in(json_in(text)).items()}
    return {name: value for name, value in found.items() if value is not None}


def engine_name(engine: Mapping[str, Any]) -> str:
    """The engine's name and version, for people to read."""
    name = "an unknown engine" if engine.get("name", "unknown") == "unknown" else engine["name"]
    return f"{name} {engine.get('version') or engine.get('build_info') or ''}".rstrip()


def prefix_caching(identity: Mapping[str, Any]) -> str:
    """`on`, `off` or `unknown`: whether the engine of a generator keeps what it read of a prompt for the next one that begins alike."""
    engine, samplers = identity.get("engine") or {}, identity.get("samplers") or {}
    if "enable_prefix_caching" in engine:
        return "on" if engine["enable_prefix_caching"] == "True" else "off"
    if "disable_radix_cache" in engine:
        return "off" if engine["disable_radix_cache"] else "on"
    return "off" if engine.get("name") == "transformers" or samplers.get("cache_prompt") is False else "unknown"
