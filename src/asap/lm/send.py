"""One HTTP request to a server of OpenAI's kind: sends a completion and reads the answer, whole or streamed."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from openai import APIStatusError, AsyncOpenAI, OpenAIError

from asap.lm.response import Streamed

_OWN = ("model", "messages", "prompt", "stream")


class Answer(NamedTuple):
    """Status, headers and body of an HTTP answer, and its times; status 0 and a word about it where none came."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    ttft_s: float | None = None
    seconds: float = 0.0


async def send_completion(client: AsyncOpenAI, body: Mapping[str, Any], *, timeout_s: float) -> Answer:
    """The answer to the body of a completion, of chat messages or of a plain prompt; whole within `timeout_s`, or none."""
    create = (client.completions if "prompt" in body else client.chat.completions).with_streaming_response.create
    own = {name: value for name, value in body.items() if name in _OWN}
    others = {name: value for name, value in body.items() if name not in _OWN}  # the SDK knows OpenAI's names only
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s), create(**own, extra_body=others) as answer:
            content, first_s = await _read_body(answer, started)
            return Answer(answer.status_code, answer.headers, content, first_s, time.perf_counter() - started)
    except TimeoutError:
        return Answer(0, {}, f"no whole answer within {timeout_s:g} s".encode())
    except APIStatusError as error:
        return Answer(error.status_code, error.response.headers, error.response.content)
    except OpenAIError as error:
        cause = error.__cause__ or error
        return Answer(0, {}, f"{type(cause).__name__}: {cause}".encode())


async def send_json(client: AsyncOpenAI, url: str, body: Mapping[str, Any], *, timeout_s: float) -> Answer:
    """The answer to a body sent to any address of the server, whole within `timeout_s`, or none."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            text = await client.post(url, cast_to=str, body=body)
            return Answer(200, {}, text.encode(), None, time.perf_counter() - started)
    except TimeoutError:
        return Answer(0, {}, f"no whole answer within {timeout_s:g} s".encode())
    except APIStatusError as error:
        return Answer(error.status_code, error.response.headers, error.response.content)
    except OpenAIError as error:
        cause = error.__cause__ or error
        return Answer(0, {}, f"{type(cause).__name__}: {cause}".encode())


async def _read_body(answer: Any, started: float) -> tuple[bytes, float | None]:
    """The body of an answer, streamed or whole, and the seconds to its first token (None: not streamed)."""
    streamed, first_s = Streamed(), None
    try:
        if "text/event-stream" not in answer.headers.get("content-type", ""):
            return await answer.read(), None
        async for data in answer.iter_bytes():
            if streamed.feed(data) and first_s is None:
                first_s = time.perf_counter() - started
    except Exception as error:  # border: the HTTP library below the SDK has errors of its own
        raise OpenAIError from error
    return streamed.content(), first_s
