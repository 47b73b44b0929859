"""Stage 1 with an LLM (paper §3.2): anchor, then `rewrite` or `select`, checked, asked again, or given up.

A `Guide` asks for each trace and says which steps stay. What the LLM returns only selects original steps. Every reply is
kept under its request before it is used (`asap.lm.replies`), so a second call for the same trace asks for nothing.
"""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from asap.digest import content_digest
from asap.errors import AsapError
from asap.lm.generate import Generation, Generator, Request, RequestRefused
from asap.lm.replies import Remembering, Replies
from asap.lm.tokens import count_prompt, count_tokens
from asap.prune.coarse.anchor import anchor_request, anchor_text
from asap.prune.coarse.llm_reply import InvalidReply, check_share, prompt_file
from asap.prune.coarse.rewrite import read_rewrite, rewrite_request
from asap.prune.coarse.select import merged, read_selection, select_request, windows
from asap.prune.coarse.selection import Selection
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from asap.spans import Span
from asap.steps import split_steps

ANCHOR_TOKENS = 4096
_HALVINGS = 5  # of a trace that the server finds too long, so that its windows are at least 1/32 of it
T = TypeVar("T")
_FINAL = {"context_too_long", "bad_request", "server_error", "thinking_cut_off"}  # asking the same again would not help


class _Interrupted(AsapError):
    """The user pressed Ctrl-C; as an ordinary error it lets the requests on their way come home."""


class Guide:
    """Asks an LLM which steps stay. Replies are kept in memory, or in a folder inside `keeping`."""

    def __init__(self, llm: Generator, settings: AsapSettings) -> None:
        self.llm = llm
        self.settings = settings
        self._replies = ExitStack()
        self.memory = Remembering(llm, self._replies.enter_context(Replies.open(None)))

    @contextmanager
    def keeping(self, folder: Path, also: Sequence[Path] = ()) -> Iterator[Replies]:
        """Keep replies in a folder for the time of a `with` block; those found in `also` are brought over instead of asked for."""
        before = self.memory
        with Replies.open(folder, also=also) as replies:
            self.memory = Remembering(self.llm, replies)
            try:
                yield replies
            finally:
                self.memory = before

    def judge(self, samples: Sequence[Sample]) -> list[Selection]:
        """The selection from each sample's trace, in order. Works inside a running event loop too (in a notebook)."""
        selections: dict[str, Selection] = {}
        self.ask_all(iter(samples), lambda sample, selection: selections.__setitem__(sample.digest(), selection))
        return [selections[sample.digest()] for sample in samples]

    def ask_all(self, samples: Iterator[Sample], done: Callable[[Sample, Selection], None]) -> None:
        """`ask` to its end; in a thread of its own where this one has a running event loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self.ask(samples, done))
            return
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(lambda: asyncio.run(self.ask(samples, done)))
            try:
                asking.result()
            except KeyboardInterrupt:
                self.memory.stop(_Interrupted())
                raise

    async def ask(self, samples: Iterator[Sample], done: Callable[[Sample, Selection], None]) -> None:
        """Ask about all samples, as many at once as the LLM can take, and hand each selection to `done` as it comes.

        An error that stops everything is raised when the requests on their way are answered and kept: they are paid for.
        """

        async def worker() -> None:
            try:
                for sample in samples:
                    if self.memory.stopped:
                        return
                    done(sample, await self.selection(sample))
            except Exception as error:  # kept, and raised below
                self.memory.stop(error)

        async with self.memory.session():
            with _gentle_interrupt(self.memory):
                await asyncio.gather(*(worker() for _ in range(self.llm.concurrency)))
        if isinstance(self.memory.stopped, _Interrupted):
            raise KeyboardInterrupt
        if self.memory.stopped:
            raise self.memory.stopped

    async def selection(self, sample: Sample) -> Selection:
        """Which steps of a sample's trace stay. A trace of one step is not asked about: a step always stays."""
        spans = split_steps(sample.cot, self.settings.step_split)
        if len(spans) < 2:
            return Selection(list(range(len(spans))), None, 0, [])
        talk = _Talk(self, sample, spans)
        try:
            kept, match = await (talk.rewritten() if self.settings.coarse == "rewrite" else talk.selected())
        except (RequestRefused, InvalidReply):
            return Selection(None, None, talk.attempts, talk.failures)
        return Selection(kept, match, talk.attempts, talk.failures)


