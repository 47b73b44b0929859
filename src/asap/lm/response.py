"""What a server sent, read with care: the reply in the body of a chat completion, and what a list of models tells."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asap.lm.generate import Generation
from asap.lm.tokens import count_tokens
from asap.think import strip_think

if TYPE_CHECKING:
    from asap.lm.tokens import TokenCounter

_CONTEXT_NAMES = ("max_model_len", "context_length", "context_window")  # vLLM and SGLang, OpenRouter and Together, Groq


def read_reply(content: bytes, prompt_tokens: int, tokens: "TokenCounter | None") -> Generation | None:
    """The reply in the body of a chat completion, None where there is none to be read.

    Where the server tells no usage, `prompt_tokens` is taken and the rest is counted, its thinking included.
    """
    try:
        data = json.loads(content)
        choice = data["choices"][0]
        text, thought = _texts(choice["message"])
        finish_reason = str(choice.get("finish_reason") or "stop")
        usage = data.get("usage") or {}
        told = usage.get("prompt_tokens"), usage.get("completion_tokens")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if isinstance(told[0], int) and isinstance(told[1], int):
        return Generation(strip_think(text, opened=None), finish_reason, told[0], told[1])
    return Generation(strip_think(text, opened=None), finish_reason, prompt_tokens, count_tokens(text + thought, tokens), counted_here=True)


def read_model(content: bytes, model: str) -> tuple[str | None, int | None]:
    """From a server's list of models: the server's own name and the context of the model, as far as they are told.

    vLLM and SGLang tell both; llama.cpp tells the context under `meta`, its own or at least that of the model's training;
    DeepSeek and OpenAI only name the owner.
    """
    try:
        models = [entry for entry in json.loads(content)["data"] if isinstance(entry, dict)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None, None
    # A server with one model answers for it whatever it is called.
    named = [entry for entry in models if entry.get("id") == model] or (models if len(models) == 1 else [{}])
    server, meta = named[0].get("owned_by"), named[0].get("meta")
    meta = meta if isinstance(meta, dict) else {}
    told = [*(named[0].get(name) for name in _CONTEXT_NAMES), meta.get("n_ctx"), meta.get("n_ctx_train")]
    context_tokens = next((number for number in told if isinstance(number, int) and number > 0), None)
    return server if isinstance(server, str) else None, context_tokens


def _texts(message: Mapping[str, Any]) -> tuple[str, str]:
    """The content of a message and the thinking beside it, each empty where there is none."""
    content, thought = message.get("content"), message.get("reasoning_content") or message.get("reasoning")
    if isinstance(content, list):  # parts, of which some may be thinking
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return _valid(content), _valid(thought)


def _valid(text: object) -> str:
    """A text without halves of surrogate pairs: what is no Unicode could not be sent on in another prompt."""
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""
