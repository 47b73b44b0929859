"""An answer without a generation: what the server said, without secrets, and what that means for the next try."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from asap.errors import AsapError
from asap.lm.fields import clean_text, count_in, json_in, word_in
from asap.lm.generate import EndpointError, RequestRefused

KEPT = "what was answered is kept, and the same command goes on"
_LONGEST_SAID = 300
_MOST_READ = 1 << 16
SAMPLERS = ("top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "top_p", "temperature")
_SHORTEST_SECRET = 6  # of a query: `v=1` is none
_CONTENT = re.compile(r"content[ _](filter|policy|management|exists)|moderation|flagged")
_CONTEXT = re.compile(r"context[ _](length|size|window)")
_TOO_LONG = re.compile(r"context|too (long|large|many tokens)|max(imum)?[ _](completion[ _])?tokens|reduce the length")
_BROKE = re.compile(r"insufficient[ _](quota|balance|credit|funds)")
_NOT_TAKEN = re.compile(
    r"unsupported|not support|only the default|deprecated|not (allowed|permitted|available)|cannot (be|both)"
    r"|unrecognized|unknown|extra |instead"
)
_FORMAT = re.compile(r"response[_ ]format|json[_ ](schema|object)|structured|grammar|guided")


class Secrets:
    """The key and what the address holds of credentials; takes them out of texts. Has no other way to show them."""

    def __init__(self, key: str, url: str) -> None:
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        queried = [value for _, value in parse_qsl(parts.query) if len(value) >= _SHORTEST_SECRET]
        pieces = [key, login, *login.split(":", 1), *queried]
        plain = [unquote(piece) for piece in pieces]
        coded = base64.b64encode(unquote(login).encode()).decode() if login else ""
        self._secrets = sorted({piece for piece in (*pieces, *plain, coded) if piece}, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """The text with each secret, and whatever else looks like a key, replaced."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return re.sub(r"\bsk-[\w*.-]{4,}", "***", text)


@dataclass(frozen=True)
class ApiError:
    """`status` is the HTTP status, 0 where no whole answer came. `said` is one line of the server's words, without secrets."""

    status: int
    said: str
    headers: Mapping[str, str] = field(default_factory=dict)
    words: str = ""  # type, code, parameter and message, in lower case
    is_final: bool = False
    """The same request would only bring the same again, and be paid for again."""

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], content: bytes, secrets: Secrets) -> "ApiError":
        """What an answer without a reply says; an error that comes with status 200 counts as the status that it names."""
        text = content[:_MOST_READ].decode("utf-8", "replace")
        data = json_in(text)
        error = data.get("error") or data if isinstance(data, dict) else text
        details: dict[str, Any] = error if isinstance(error, dict) else {"message": error}
        if 200 <= status < 300:
            status = count_in(details.get("code"), 400, 599) or 502
        message = details.get("message") or details.get("detail") or text
        said = clean_text(message) or (text if isinstance(message, str) else json.dumps(message))
        said = re.sub(r"<[^<>]*>", " ", said) if said.lstrip().startswith("<") else said
        said = secrets.mask(" ".join(said.split()))
        words = " ".join(word_in(details.get(name)) or "" for name in ("type", "code", "param")) + " " + said
        return cls(status, said[:_LONGEST_SAID], headers, words.lower())

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.said}" if self.status else self.said

    @property
    def passes(self) -> bool:
        """Whether the same request may work later."""
        return not self.is_final and (self.status in (0, 408, 409) or self.status >= 500) and not _CONTEXT.search(self.words)

    @property
    def is_rate_limit(self) -> bool:
        """Whether the server wants fewer requests; not where the account is empty or the request too large by itself."""
        return self.status == 429 and not _BROKE.search(self.words) and "request too large" not in self.words

    def not_taken(self, body: Mapping[str, Any]) -> str | None:
        """The part of the request's body that the server does not know or want, as far as it says so; a format by its type."""
        if self.status not in (400, 422):
            return None
        refuses = _NOT_TAKEN.search(self.words)
        if refuses and "max_tokens" in body and "max_completion_tokens" in self.words:
            return "max_tokens"
        if _CONTEXT.search(self.words):
            return None
        for name in SAMPLERS:
            ours = name not in ("top_p", "temperature")  # a neutral value, so whatever is wrong with it, the request can do without
            if (refuses or ours) and name in body and name in self.words:
                return name
        if "response_format" in body and _FORMAT.search(self.words):
            kind: str = body["response_format"]["type"]
            return kind
        return None

    def error(self, host: str, model: str) -> AsapError:
        """What to raise for an error that does not pass."""
        if self.status in (400, 403, 422) and _CONTENT.search(self.words):
            return RequestRefused("content_filter", self.said)
        if self.status in (401, 403):
            return EndpointError(f"{host} refused access; check the key in the environment variable OPENAI_API_KEY ({self})")
        if self.status == 402 or (self.status == 429 and _BROKE.search(self.words)):
            return EndpointError(f"the account at {host} has no money left ({self}); {KEPT} when there is some")
        if self.status in (404, 405, 410) or self.status < 400:
            return EndpointError(f"{host} has no model {model!r}, or answers no such requests at this address ({self})")
        if self.status in (413, 429) or _TOO_LONG.search(self.words):
            return RequestRefused("context_too_long", self.said)
        return RequestRefused("bad_request", self.said)
