"""Asking a language model to write: a request, its reply, and what can go wrong. Who answers is a `Completer`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from asap.errors import AsapError, InputError
from asap.sample import content_digest

if TYPE_CHECKING:
    from asap.lm.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model, as the model is meant to see it; how a server is told is the completer's business.

    `max_tokens` bounds the reply, the server's own thinking included. `schema` is a JSON schema that the reply follows where
    the completer can see to it; elsewhere it is a wish. `draw` tells equal requests apart that are to be answered anew, `kind`
    says what it is for.
    """

    messages: Sequence[Mapping[str, str]]
    max_tokens: int
    temperature: float
    top_p: float = 1.0
    schema: Mapping[str, Any] | None = None
    draw: int = 0
    kind: str = "chat"

    def key(self, model: str) -> str:
        """Hex SHA-256 of the request to a model: the name under which its reply is kept."""
        return content_digest(model, asdict(self))


class Reply(NamedTuple):
    """What came back. `text` is without the server's own thinking, and empty where the server sent none.

    `finish_reason` is the server's word: "stop", "length" (cut off at max_tokens), "content_filter" or another. Token counts
    are the server's; where it sends none they are counted here and `counted_here` is true.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    counted_here: bool = False


class RequestRefused(AsapError):
    """The model will not answer this request, now or later; others may work. `reason` is a short code, `detail` a sentence.

    Reasons: `context_too_long`, `bad_request`, `content_filter`, `server_error` (retries used up).
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class EndpointError(InputError):
    """No request can work until the user changes something (key, model name, address, balance) or the server comes back."""


class SpendingStop(AsapError):
    """A limit on money or requests is reached; what was answered is kept, and the same command with a higher limit goes on."""


class Completer(Protocol):
    """Something that answers chat requests: a server, a model in this process, a store of former replies in front of one.

    Use it inside `async with`, one event loop at a time. `model` names the model in stored replies: equal names mean equal
    models. `context_tokens` is how many tokens prompt and reply may have together (None: unknown). `concurrency` is how
    many requests may wait at once with profit. `tokens` counts as the model does (None: its tokenizer is not at hand).
    """

    model: str
    identity: Mapping[str, str]
    context_tokens: int | None
    concurrency: int
    tokens: "TokenCounter | None"

    async def __aenter__(self) -> "Completer": ...

    async def __aexit__(self, *error: object) -> None: ...

    async def complete(self, request: ChatRequest) -> Reply:
        """The reply. Raises RequestRefused (this request), EndpointError (any request) or SpendingStop."""
        ...
