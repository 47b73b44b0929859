"""A provider's batches (`/v1/files` and `/v1/batches`, as OpenAI has them) as a generator: slow, often at half the price, resumable.

Gathers requests until nobody asks for more, hands them in as one file, and waits for it. A file of the output folder remembers which
batches are out, so a run that was killed waits for the same batch again instead of paying for another one. A request that the server
lost, or did not get to in time, goes into the next batch.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from openai import APIStatusError, AsyncOpenAI, OpenAIError

from asap.digest import content_digest
from asap.lm.api_error import KEPT, ApiError
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.open_batches import OpenBatches
from asap.lm.openai import TRIES, OpenAIGenerator
from asap.lm.tokens import count_prompt

_T = TypeVar("_T")
_AT_ONCE = 10_000  # requests in a batch; OpenAI takes 50,000 and 200 MB
_MOST_BYTES = 100 * 2**20
_QUIET_S = 0.5  # without a new request: everybody waits for an answer now
_POLL_S = 30.0
_LISTED = 100  # of the latest batches
_INTENT = "intent:"  # a batch of which only its content is known: the run was killed while it was handed in
_ENDED = ("completed", "expired", "cancelled", "failed")


class _Line(NamedTuple):
    """What came back for a request."""

    status: int
    body: Any


class _Waiting(NamedTuple):
    """A request that is to be answered; None is the answer to one that its batch came back without."""

    body: Mapping[str, Any]
    answer: "asyncio.Future[_Line | None]"


class BatchGenerator:
    """A Generator that hands requests in as batches, which `folder` remembers. Everything else is the server's."""

    resumes = True

    def __init__(
        self, server: OpenAIGenerator, folder: Path | None = None, *, poll_s: float = _POLL_S, log: Callable[[str], None] | None = None
    ) -> None:
        self.server = server
        self.model, self.tokens, self.context_tokens = server.model, server.tokens, server.context_tokens
        self.identity: Mapping[str, Any] = server.identity
        self.concurrency = _AT_ONCE
        self._folder = folder
        self._poll_s = poll_s
        self._log = log or (lambda text: print(text, file=sys.stderr))

    async def __aenter__(self) -> "BatchGenerator":
        await self.server.__aenter__()
        self.context_tokens = self.server.context_tokens
        self._closing = ExitStack()
        self._waiting: dict[str, _Waiting] = {}
        self._asked = asyncio.Event()
        self._driver: asyncio.Task[None] | None = None
        try:
            self._batches = self._closing.enter_context(OpenBatches.open(self._folder))
            await self._take_up()
        except BaseException:
            await self.__aexit__()
            raise
        self._driver = asyncio.create_task(self._drive())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._driver:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        self._closing.close()
        await self.server.__aexit__(*error)

    async def generate(self, request: Request) -> Generation:
        """What the model writes, when its batch has come back. Raises RequestRefused, EndpointError or SpendingStop."""
        server, key, prompt_tokens = self.server, request.key(self.model), count_prompt(request.messages, self.server.tokens)
        if (body := self._batches.answer(key)) is not None:  # of a former run, which could not count it
            found = self._read(_Line(200, body), prompt_tokens)
            if isinstance(found, Generation):
                server.spending.begin(1, found.prompt_tokens, found.completion_tokens)
                return found
        for _ in range(TRIES):
            async with server.spending.reserve(prompt_tokens, request.max_new_tokens) as reservation:
                waiting = self._waiting[key] = _Waiting(server.body(request), asyncio.get_running_loop().create_future())
                self._asked.set()
                outcome = self._read(await waiting.answer, prompt_tokens)
                if isinstance(outcome, Generation):
                    server.spending.settle(reservation, outcome.prompt_tokens, outcome.completion_tokens)
                    return outcome
                server.spending.settle(reservation, 0, 0)  # a request without an answer costs nothing
            if name := outcome.not_taken(waiting.body):
                server.leave_out([name])
            elif not outcome.passes and not outcome.is_rate_limit:
                raise outcome.error(server.host, self.model)
        raise RequestRefused("server_error", f"{TRIES} batches came back without a reply to it")

    def _read(self, line: _Line | None, prompt_tokens: int) -> Generation | ApiError:
        if line is None:
            return ApiError(0, "the batch came back without it")
        return self.server.read(line.status, {}, json.dumps(line.body).encode(), prompt_tokens)

    async def _drive(self) -> None:
        """Whenever everybody waits, hands in what there is. An error ends every request that waits."""
        while True:
            await self._asked.wait()
            count = -1
            while len(self._waiting) != count:
                count = len(self._waiting)
                await asyncio.sleep(_QUIET_S)
            self._asked.clear()
            try:
                while chunk := self._next_chunk():
                    lines = await self._hand_in(chunk)
                    for key in chunk:
                        self._settle(key, lines.get(key))
            except Exception as error:  # raised to everyone who waits
                for key in list(self._waiting):
                    self._settle(key, error)

    def _settle(self, key: str, outcome: _Line | Exception | None) -> None:
        answer = self._waiting.pop(key).answer
        if answer.done():  # cancelled meanwhile
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _next_chunk(self) -> dict[str, bytes]:
        """The lines of the next batch by key: as many as fit in one."""
        chunk, size = dict[str, bytes](), 0
        for key, waiting in self._waiting.items():
            line = json.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": waiting.body}).encode()
            if chunk and (size + len(line) > _MOST_BYTES or len(chunk) >= _AT_ONCE):
                break
            chunk[key], size = line, size + len(line) + 1
        return chunk

    async def _hand_in(self, chunk: Mapping[str, bytes]) -> dict[str, _Line]:
        """Hand in a batch and wait for it."""
        mark = content_digest(sorted(chunk))[:32]
        self._batches.add(_INTENT + mark, len(chunk))  # before anything is paid for: a kill from here on is noticed
        content = b"\n".join(chunk.values()) + b"\n"
        file = await self._call(lambda client: client.files.create(file=("requests.jsonl", content), purpose="batch"))
        wanted = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"asap": mark}}
        try:
            batch_id = (await self._call(lambda client: client.batches.create(**wanted), tries=1)).id  # type: ignore[arg-type]
        except EndpointError:  # the server may have taken it and only the answer was lost
            found = await self._find(mark)
            batch_id = found or (await self._call(lambda client: client.batches.create(**wanted))).id  # type: ignore[arg-type]
        self._batches.add(batch_id, len(chunk))
        self._batches.close(_INTENT + mark)
        self._log(f"handed in batch {batch_id} with {len(chunk):,} requests")
        return await self._collect(batch_id)

    async def _take_up(self) -> None:
        """Wait for the batches that a former run handed in."""
        for name, requests in self._batches.all().items():
            batch_id = await self._find(name.removeprefix(_INTENT)) if name.startswith(_INTENT) else name
            if batch_id is not None:
                self._log(f"waiting for batch {batch_id} with {requests:,} requests of a former run")
                try:
                    await self._collect(batch_id)
                except _Unknown:
                    self._log(f"{self.server.host} knows no batch {batch_id} any more: its requests are asked anew")
            self._batches.close(name)

    async def _find(self, mark: str) -> str | None:
        """The batch that was handed in with a mark, if it was."""
        batches = await self._call(lambda client: client.batches.list(limit=_LISTED))
        return next((batch.id for batch in batches.data if (batch.metadata or {}).get("asap") == mark), None)

    async def _collect(self, batch_id: str) -> dict[str, _Line]:
        """Wait for a batch, store its answers and forget it. Returns what came back, by key."""
        logged = ""
        while (batch := await self._call(lambda client: client.batches.retrieve(batch_id))).status not in _ENDED:
            counts = batch.request_counts
            state = f"{batch.status}, {counts.completed:,} of {counts.total:,} done" if counts else batch.status
            if state != logged:
                self._log(f"batch {batch_id}: {state}")
            logged = state
            await asyncio.sleep(self._poll_s)
        if batch.status == "failed":
            errors = batch.errors.data if batch.errors and batch.errors.data else []
            reason = "; ".join(self.server.secrets.mask(str(error.message)) for error in errors[:3]) or "no reason given"
            self._batches.close(batch_id)
            raise EndpointError(f"the server refused batch {batch_id} ({reason}); without --batch requests are sent one by one")
        lines = dict[str, _Line]()
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._call(partial(_content_of, file_id=file_id))
                lines |= _read_lines(content.splitlines())
        self._batches.close(batch_id, {key: line.body for key, line in lines.items() if 200 <= line.status < 300})
        return lines

    async def _call(self, call: Callable[[AsyncOpenAI], Awaitable[_T]], tries: int = TRIES) -> _T:
        """The result of a call about files or batches, for which the SDK's own retries will do."""
        server = self.server
        try:
            return await call(server.client.with_options(max_retries=tries - 1))
        except APIStatusError as error:
            failure = ApiError.read(error.status_code, error.response.headers, error.response.content, server.secrets)
        except OpenAIError as error:
            failure = ApiError(0, server.secrets.mask(f"{type(error.__cause__ or error).__name__}"))
        if failure.status in (404, 405):
            raise _Unknown(f"{server.host} takes no batches ({failure.said}); leave --batch out")
        raise EndpointError(f"{server.host} did not take a call about batches ({failure}); {KEPT}")


async def _content_of(client: AsyncOpenAI, file_id: str) -> bytes:
    return (await client.files.content(file_id)).content


def _read_lines(lines: Iterable[bytes]) -> dict[str, _Line]:
    """The lines of a batch's output by key; one that cannot be read is a request without an answer."""
    found = dict[str, _Line]()
    for line in lines:
        try:
            row = json.loads(line)
            key, response = str(row["custom_id"]), row.get("response") or {}
            found[key] = _Line(int(response.get("status_code") or 500), response.get("body") or row.get("error") or {})
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    return found


class _Unknown(EndpointError):
    """The server knows no batches, or not this one."""
