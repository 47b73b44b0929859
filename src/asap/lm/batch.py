"""A provider's batches (`/v1/files` and `/v1/batches`, as OpenAI has them): slow, often at half the price, and resumable.

Requests are gathered until nobody asks for more, handed in as one file, and waited for. Which batches are out is written
beside the replies, so a run that was killed waits for the same batch again instead of paying for another one. A request
that the server lost, or did not get to in time, goes into the next batch.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from asap.digest import content_digest
from asap.lm.api_error import KEPT, ApiError
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.openai import TRIES, OpenAIGenerator
from asap.lm.replies import Replies
from asap.lm.spending import Reservation
from asap.lm.tokens import count_prompt

T = TypeVar("T")
_AT_ONCE = 10_000  # requests in a batch; OpenAI takes 50,000 and 200 MB
_MOST_BYTES = 100 * 2**20
_QUIET_S = 0.5  # without a new request: everybody waits for a reply now
_POLL_S = 30.0
_LISTED = 100  # of the latest batches
_INTENT = "intent:"  # a batch of which only its content is known: the run was killed while it was handed in
_ENDED = ("completed", "expired", "cancelled", "failed")


class _Waiting(NamedTuple):
    """A request that is to be answered."""

    request: Request
    reservation: Reservation
    answer: "asyncio.Future[Generation]"


class Batched:
    """A Generator that hands requests in as batches. Everything else is the endpoint's: model, price, what a reply is."""

    def __init__(self, endpoint: OpenAIGenerator, *, poll_s: float = _POLL_S, say: Callable[[str], None] | None = None) -> None:
        self.endpoint = endpoint
        self.model, self.tokens, self.context_tokens = endpoint.model, endpoint.tokens, endpoint.context_tokens
        self.identity: Mapping[str, Any] = endpoint.identity
        self.concurrency = _AT_ONCE
        self._poll_s = poll_s
        self._say = say or (lambda text: print(text, file=sys.stderr))
        self._open: dict[str, _Waiting] = {}
        self._asked = asyncio.Event()
        self._replies: Replies | None = None
        self._driver: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Batched":
        await self.endpoint.__aenter__()
        self.context_tokens = self.endpoint.context_tokens
        self._asked, self._open = asyncio.Event(), {}  # whoever asked in a former block waits no longer
        self._driver = asyncio.create_task(self._drive())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._driver:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        await self.endpoint.__aexit__(*error)

    async def take_up(self, replies: Replies) -> None:
        """Remember batches beside these replies from now on, and first wait for those that a former run handed in."""
        self._replies = replies
        for name, kinds in replies.batches().items():
            batch_id = await self._find(name) if name.startswith(_INTENT) else name
            if batch_id is not None:
                self._say(f"waiting for batch {batch_id} with {len(kinds):,} requests of a former run")
                try:
                    await self._collect(batch_id, kinds)
                except _Unknown:
                    self._say(f"{self.endpoint.host} knows no batch {batch_id} any more: its requests are asked anew")
            replies.forget_batch(name)

    async def generate(self, request: Request) -> Generation:
        """The reply, when its batch is done. Raises RequestRefused, EndpointError or SpendingStop."""
        key, prompt_tokens = request.key(self.model), count_prompt(request.messages, self.tokens)
        for _ in range(TRIES):
            async with self.endpoint.spending.reserve(prompt_tokens, request.max_new_tokens) as reservation:
                waiting = self._open[key] = _Waiting(request, reservation, asyncio.get_running_loop().create_future())
                self._asked.set()
                try:
                    return await waiting.answer
                except _Again:
                    continue
        raise RequestRefused("server_error", f"{TRIES} batches came back without a reply to it")

    async def _drive(self) -> None:
        """Whenever everybody waits, hand in what there is. An error ends every request that is open."""
        while True:
            await self._asked.wait()
            count = -1
            while len(self._open) != count:
                count = len(self._open)
                await asyncio.sleep(_QUIET_S)
            self._asked.clear()
            if not self._open:
                continue
            try:
                await self._hand_in(self._chunk())
            except Exception as error:  # told to everyone who waits
                for waiting in self._open.values():
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
                self._open.clear()
            if self._open:
                self._asked.set()

    def _chunk(self) -> dict[str, bytes]:
        """The lines of the next batch by key: as many as fit in one."""
        chunk, size = dict[str, bytes](), 0
        for key, waiting in self._open.items():
            body = self.endpoint.body(waiting.request)
            line = json.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()
            if chunk and (size + len(line) > _MOST_BYTES or len(chunk) >= _AT_ONCE):
                break
            chunk[key], size = line, size + len(line) + 1
        return chunk

    async def _hand_in(self, chunk: Mapping[str, bytes]) -> None:
        client, replies = self.endpoint.client, self._replies
        assert replies is not None, "take_up comes before the first request"
        kinds = {key: self._open[key].request.kind for key in chunk}
        mark = content_digest(sorted(chunk))[:32]
        replies.add_batch(_INTENT + mark, kinds)  # before anything is paid for: a kill from here on is noticed
        content = b"\n".join(chunk.values()) + b"\n"
        file = await self._call(lambda: client.files.create(file=("requests.jsonl", content), purpose="batch"))
        tried = False

        async def create() -> str:
            nonlocal tried
            if tried:  # the server may have taken it and only the answer was lost
                batches = await client.batches.list(limit=_LISTED)
                if found := next((batch.id for batch in batches.data if batch.input_file_id == file.id), None):
                    return found
            tried = True
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"asap": mark}
            )
            return batch.id

        batch_id = await self._call(create)
        replies.add_batch(batch_id, kinds)
        replies.forget_batch(_INTENT + mark)
        self._say(f"handed in batch {batch_id} with {len(chunk):,} requests")
        await self._collect(batch_id, kinds)
        replies.forget_batch(batch_id)

    async def _find(self, intent: str) -> str | None:
        """The batch that was handed in just before a kill, by its mark."""
        batches = await self._call(lambda: self.endpoint.client.batches.list(limit=_LISTED))
        marks = ((batch.id, (batch.metadata or {}).get("asap")) for batch in batches.data)
        return next((batch_id for batch_id, mark in marks if _INTENT + str(mark) == intent), None)

    async def _collect(self, batch_id: str, kinds: Mapping[str, str]) -> None:
        """Wait for a batch and keep its replies; requests of it that got none are to be asked again."""
        client, said, left_out = self.endpoint.client, "", frozenset(self.endpoint.left_out)
        while (batch := await self._call(lambda: client.batches.retrieve(batch_id))).status not in _ENDED:
            counts = batch.request_counts
            state = f"{batch.status}, {counts.completed:,} of {counts.total:,} done" if counts else batch.status
            if state != said:
                self._say(f"batch {batch_id}: {state}")
                said = state
            await asyncio.sleep(self._poll_s)
        if batch.status == "failed":
            errors = batch.errors.data if batch.errors and batch.errors.data else []
            reason = "; ".join(self.endpoint.secrets.mask(str(error.message)) for error in errors[:3]) or "no reason given"
            if self._replies:
                self._replies.forget_batch(batch_id)
            raise EndpointError(f"the server refused batch {batch_id} ({reason}); without --batch requests are sent one by one")
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._call(partial(client.files.content, file_id))
                self._read_lines(content.content.splitlines(), kinds, left_out)
        for key in kinds:
            if key in self._open:
                self._ask_again(key)

    def _read_lines(self, lines: Iterable[bytes], kinds: Mapping[str, str], left_out: Collection[str]) -> None:
        for line in lines:
            try:
                row = json.loads(line)
                key, response = row["custom_id"], row.get("response") or {}
                status, body = int(response.get("status_code") or 500), json.dumps(response.get("body") or row.get("error") or {})
            except (ValueError, LookupError, TypeError, AttributeError):
                continue  # a line that cannot be read is a request without a reply
            if key in kinds:
                self._settle(key, kinds[key], status, body.encode(), left_out)

    def _settle(self, key: str, kind: str, status: int, body: bytes, left_out: Collection[str]) -> None:
        waiting = self._open.get(key)
        prompt_tokens = count_prompt(waiting.request.messages, self.tokens) if waiting else 0
        outcome = self.endpoint.read(status, {}, body, prompt_tokens)
        if isinstance(outcome, Generation):
            if not waiting and self._replies and self._replies.get(key) is None:  # of a former run, which could not count it
                self.endpoint.spending.begin(1, outcome.prompt_tokens, outcome.completion_tokens)
            if self._replies:
                self._replies.put(key, kind, outcome)
            if waiting:
                self.endpoint.spending.settle(waiting.reservation, outcome.prompt_tokens, outcome.completion_tokens)
                self._open.pop(key).answer.set_result(outcome)
        elif waiting and (name := outcome.not_taken(self.endpoint.body(waiting.request, left_out))):
            self.endpoint.leave_out([name])
            self._ask_again(key)
        elif waiting and not outcome.passes and not outcome.is_rate_limit:
            self.endpoint.spending.settle(waiting.reservation, 0, 0)
            self._open.pop(key).answer.set_exception(outcome.error(self.endpoint.host, self.model))

    def _ask_again(self, key: str) -> None:
        """A request that got no reply costs nothing and goes into another batch."""
        waiting = self._open.pop(key)
        self.endpoint.spending.settle(waiting.reservation, 0, 0)
        waiting.answer.set_exception(_Again())

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call about files or batches; tried again while the failure may pass."""
        from openai import APIStatusError, OpenAIError

        failure = ApiError(0, "")
        for attempt in range(TRIES):
            try:
                return await call()
            except APIStatusError as error:
                failure = ApiError.read(error.status_code, error.response.headers, error.response.content, self.endpoint.secrets)
            except OpenAIError as error:
                failure = ApiError(0, self.endpoint.secrets.mask(f"{type(error.__cause__ or error).__name__}"))
            if failure.status in (404, 405):
                raise _Unknown(f"{self.endpoint.host} takes no batches ({failure.said}); leave --batch out")
            if not failure.passes and not failure.is_rate_limit:
                break
            await asyncio.sleep(min(self._poll_s, 2.0**attempt))
        raise EndpointError(f"{self.endpoint.host} did not take a call about batches (HTTP {failure.status}: {failure.said}); {KEPT}")


class _Unknown(EndpointError):
    """The server knows no batches, or not this one."""


class _Again(Exception):
    """The batch came back without a reply to this request."""
