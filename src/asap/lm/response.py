"""What a server sent, read with care: the generation in a completion, whole or streamed, and what a list of models says."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from asap.errors import RowError
from asap.lm.generate import Generation
from asap.lm.tokens import TokenCounter, count_tokens
from asap.message_parts import REASONING_KEYS, PartOfContent, first_of, part_of, split_parts, thinking_in

CUT_SHORT = "in the middle of a text"
"""The finish reason of a stream that ended without one."""
_CONTEXT_NAMES = ("max_model_len", "context_length", "context_window")  # vLLM and SGLang, OpenRouter and Together, Groq


def read_generation(content: bytes, prompt_tokens: int, tokens: TokenCounter | None) -> Generation | None:
    """The generation in the body of a completion, of chat messages or of a plain prompt; None where none can be read.

    Where the server sends no usage, takes `prompt_tokens` and counts the rest, the thinking included.
    """
    try:
        data = json.loads(content)
        choice = data["choices"][0]
        text, thought = _texts(choice["message"] if "message" in choice else {"content": choice["text"]})
        finish_reason = str(choice.get("finish_reason") or "stop")
        usage = data.get("usage") or {}
        counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if isinstance(counts[0], int) and isinstance(counts[1], int):
        return Generation(text, finish_reason, counts[0], counts[1], thought=thought)
    return Generation(text, finish_reason, prompt_tokens, count_tokens(text + thought, tokens), counted_here=True, thought=thought)


class Streamed:
    """A completion that comes in pieces. `content` is the body that would have come in one piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._pieces: dict[str, list[str]] = {"content": [], "reasoning_content": []}
        self._finish_reason: str | None = None
        self._usage: Any = None
        self._error: Any = None

    def feed(self, data: bytes) -> bool:
        """Take the next bytes of the stream. Returns whether they brought text."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        brought = [self._add_event(line[5:]) for line in lines if line.startswith(b"data:")]
        return any(brought)

    def _add_event(self, data: bytes) -> bool:
        try:
            event = json.loads(data)
            if "error" in event:
                self._error = event
            self._usage = event.get("usage") or self._usage
            brought = [self._add(choice) for choice in event.get("choices") or []]
            return any(brought)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False  # [DONE], or nothing that can be read; if it mattered, no finish reason follows

    def _add(self, choice: Mapping[str, Any]) -> bool:
        texts = _texts(choice["delta"] if "delta" in choice else {"content": choice.get("text")})
        for pieces, text in zip(self._pieces.values(), texts, strict=True):
            pieces.append(text)
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return any(texts)

    def content(self) -> bytes:
        """The whole body. A stream that ended without a reason says so in its finish reason."""
        message = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        choice = {"message": message, "finish_reason": self._finish_reason or CUT_SHORT}
        return json.dumps(self._error or {"choices": [choice], "usage": self._usage}).encode()


class Served(NamedTuple):
    """The server's own name, the context of the model, and what the server calls its weights, as far as its list of models says."""

    server: str | None = None
    context_tokens: int | None = None
    weights: str | None = None


def read_model(content: bytes, model: str) -> Served:
    """What a server's list of models says.

    vLLM and SGLang name both; llama.cpp puts the context under `meta`, its own or at least that of the model's training;
    DeepSeek and OpenAI only name the owner.
    """
    try:
        models = [entry for entry in json.loads(content)["data"] if isinstance(entry, dict)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return Served()
    # A server with one model answers for it whatever it is called.
    named = [entry for entry in models if entry.get("id") == model] or (models if len(models) == 1 else [{}])
    server, meta = named[0].get("owned_by"), named[0].get("meta")
    meta = meta if isinstance(meta, dict) else {}
    lengths = [*(named[0].get(name) for name in _CONTEXT_NAMES), meta.get("n_ctx"), meta.get("n_ctx_train")]
    context_tokens = next((number for number in lengths if isinstance(number, int) and number > 0), None)
    root = named[0].get("root")
    weights = root.rpartition("/")[2] if isinstance(root, str) and root.startswith("/") else root  # the folder is nobody's business
    return Served(server if isinstance(server, str) else None, context_tokens, weights if isinstance(weights, str) else None)


def _texts(message: Mapping[str, Any]) -> tuple[str, str]:
    """The content of a message and the thinking beside it, each empty where it is missing."""
    content, inside = message.get("content"), ""
    if isinstance(content, list):
        inside, content = split_parts(part for value in content if (part := _part(value)))
    return _valid(content), inside or _thought(first_of(message, REASONING_KEYS)[1])


def _part(value: object) -> PartOfContent | None:
    """A part of a content; None if it is neither text nor thinking."""
    try:
        text, is_thinking = part_of(value, "content")
    except RowError:
        return None
    return PartOfContent(_valid(text), is_thinking)


def _thought(value: object) -> str:
    try:
        return _valid(thinking_in(value, "reasoning"))
    except RowError:
        return ""


def _valid(text: object) -> str:
    """A text without halves of surrogate pairs: another prompt could not carry them."""
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""
