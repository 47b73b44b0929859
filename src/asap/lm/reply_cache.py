"""DIR/replies.sqlite: every reply of an LLM, stored before it is used, so that nothing is paid for twice.

A reply is kept under a hash of the model's name and the whole request (`Request.key`), not under a row or a run:
another budget or threshold finds it again. SQLite in WAL mode with full syncing: it is there whole or not at all,
also after `kill -9`. Keys, addresses and prompts are not stored.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from asap.errors import InputError
from asap.lm.fields import MOST_TOKENS, count_in
from asap.lm.generate import Generation, Generator, Request, RequestRefused
from asap.lm.open_batches import OpenBatches
from asap.store.content import Database, packed_text
from asap.think_tags import TAGS, TagTable

REPLIES_FILE = "replies.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL, finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, counted_here INTEGER NOT NULL, brought INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, keys BLOB NOT NULL) WITHOUT ROWID;
"""


class Usage(NamedTuple):
    """How many replies of one kind were paid for here, and their tokens."""

    replies: int
    prompt_tokens: int
    completion_tokens: int


class ReplyCache:
    """One folder's replies. Open it with `ReplyCache.open`; only one process can hold it at a time."""

    def __init__(self, folder: Path | None, database: Database, others: Sequence[Database]) -> None:
        self.folder = folder
        self._db = database
        self._others = others

    @classmethod
    @contextmanager
    def open(cls, folder: Path | None, *, also: Sequence[Path] = ()) -> Iterator["ReplyCache"]:
        """The replies of a folder (None: only in memory), closed at the end. Copies replies from `also` as they are needed."""
        own = (folder.resolve(), (folder / REPLIES_FILE).resolve()) if folder else ()
        with ExitStack() as stack:
            others = [stack.enter_context(Database.reading(_file_in(other), "replies")) for other in also if other.resolve() not in own]
            cache = cls(folder, stack.enter_context(Database.open(folder / REPLIES_FILE if folder else None, _SCHEMA)), others)
            cache._hand_over_batches()
            yield cache

    def get(self, key: str) -> Generation | None:
        """The reply to a request, or None if it was never answered."""
        query = "SELECT kind, body, finish_reason, prompt_tokens, completion_tokens, counted_here FROM replies WHERE key = ?"
        for database in (self._db, *self._others):
            for kind, body, finish_reason, prompt_tokens, completion_tokens, counted_here in database.execute(query, (key,)):
                if not _is_whole(kind, finish_reason, prompt_tokens, completion_tokens):
                    raise database.damage_to_row("replies", "key", key, "it is no reply of a model")
                try:
                    text = database.text(body)
                except InputError as error:
                    raise database.damage_to_row("replies", "key", key, "it cannot be unpacked") from error
                reply = Generation(text, finish_reason, prompt_tokens, completion_tokens, bool(counted_here))
                if database is not self._db:
                    self.put(key, kind, reply, brought=True)
                return reply
        return None

    def put(self, key: str, kind: str, reply: Generation, *, brought: bool = False) -> None:
        """Store a reply. `kind` says what the request was for; `brought`: another folder paid for it."""
        how = reply.finish_reason, reply.prompt_tokens, reply.completion_tokens, reply.counted_here
        values = (key, kind, packed_text(reply.text), *how, brought)
        self._db.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def usage(self) -> dict[str, Usage]:
        """The replies paid for here, by kind, without those brought from elsewhere."""
        counts = ("prompt_tokens", "completion_tokens")
        sums = ", ".join(f"SUM({name})" for name in counts)
        wrong = " OR ".join(f"typeof({name}) != 'integer' OR {name} NOT BETWEEN 0 AND {MOST_TOKENS}" for name in counts)
        what = f"kind, COUNT(*), {sums}, MAX(CASE WHEN {wrong} THEN key END)"
        found = self._db.execute(f"SELECT {what} FROM replies WHERE NOT brought GROUP BY kind ORDER BY kind")
        if damaged := [key for *_, key in found if key is not None]:
            raise self._db.damage_to_row("replies", "key", damaged[0], "its counts of tokens are none")
        return {kind: Usage(*used) for kind, *used, _ in found}

    def take(self, folder: Path) -> None:
        """Bring all replies of another folder over, as paid for here."""
        with Database.reading(folder / REPLIES_FILE, "replies") as other:
            other.copy("replies", self._db)

    def _hand_over_batches(self) -> None:
        """Move the batches that asap 0.1.0 kept in this file to the file for them. They are paid for, so they are never in neither."""
        found = self._db.execute("SELECT id FROM batches")
        if self.folder and found:
            with OpenBatches.open(self.folder) as batches:
                for [batch_id] in found:
                    batches.add(batch_id, None)
            self._db.execute("DELETE FROM batches")