class _Talk:
    """The requests about one trace."""

    def __init__(self, guide: Guide, sample: Sample, spans: list[Span]) -> None:
        self.guide, self.settings, self.sample, self.spans = guide, guide.settings, sample, spans
        self.attempts = 0
        self.failures: list[str] = []

    async def anchor(self) -> str:
        """The direct derivation of the answer; asked for again only where the reply is empty."""
        request = anchor_request(self.sample, ANCHOR_TOKENS + self.settings.thinking_tokens)
        return await self._until_valid("anchor", lambda draw: replace(request, draw=draw), _read_anchor)

    async def rewritten(self) -> tuple[list[int], list[float] | None]:
        """The paper's way: the LLM writes the shorter trace, and each of its steps is snapped to the original step it matches."""
        anchor, settings = await self.anchor(), self.settings
        room = rewrite_tokens(self.sample.cot) + settings.thinking_tokens

        def request(draw: int) -> Request:
            temperature = 2.0 if settings.temperature is None else settings.temperature
            return rewrite_request(self.sample, anchor, temperature=temperature, max_tokens=room, draw=draw)

        def read(reply: Generation) -> tuple[list[int], list[float] | None]:
            found = read_rewrite(reply, self.sample.cot, self.spans, split=settings.step_split, tau=settings.tau)
            kept = [match.step for match in found]
            self._check(kept)
            return kept, [match.similarity for match in found]

        return await self._until_valid("rewrite", request, read)

    async def selected(self) -> tuple[list[int], None]:
        """The LLM names the steps to keep; a trace longer than its context is shown in overlapping windows."""
        anchor = await self.anchor()
        tokens = [count_tokens(self.sample.cot[span.start : span.end], self.guide.llm.tokens) + 8 for span in self.spans]
        room = await self._room(anchor, sum(tokens))
        for halving in range(_HALVINGS + 1):
            try:
                shown = windows(tokens, max(1, room >> halving))
                kept = merged([await self._select(anchor, first, last) for first, last in shown])
            except RequestRefused as error:
                if error.reason != "context_too_long" or halving == _HALVINGS or len(self.spans) < 2:
                    raise
                self.failures.pop()
            else:
                if len(shown) > 1:
                    self._check_all(kept)
                return kept, None
        raise AssertionError("the last halving returns or raises")

    async def _select(self, anchor: str, first: int, last: int) -> list[int]:
        settings = self.settings
        room = select_tokens(last - first) + settings.thinking_tokens
        whole = (first, last) == (0, len(self.spans))

        def request(draw: int) -> Request:
            temperature = (1.0 if draw else 0.0) if settings.temperature is None else settings.temperature
            return select_request(self.sample, anchor, self.spans, first, last, temperature=temperature, max_tokens=room, draw=draw)

        def read(reply: Generation) -> list[int]:
            kept = read_selection(reply, first, last)
            if whole:
                self._check(kept)
            return kept

        return await self._until_valid("select", request, read)

    def _check_all(self, kept: list[int]) -> None:
        """The check of a selection that was put together from windows: there is no single reply to ask for again."""
        try:
            self._check(kept)
        except InvalidReply as error:
            self.failures.append(error.reason)
            raise

    def _check(self, kept: list[int]) -> None:
        settings = self.settings
        check_share(kept, self.spans, floor=settings.min_kept, ceiling=settings.max_kept, reach=settings.min_reach)

    async def _room(self, anchor: str, whole: int) -> int:
        """How many tokens of steps one request may show. Some contexts are known only once the LLM was started."""
        if self.guide.llm.context_tokens is None and not self.guide.memory.was_started:
            await self.guide.memory.start()
        context = self.guide.llm.context_tokens
        if context is None:
            return whole
        around = select_request(self.sample, anchor, self.spans, 0, 0, temperature=0, max_tokens=1, draw=0)
        used = count_prompt(around.messages, self.guide.llm.tokens)
        return max(1, min(whole, context - used - select_tokens(len(self.spans)) - self.settings.thinking_tokens - 64))

    async def _until_valid(self, kind: str, request: Callable[[int], Request], read: Callable[[Generation], T]) -> T:
        """The first reply that can be read. Raises InvalidReply or RequestRefused once no further draw is allowed or of use."""
        for draw in range(self.settings.attempts):
            self.attempts += kind != "anchor"
            try:
                return read(await self.guide.memory.generate(request(draw)))
            except (RequestRefused, InvalidReply) as error:
                self.failures.append(error.reason if kind != "anchor" else f"anchor_{error.reason}")
                if draw == self.settings.attempts - 1 or error.reason in _FINAL:
                    raise
        raise AssertionError("the last draw returns or raises")


def _read_anchor(reply: Generation) -> str:
    """The anchor. One that was cut off is of use all the same; where only thinking came before the cut, asking again would not help."""
    try:
        return anchor_text(reply.text)
    except InvalidReply:
        if reply.finish_reason == "length":
            raise InvalidReply("thinking_cut_off", "the reply ended before the anchor began; give --thinking-tokens") from None
        raise


def prompts_hash(strategy: str) -> str:
    """What stands for the wording of the requests: equal hashes, equal requests."""
    return content_digest(prompt_file("anchor"), prompt_file(strategy))[:16]


def rewrite_tokens(cot: str) -> int:
    """Room for a rewritten trace. By bytes and not by tokens, so that no tokenizer has a say in what a request is."""
    return len(cot.encode("utf-8")) // 2 + 512


def select_tokens(num_steps: int) -> int:
    """Room for the numbers of the steps to keep."""
    return 8 * num_steps + 128


@contextmanager
def _gentle_interrupt(memory: Remembering) -> Iterator[None]:
    """The first Ctrl-C waits for the requests that are on their way, since they are paid for; the second one does not.

    Batches are not waited for: they can take a day, and are taken up again.
    """
    loop, in_batches = asyncio.get_running_loop(), hasattr(memory.llm, "take_up")
    is_main = threading.current_thread() is threading.main_thread()
    if in_batches or not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        memory.stop(_Interrupted())
        print("asap: waiting for the replies that are on their way; press Ctrl-C again to give them up", file=sys.stderr)

    loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
