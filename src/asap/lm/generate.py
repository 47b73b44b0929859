"""What it takes to have a language model write: a `Request`, the `Generation` that comes back, and the `Generator` that makes it.

Stage 1 (paper §3.2) and `asap evaluate` use the same protocol. It answers one request at a time and not a list of them: stage 1's
coroutines each ask one request after another, so only the generator sees which requests wait together. One that gains from company
(a GPU, a provider's batches) collects them itself; whoever has a list starts all requests at once and takes each generation as it
comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from asap.digest import content_digest
from asap.errors import AsapError, InputError
from asap.lm.tokens import TokenCounter
from asap.think import strip_think
from asap.think_tags import CLOSED, OPENED, TAGS, TagTable

MIN_P = 0.05
"""Local models never draw what is less likely than this share of the likeliest token, judged before the temperature."""


@dataclass(frozen=True, slots=True)
class Request:
    """Chat messages for a model to answer.

    `max_new_tokens` bounds the answer, the model's thinking included. At `temperature` 0 the model takes the likeliest token.
    `schema` is a JSON schema that the answer follows where the generator can enforce it; elsewhere it is a wish. `draw` tells
    equal requests apart that want different answers; `kind` says what the request is for.
    """

    messages: Sequence[Mapping[str, str]]
    max_new_tokens: int
    temperature: float
    top_p: float = 1.0
    schema: Mapping[str, Any] | None = None
    draw: int = 0
    kind: str = "chat"

    def key(self, model: str) -> str:
        """Hex SHA-256 of model and request: the name under which its answer is stored. Stored answers fix the names in it."""
        fields = {"messages": [dict(message) for message in self.messages], "max_tokens": self.max_new_tokens}
        fields |= {"temperature": self.temperature, "top_p": self.top_p, "schema": self.schema, "draw": self.draw, "kind": self.kind}
        return content_digest(model, fields)


class Generation(NamedTuple):
    """What a model wrote.

    `text` is what it wrote behind the prompt, `thought` the thinking that a server sent apart from it. `opened`: the tag with which
    the prompt opened a thought at its end, empty if it did not (None: a chat server does not say). `finish_reason` is the server's
    word: "stop", "length" (out of tokens), "content_filter" or another. `counted_here`: the server sent no token counts, so these are
    ours. `context_ran_out`: the model's context left less room than was asked for. `seconds` runs from sending the request to the last
    token, `ttft_s` to the first one (None: not measured).
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    counted_here: bool = False
    thought: str = ""
    opened: str | None = None
    context_ran_out: bool = False
    ttft_s: float | None = None
    seconds: float = 0.0

    def answered(self, table: TagTable = TAGS) -> "Generation":
        """The generation without thinking and without times; its text is empty where the thinking never ends."""
        text = strip_think(self.text, opened=None if self.opened is None else bool(self.opened), table=table)
        return Generation(text, self.finish_reason, self.prompt_tokens, self.completion_tokens, self.counted_here)

    def whole(self) -> str:
        """Thinking and answer in one text with both tags, whoever wrote the opening one; a thought without an answer stays open."""
        thought = OPENED + self.thought + (CLOSED if self.text else "\n") if self.thought else ""
        return (f"{self.opened}\n" if self.opened else "") + thought + self.text


class RequestRefused(AsapError):
    """The model will not answer this request, now or later; others may work. `reason` is a short code, `detail` a sentence.

    Reasons: `context_too_long`, `bad_request`, `content_filter`, `server_error` (retries used up). `prompt_tokens` and `opened` are
    those of a Generation, as far as they are known.
    """

    def __init__(self, reason: str, detail: str, prompt_tokens: int = 0, opened: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.prompt_tokens = prompt_tokens
        self.opened = opened


class EndpointError(InputError):
    """No request can work until the user changes something (key, model name, address, balance) or the server comes back."""


class SpendingStop(AsapError):
    """A limit on money or requests is reached; what was answered is kept, and the same command with a higher limit goes on."""


class Generator(Protocol):
    """A model that writes: behind a server, in this process, or a file of former generations in front of one.

    Use it inside `async with`, in one event loop at a time. `model` names the model in stored generations: equal names mean equal
    models. `identity` describes it for the manifest. `context_tokens` bounds prompt and generation together (None: unknown, perhaps
    until it was entered). `concurrency` is how many requests may profitably wait at once. `tokens` counts as the model does (None:
    its tokenizer is not at hand). `resumes`: a request that is interrupted goes on elsewhere, and a later run takes it up.
    """

    model: str
    identity: Mapping[str, Any]
    context_tokens: int | None
    concurrency: int
    tokens: TokenCounter | None
    resumes: bool

    async def __aenter__(self) -> "Generator": ...

    async def __aexit__(self, *error: object) -> None: ...

    async def generate(self, request: Request) -> Generation:
        """What the model writes. Raises RequestRefused (this request), EndpointError (any request) or SpendingStop."""
        ...