class CachedGenerator:
    """A generator that looks for a reply in the cache first, and stores what the model behind it answers.

    Use it inside one `async with`. The model is entered with the first request that needs it, if any does. Equal requests made
    at once are sent once. A request that was refused is refused again without asking; refusals are not stored.
    """

    def __init__(self, llm: Generator, replies: ReplyCache, table: TagTable = TAGS) -> None:
        self.llm = llm
        self.table = table
        self.replies = replies
        self.asked = 0
        """Requests that were not found and went to the model."""
        self.stopped: Exception | None = None
        """Why nothing more is asked for; what is in the cache is still found."""
        self._entered = AsyncExitStack()
        self._entering = asyncio.Lock()
        self._is_ready = False
        self._refused: dict[str, RequestRefused] = {}
        self._waiting: dict[str, asyncio.Future[Generation]] = {}

    async def __aenter__(self) -> "CachedGenerator":
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._entered.__aexit__(*error)

    def stop(self, reason: Exception) -> None:
        """Ask for nothing more; the first reason counts."""
        self.stopped = self.stopped or reason

    async def context_tokens(self) -> int | None:
        """The model's context; enters the model where it is known only then."""
        if self.llm.context_tokens is None:
            await self._enter()
        return self.llm.context_tokens

    async def generate(self, request: Request) -> Generation:
        """The reply, from the cache or from the model. Raises what the model raises."""
        key = request.key(self.llm.model)
        if (reply := self.replies.get(key)) is not None:
            return reply
        if key in self._refused:
            raise self._refused[key]
        if key not in self._waiting:
            if self.stopped:
                raise self.stopped
            self._waiting[key] = asyncio.ensure_future(self._ask(key, request))
        return await self._waiting[key]

    async def _ask(self, key: str, request: Request) -> Generation:
        try:
            await self._enter()
            if self.stopped:  # while the model was entered
                raise self.stopped
            self.asked += 1
            reply = (await self.llm.generate(request)).answered(self.table)
            self.replies.put(key, request.kind, reply)
        except RequestRefused as error:
            self._refused[key] = error
            raise
        finally:
            del self._waiting[key]
        return reply

    async def _enter(self) -> None:
        async with self._entering:
            if self.stopped:
                raise self.stopped
            if self._is_ready:
                return
            try:
                await self._entered.enter_async_context(self.llm)
            except Exception as error:
                self.stop(error)  # at once: whoever waits to enter must neither try it again nor ask
                raise
            self._is_ready = True


def _is_whole(kind: object, finish_reason: object, *counts: object) -> bool:
    """Whether the columns of a reply are such as `put` writes."""
    return isinstance(kind, str) and isinstance(finish_reason, str) and all(count_in(count) is not None for count in counts)


def _file_in(folder: Path) -> Path:
    """The file of another folder's replies, which may be named itself. Raises InputError where there is none."""
    path = folder / REPLIES_FILE if folder.is_dir() else folder
    if not path.is_file():
        if not folder.exists():
            raise InputError(f"there is no file or folder {folder}; name an output folder of a run with --llm")
        raise InputError(f"{folder} holds no {REPLIES_FILE}; name an output folder of a run with --llm")
    return path
