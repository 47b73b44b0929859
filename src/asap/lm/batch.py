"""A provider's batches (`/v1/files` and `/v1/batches`, as OpenAI has them) as a generator: slow, often at half the price, resumable.

Gathers requests until nobody asks for more, hands them in as one file, and waits for it. A file of the output folder remembers which
batches are out, so a run that was killed waits for the same batch again instead of paying for another one. A request that the server
lost, or did not get to in time, goes into the next batch.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from openai import APIStatusError, AsyncOpenAI, OpenAIError

from asap.digest import content_digest
from asap.lm.api_error import KEPT, ApiError
from asap.lm.bounded_client import at_most
from asap.lm.endpoint import TRIES
from asap.lm.fields import AnswerTooLarge, clean_text, count_in, json_in, list_in, object_in, word_in
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.open_batches import OpenBatches
from asap.lm.openai import OpenAIGenerator
from asap.lm.tokens import count_prompt
from asap.revealed import revealed

_URL: Final = "/v1/chat/completions"
_AT_ONCE = 10_000  # requests in a batch; OpenAI takes 50,000 and 200 MB
_MOST_BYTES = 100 * 2**20
_QUIET_S = 0.5  # without a new request: everybody waits for an answer now
_POLL_S = 30.0
_LISTED = 100  # batches in an answer
_PAGES = 100  # of such answers
_LONGEST_FILE = 1 << 30
_SHOWN = 300
_ENDED = ("completed", "expired", "cancelled", "failed")


class _Raw(Protocol):
    """What the SDK makes of an answer that it does not read."""

    @property
    def content(self) -> bytes: ...


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
        self._log = log or (lambda text: print(revealed(text), file=sys.stderr))

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
        file = await self._call(lambda client: client.files.with_raw_response.create(file=("requests.jsonl", content), purpose="batch"))
        file_id = self._named(file)

        def create(client: AsyncOpenAI) -> Awaitable[_Raw]:
            given = {"input_file_id": file_id, "endpoint": _URL, "completion_window": "24h", "metadata": {"asap": mark}}
            return client.batches.with_raw_response.create(**given)  # type: ignore[arg-type]

        try:
            batch = _Batch.read(await self._call(create, tries=1))
        except EndpointError:  # the server may have taken it and only the answer was lost
            batch = await self._find(mark) or _Batch.read(await self._call(create))
        batch = batch or await self._find(mark)
        self._log(f"handed in batch {batch.id if batch else mark} with {len(chunk):,} requests")
        return await self._collect(mark, batch)

    def _named(self, answer: object) -> str:
        """The id in an answer. Raises EndpointError where there is none."""
        if name := word_in(object_in(answer).get("id")):
            return name
        raise EndpointError(f"{self.server.endpoint.host} answered a call about batches with nothing that can be read; {KEPT}")

    async def _find(self, name: str) -> "_Batch | None":
        """The latest batch of a mark, or that of an id; None where the server knows none."""
        after = dict[str, str]()
        for _ in range(_PAGES):
            page = object_in(await self._call(lambda client, after=after: client.batches.with_raw_response.list(limit=_LISTED, **after)))  # type: ignore[misc]
            listed = [batch for entry in list_in(page.get("data")) if (batch := _Batch.read(entry))]
            if found := next((batch for batch in listed if name in (batch.id, batch.mark)), None):
                return found
            if page.get("has_more") is not True or not listed:
                break
            after = {"after": listed[-1].id}
        return None

    async def _collect(self, name: str, batch: "_Batch | None") -> dict[str, _Line]:
        """Wait for a batch, store its answers and forget it. Returns what came back, by key."""
        logged = ""
        while batch and batch.status not in _ENDED:
            state = batch.status if batch.total is None else f"{batch.status}, {batch.completed or 0:,} of {batch.total:,} done"
            if state != logged:
                self._log(f"batch {batch.id}: {state}")
            logged = state
            await asyncio.sleep(self._poll_s)
            answer = await self._call(lambda client, batch_id=batch.id: client.batches.with_raw_response.retrieve(batch_id))  # type: ignore[misc]
            self._named(answer)
            batch = _Batch.read(answer) or batch
        lines = dict[str, _Line]()
        for file_id in batch.files if batch else ():
            lines |= _read_lines((await self._content_of(file_id)).splitlines())
        self._batches.close(name, {key: line.body for key, line in lines.items() if 200 <= line.status < 300})
        if batch is None:
            self._log(f"{self.server.endpoint.host} knows no batch {name} any more: its requests are asked anew")
        elif batch.status == "failed":
            reason = "; ".join(self.server.endpoint.secrets.mask(error) for error in batch.errors[:3]) or "no reason given"
            raise EndpointError(f"the server refused batch {batch.id} ({reason}); without --batch requests are sent one by one")
        return lines

    async def _call(self, call: Callable[[AsyncOpenAI], Awaitable[_Raw]], tries: int = TRIES) -> Any:
        """The JSON that a call about batches brings."""
        return json_in(await self._content(call, tries))

    async def _content_of(self, file_id: str) -> bytes:
        with at_most(_LONGEST_FILE):
            return await self._content(lambda client: client.files.with_raw_response.content(file_id))

    async def _content(self, call: Callable[[AsyncOpenAI], Awaitable[_Raw]], tries: int = TRIES) -> bytes:
        """The body that a call about files or batches brings, for which the SDK's own retries will do."""
        server = self.server
        try:
            async with asyncio.timeout(tries * server.endpoint.timeout_s):
                return (await call(server.endpoint.client.with_options(max_retries=tries - 1))).content
        except APIStatusError as error:
            failure = ApiError.read(error.status_code, error.response.headers, error.response.content, server.endpoint.secrets)
        except (OpenAIError, TimeoutError) as error:
            cause = error.__cause__ or error
            known = isinstance(cause, (AnswerTooLarge, EndpointError))
            failure = ApiError(0, server.endpoint.secrets.mask(str(cause) if known else type(cause).__name__))
        if failure.status in (404, 405):
            raise EndpointError(f"{server.endpoint.host} takes no batches ({failure.said}); leave --batch out")
        raise EndpointError(f"{server.endpoint.host} did not take a call about batches ({failure}); {KEPT}")


class _Batch(NamedTuple):
    """What a server says about a batch."""

    id: str
    status: str
    mark: str | None
    completed: int | None
    total: int | None
    files: Sequence[str]
    errors: Sequence[str]

    @classmethod
    def read(cls, value: object) -> "_Batch | None":
        """The batch in an answer, or in an entry of a list; None where there is none."""
        given = object_in(value)
        name, status, counts = word_in(given.get("id")), word_in(given.get("status")), object_in(given.get("request_counts"))
        if name is None or status is None:
            return None
        files = [file for key in ("output_file_id", "error_file_id") if (file := word_in(given.get(key)))]
        errors = [clean_text(object_in(error).get("message"))[:_SHOWN] for error in list_in(object_in(given.get("errors")).get("data"))]
        mark, done, total = object_in(given.get("metadata")).get("asap"), counts.get("completed"), counts.get("total")
        return cls(name, status, word_in(mark), count_in(done), count_in(total), files, errors)


def _read_lines(lines: Iterable[bytes]) -> dict[str, _Line]:
    """The lines of a batch's output by key; one that cannot be read is a request without an answer."""
    found = dict[str, _Line]()
    for line in lines:
        row = object_in(json_in(line))
        response = object_in(row.get("response"))
        if key := word_in(row.get("custom_id")):
            found[key] = _Line(count_in(response.get("status_code"), 100, 599) or 500, response.get("body") or row.get("error") or {})
    return found
