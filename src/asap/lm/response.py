"""What a server sent, read with care: the generation in a completion, whole or streamed, and what a list of models says."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from asap.errors import RowError
from asap.lm.fields import AnswerTooLarge, clean_text, count_in, json_in, list_in, object_in, word_in
from asap.lm.generate import Generation
from asap.lm.tokens import TokenCounter, count_tokens
from asap.message_parts import REASONING_KEYS, PartOfContent, first_of, part_of, split_parts, thinking_in

CUT_SHORT = "in the middle of a text"
"""The finish reason of a stream that ended without one."""
_LONGEST_TOKEN = 256  # characters: in no common vocabulary a token is longer
_SLACK = 1 << 16
_LONGEST_LINE = 1 << 20
_CONTEXT_NAMES = ("max_model_len", "context_length", "context_window")  # vLLM and SGLang, OpenRouter and Together, Groq


def read_generation(content: bytes, prompt_tokens: int, tokens: TokenCounter | None) -> Generation | None:
    """The generation in the body of a completion, of chat messages or of a plain prompt; None where none can be read.

    Where the server sends no usage, or one that cannot be, takes `prompt_tokens` and counts the rest, the thinking included.
    """
    data = object_in(json_in(content))
    choice = object_in(next(iter(list_in(data.get("choices"))), None))
    message = choice["message"] if "message" in choice else {"content": choice["text"]} if "text" in choice else None
    if not isinstance(message, dict):
        return None
    text, thought = _texts(message)
    finish_reason, usage = _finish_reason(choice) or "stop", object_in(data.get("usage"))
    read, written = count_in(usage.get("prompt_tokens"), 1), count_in(usage.get("completion_tokens"), 1 if text or thought else 0)
    if read is not None and written is not None:
        return Generation(text, finish_reason, read, written, thought=thought)
    return Generation(text, finish_reason, prompt_tokens, count_tokens(text + thought, tokens), counted_here=True, thought=thought)


def _finish_reason(choice: Mapping[str, Any]) -> str | None:
    given = choice.get("finish_reason")
    return (word_in(given) or "unknown") if given else None


class Streamed:
    """A completion that comes in pieces, of at most `max_tokens` tokens. `content` is the body that would have come in one piece."""

    def __init__(self, max_tokens: int) -> None:
        self._most = _SLACK + _LONGEST_TOKEN * max_tokens
        self._size = 0
        self._rest = bytearray()
        self._pieces: dict[str, list[str]] = {"content": [], "reasoning_content": []}
        self._finish_reason: str | None = None
        self._usage = dict[str, int | None]()
        self._error: bytes | None = None
        self.has_ended = False
        """Whether the server said that nothing more comes."""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes of the stream. Returns whether they brought text. Raises AnswerTooLarge."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest  # a line may come byte by byte
        if len(self._rest) > _LONGEST_LINE + self._most:
            raise AnswerTooLarge(f"a line of the stream has more than {_LONGEST_LINE + self._most:,} bytes")
        brought = [self._add_event(line[5:].strip()) for line in lines if line.startswith(b"data:")]
        return any(brought)

    def _add_event(self, data: bytes) -> bool:
        self.has_ended = self.has_ended or data == b"[DONE]"
        event = object_in(json_in(data))  # or nothing that can be read; if it mattered, no finish reason follows
        if "error" in event:
            self._error = data
        if usage := object_in(event.get("usage")):
            self._usage = {name: count_in(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")}
        brought = [self._add(object_in(choice)) for choice in list_in(event.get("choices"))[:1]]
        return any(brought)

    def _add(self, choice: Mapping[str, Any]) -> bool:
        texts = _texts(object_in(choice["delta"]) if "delta" in choice else {"content": choice.get("text")})
        for pieces, text in zip(self._pieces.values(), texts, strict=True):
            if text:
                pieces.append(text)
        self._size += sum(map(len, texts))
        if self._size > self._most:
            raise AnswerTooLarge(f"the stream goes on after {self._most:,} characters, and far fewer tokens were asked for")
        self._finish_reason = _finish_reason(choice) or self._finish_reason
        return any(texts)

    def content(self) -> bytes:
        """The whole body. A stream that ended without a reason says so in its finish reason."""
        if self._error is not None:
            return self._error
        message = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        choice = {"message": message, "finish_reason": self._finish_reason or CUT_SHORT}
        return json.dumps({"choices": [choice], "usage": self._usage}).encode()


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
    models = [entry for entry in list_in(object_in(json_in(content)).get("data")) if isinstance(entry, dict)]
    # A server with one model answers for it whatever it is called.
    named = [entry for entry in models if entry.get("id") == model] or (models if len(models) == 1 else [{}])
    meta = object_in(named[0].get("meta"))
    lengths = [*(named[0].get(name) for name in _CONTEXT_NAMES), meta.get("n_ctx"), meta.get("n_ctx_train")]
    context_tokens = next((number for length in lengths if (number := count_in(length, 1, 1 << 40))), None)
    root = word_in(named[0].get("root"))
    weights = root.rpartition("/")[2] if root and root.startswith("/") else root  # the folder is nobody's business
    return Served(word_in(named[0].get("owned_by")), context_tokens, weights)


def _texts(message: Mapping[str, Any]) -> tuple[str, str]:
    """The content of a message and the thinking beside it, each empty where it is missing."""
    content, inside = message.get("content"), ""
    if isinstance(content, list):
        inside, content = split_parts(part for value in content if (part := _part(value)))
    return clean_text(content), inside or _thought(first_of(message, REASONING_KEYS)[1])


def _part(value: object) -> PartOfContent | None:
    """A part of a content; None if it is neither text nor thinking."""
    try:
        text, is_thinking = part_of(value, "content")
    except (RowError, RecursionError):
        return None
    return PartOfContent(clean_text(text), is_thinking)


def _thought(value: object) -> str:
    try:
        return clean_text(thinking_in(value, "reasoning"))
    except (RowError, RecursionError):
        return ""
