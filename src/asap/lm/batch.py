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
from typing import Any, Final, NamedTuple, TypeVar

from openai import APIStatusError, AsyncOpenAI, OpenAIError

from asap.digest import content_digest
from asap.lm.api_error import KEPT, ApiError
from asap.lm.endpoint import TRIES
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.open_batches import OpenBatches
from asap.lm.openai import OpenAIGenerator
from asap.lm.tokens import count_prompt

_T = TypeVar("_T")
_URL: Final = "/v1/chat/completions"
_AT_ONCE = 10_000  # requests in a batch; OpenAI takes 50,000 and 200 MB
_MOST_BYTES = 100 * 2**20
_QUIET_S = 0.5  # without a new request: everybody waits for an answer now
_POLL_S = 30.0
_LISTED = 100  # batches in an answer
_ENDED = ("completed", "expired", "cancelled", "failed")


class _Line(NamedTuple):
    """What came back for a request; its own status is 0 where the batch came back without it."""

    status: int = 0
    body: Any = "the batch came back without it"


class _Waiting(NamedTuple):
    """A request that is to be answered."""

    body: Mapping[str, Any]
    answer: "asyncio.Future[_Line]"


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
        self._waiting, self._asked = dict[str, _Waiting](), asyncio.Event()
        self._driver: asyncio.Task[None] | None = None
        self._open = ExitStack()
        try:
            self._batches = self._open.enter_context(OpenBatches.open(self._folder))
            for name in self._batches.names():
                self._log(f"waiting for batch {name} of a former run")
                await self._collect(name, await self._find(name))
        except BaseException:
            await self.__aexit__()
            raise
        self._driver = asyncio.create_task(self._drive())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._driver:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        self._open.close()
        await self.server.__aexit__(*error)

    async def generate(self, request: Request) -> Generation:
        """What the model writes, when its batch has come back. Raises RequestRefused, EndpointError or SpendingStop."""
        server, key, prompt_tokens = self.server, request.key(self.model), count_prompt(request.messages, self.server.tokens)
        former = self._read(_Line(200, self._batches.answer(key)), prompt_tokens)
        if isinstance(former, Generation):  # a former run paid for it and could not count it
            server.spending.begin(1, former.prompt_tokens, former.completion_tokens)
            return former
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
                raise outcome.error(server.endpoint.host, self.model)
        raise RequestRefused("server_error", f"{TRIES} batches came back without a reply to it")

    def _read(self, line: _Line, prompt_tokens: int) -> Generation | ApiError:
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
            while self._waiting:
                chunk = self._next_chunk()
                try:
                    lines = await self._hand_in(chunk)
                except Exception as error:  # raised to everyone who waits
                    for answer in self._taken(list(self._waiting)).values():
                        answer.set_exception(error)
                else:
                    for key, answer in self._taken(chunk).items():
                        answer.set_result(lines.get(key) or _Line())

    def _taken(self, keys: Iterable[str]) -> "dict[str, asyncio.Future[_Line]]":
        """The answers that these requests still wait for; they wait no more."""
        answers = {key: self._waiting.pop(key).answer for key in keys}
        return {key: answer for key, answer in answers.items() if not answer.done()}  # the others were cancelled

    def _next_chunk(self) -> dict[str, bytes]:
        """The lines of the next batch by key: as many as fit in one."""
        chunk, size = dict[str, bytes](), 0
        for key, waiting in self._waiting.items():
            line = json.dumps({"custom_id": key, "method": "POST", "url": _URL, "body": waiting.body}).encode()
            if chunk and (size + len(line) > _MOST_BYTES or len(chunk) >= _AT_ONCE):
                break
            chunk[key], size = line, size + len(line) + 1
        return chunk

    async def _hand_in(self, chunk: Mapping[str, bytes]) -> dict[str, _Line]:
        """Hand in a batch, with a mark by which a later run finds it, and wait for it."""
        mark = content_digest(sorted(chunk))[:32]
        self._batches.add(mark, len(chunk))  # before anything is paid for: a kill from here on is noticed
        content = b"\n".join(chunk.values()) + b"\n"
        file = await self._call(lambda client: client.files.create(file=("requests.jsonl", content), purpose="batch"))

        def create(client: AsyncOpenAI) -> Awaitable[Any]:
            return client.batches.create(input_file_id=file.id, endpoint=_URL, completion_window="24h", metadata={"asap": mark})

        try:
            batch = await self._call(create, tries=1)
        except EndpointError:  # the server may have taken it and only the answer was lost
            batch = await self._find(mark) or await self._call(create)
        self._log(f"handed in batch {batch.id} with {len(chunk):,} requests")
        return await self._collect(mark, batch)

    async def _find(self, name: str) -> Any:
        """The latest batch of a mark, or that of an id; None where the server knows none."""

        async def found(client: AsyncOpenAI) -> Any:
            async for batch in client.batches.list(limit=_LISTED):
                if name in (batch.id, (batch.metadata or {}).get("asap")):
                    return batch
            return None

        return await self._call(found)

    async def _collect(self, name: str, batch: Any) -> dict[str, _Line]:
        """Wait for a batch, store its answers and forget it. Returns what came back, by key."""
        logged = ""
        while batch and batch.status not in _ENDED:
            counts = batch.request_counts
            state = f"{batch.status}, {counts.completed:,} of {counts.total:,} done" if counts else batch.status
            if state != logged:
                self._log(f"batch {batch.id}: {state}")
            logged = state
            await asyncio.sleep(self._poll_s)
            batch = await self._call(lambda client, batch_id=batch.id: client.batches.retrieve(batch_id))  # type: ignore[misc]
        lines = dict[str, _Line]()
        for file_id in (batch.output_file_id, batch.error_file_id) if batch else ():
            if file_id:
                lines |= _read_lines((await self._call(partial(_content_of, file_id=file_id))).splitlines())
        self._batches.close(name, {key: line.body for key, line in lines.items() if 200 <= line.status < 300})
        if batch is None:
            self._log(f"{self.server.endpoint.host} knows no batch {name} any more: its requests are asked anew")
        elif batch.status == "failed":
            errors = batch.errors.data if batch.errors and batch.errors.data else []
            reason = "; ".join(self.server.endpoint.secrets.mask(str(error.message)) for error in errors[:3]) or "no reason given"
            raise EndpointError(f"the server refused batch {batch.id} ({reason}); without --batch requests are sent one by one")
        return lines

    async def _call(self, call: Callable[[AsyncOpenAI], Awaitable[_T]], tries: int = TRIES) -> _T:
        """The result of a call about files or batches, for which the SDK's own retries will do."""
        server = self.server
        try:
            return await call(server.endpoint.client.with_options(max_retries=tries - 1))
        except APIStatusError as error:
            failure = ApiError.read(error.status_code, error.response.headers, error.response.content, server.endpoint.secrets)
        except OpenAIError as error:
            failure = ApiError(0, server.endpoint.secrets.mask(f"{type(error.__cause__ or error).__name__}"))
        if failure.status in (404, 405):
            raise EndpointError(f"{server.endpoint.host} takes no batches ({failure.said}); leave --batch out")
        raise EndpointError(f"{server.endpoint.host} did not take a call about batches ({failure}); {KEPT}")


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
