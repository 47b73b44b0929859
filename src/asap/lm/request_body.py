"""The JSON of a request to a server of OpenAI's kind, as far as that server takes it."""

from collections.abc import Collection
from typing import Any

from asap.lm.generate import Request
from asap.lm.prompt import Prompt
from asap.lm.tokens import TokenCounter, count_prompt

_TEMPLATE_TOKENS = 64  # of the chat template around a message, a default system message included
_LEAST_ROOM = 64  # tokens; a prompt that leaves less than this is for the server to refuse


def request_body(
    model: str,
    request: Request,
    prompt: Prompt | None,
    *,
    left_out: Collection[str],
    context_tokens: int | None,
    tokens: TokenCounter | None,
    prompt_tokens: int | None,
) -> dict[str, Any]:
    """The body for /v1/chat/completions, or with a prompt of token ids for /v1/completions.

    `left_out` names what the server does not take: max_tokens (by that name), temperature, top_p, json_schema, json_object.
    max_tokens is bounded by what the context leaves: some servers refuse what could not fit together. `prompt_tokens` are those of the
    messages, exactly; they are estimated without.
    """
    most = request.max_new_tokens
    if prompt:
        room = most if context_tokens is None else min(most, context_tokens - len(prompt.ids))
        body: dict[str, Any] = {"model": model, "prompt": prompt.ids, "max_tokens": room}
    else:
        room = _room(request, context_tokens, tokens) if prompt_tokens is None else min(most, (context_tokens or 1 << 30) - prompt_tokens)
        limit = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
        body = {"model": model, "messages": [dict(message) for message in request.messages], limit: room}
    samplers = {"temperature": request.temperature, "top_p": request.top_p}
    body |= {name: value for name, value in samplers.items() if name not in left_out}
    if request.schema is not None and "json_schema" not in left_out:
        schema = {"name": "reply", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema is not None and "json_object" not in left_out and _says_json(request):
        body["response_format"] = {"type": "json_object"}
    return body


def _room(request: Request, context_tokens: int | None, tokens: TokenCounter | None) -> int:
    """The tokens that an estimated prompt leaves for the answer."""
    most = request.max_new_tokens
    if context_tokens is None:
        return most
    prompt_tokens = round(count_prompt(request.messages, tokens) * (1.02 if tokens else 1.2))
    return max(min(most, _LEAST_ROOM), min(most, context_tokens - prompt_tokens))


def fits_surely(request: Request, context_tokens: int) -> bool:
    """Whether prompt and answer fit into a context whatever the tokenizer: no token is shorter than a byte."""
    size = sum(len(message["content"].encode("utf-8", "replace")) + _TEMPLATE_TOKENS for message in request.messages)
    return size + request.max_new_tokens <= context_tokens


def _says_json(request: Request) -> bool:
    """Whether the prompt says json, without which servers refuse the json_object format."""
    return any("json" in message["content"].lower() for message in request.messages)
