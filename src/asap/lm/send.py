"""One HTTP request to a server of OpenAI's kind: sends a completion and reads the answer, whole or streamed.

Every answer is bounded in bytes (`bounded_client`), a completion by the tokens that were asked for, and in seconds, from the first byte
sent to the last one received.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from asap.lm.bounded_client import at_most
from asap.lm.fields import AnswerTooLarge
from asap.lm.generate import EndpointError
from asap.lm.response import Streamed

_OWN = ("model", "messages", "prompt", "stream")
_LIMITS = ("max_tokens", "max_completion_tokens")
_ROOM = 1 << 20  # bytes of an answer beside its tokens
_BYTES_PER_TOKEN = 512  # of a whole answer, with everything escaped
_BYTES_PER_EVENT = 4096  # of a stream, which has an event for each token
_SILENCE_S = 600.0  # without more text in a stream, whatever else comes
_SHARE_OF_WAITING = 0.25  # of the whole time, before the first text: others may be served first, and a long prompt is read


class Answer(NamedTuple):
    """Status, headers and body of an HTTP answer, and its times; status 0 and a word about it where none came.

    `is_too_large`: it broke off at its bound. `fatal` is one sentence where no request can work: a redirect to another host, or a
    certificate that is not trusted.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    ttft_s: float | None = None
    seconds: float = 0.0
    is_too_large: bool = False
    fatal: str = ""


async def send_completion(client: AsyncOpenAI, body: Mapping[str, Any], *, timeout_s: float) -> Answer:
    """The answer to the body of a completion, of chat messages or of a plain prompt; whole within `timeout_s`, or none."""
    create = (client.completions if "prompt" in body else client.chat.completions).with_streaming_response.create
    own = {name: value for name, value in body.items() if name in _OWN}
    others = {name: value for name, value in body.items() if name not in _OWN}  # the SDK knows OpenAI's names only
    max_tokens = next(body[name] for name in _LIMITS if name in body)
    size = _ROOM + max_tokens * (_BYTES_PER_EVENT if body.get("stream") else _BYTES_PER_TOKEN)
    started = time.perf_counter()
    try:
        with at_most(size):
            async with asyncio.timeout(timeout_s), create(**own, extra_body=others) as answer:
                content, first_s = await _read_body(answer, started, max_tokens, timeout_s)
                return Answer(answer.status_code, answer.headers, content, first_s, time.perf_counter() - started)
    except TimeoutError:
        return _no_answer(f"no whole answer within {timeout_s:g} s")
    except OpenAIError as error:
        return _failed(error)


async def send_json(client: AsyncOpenAI, url: str, body: Mapping[str, Any] | None, *, timeout_s: float, most: int) -> Answer:
    """The answer of at most `most` bytes to a body sent to any address of the server, or without one to a question for its page."""
    started = time.perf_counter()
    try:
        with at_most(most):
            async with asyncio.timeout(timeout_s):
                asked = client.get(url, cast_to=httpx2.Response) if body is None else client.post(url, cast_to=httpx2.Response, body=body)
                answer = await asked
                return Answer(answer.status_code, answer.headers, answer.content, None, time.perf_counter() - started)
    except TimeoutError:
        return _no_answer(f"no whole answer within {timeout_s:g} s")
    except OpenAIError as error:
        return _failed(error)


def _no_answer(said: str) -> Answer:
    return Answer(0, {}, said.encode("utf-8", "replace"))


def _failed(error: OpenAIError) -> Answer:
    """What stands for an answer that the SDK makes an error of."""
    if isinstance(error, APIStatusError):
        return Answer(error.status_code, error.response.headers, error.response.content)
    cause = error.__cause__ or error
    if isinstance(cause, AnswerTooLarge):
        return _no_answer(str(cause))._replace(is_too_large=True)
    answer = _no_answer(f"{type(cause).__name__}: {cause}")
    if isinstance(cause, EndpointError):
        return answer._replace(fatal=str(cause))
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        reason = str(cause).partition("CERTIFICATE_VERIFY_FAILED] ")[2].partition(" (_ssl")[0]
        return answer._replace(
            fatal=f"the certificate of the server is not trusted ({reason}); check the address of --base-url, or name the file of the "
            "authority that signed it in the environment variable SSL_CERT_FILE"
        )
    return answer


async def _read_body(answer: Any, started: float, max_tokens: int, timeout_s: float) -> tuple[bytes, float | None]:
    """The body of an answer, streamed or whole, and the seconds to its first token (None: not streamed)."""
    streamed, first_s, now = Streamed(max_tokens), None, asyncio.get_running_loop().time
    try:
        if "text/event-stream" not in answer.headers.get("content-type", ""):
            return await answer.read(), None
        async with asyncio.timeout(max(_SILENCE_S, _SHARE_OF_WAITING * timeout_s)) as silence:
            async for data in answer.iter_bytes():
                if streamed.feed(data):
                    silence.reschedule(now() + _SILENCE_S)
                    first_s = time.perf_counter() - started if first_s is None else first_s
                if streamed.has_ended:
                    break
    except TimeoutError:
        raise OpenAIError from TimeoutError("the stream goes on without text")
    except Exception as error:  # border: the HTTP library below the SDK has errors of its own
        raise OpenAIError from error
    return streamed.content(), first_s
