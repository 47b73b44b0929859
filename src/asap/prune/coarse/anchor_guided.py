"""Stage 1 with an LLM (paper §3.2) as a pass: asks for each trace's anchor, then which steps it needs, until a reply is usable.

The result for each trace is a `Selection`. Every reply enters the reply cache before it is used, so that no paid reply is ever
requested again.

What this does not do: remove steps, or decide about a trace without a usable reply; `asap.prune.asap` does both.
"""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from asap.errors import AsapError
from asap.lm.generate import Generation, Generator, Request, RequestRefused
from asap.lm.reply_cache import CachedGenerator, ReplyCache
from asap.lm.tokens import count_prompt, count_tokens
from asap.prune.coarse.anchor import anchor_text, shortened
from asap.prune.coarse.llm_reply import InvalidReply, check_share
from asap.prune.coarse.match import Match
from asap.prune.coarse.requests import TraceRequests, select_tokens
from asap.prune.coarse.rewrite import Rewrite, read_rewrite
from asap.prune.coarse.select import merged, read_selection, windows
from asap.prune.coarse.selection import Selection
from asap.sample import Sample
from asap.think_tags import TAGS, TagTable

OnSelection = Callable[[Sample, Selection], None]
T = TypeVar("T")
_HALVINGS = 5  # of the room for a window, while the server finds it too long: down to 1/32
_FINAL = {"context_too_long", "bad_request", "server_error", "thinking_cut_off"}  # asking again would not help


class _Interrupted(AsapError):
    """The user pressed Ctrl-C; as an ordinary error, it lets pending requests finish."""


def ask_all(
    traces: Iterable[TraceRequests], llm: Generator, replies: ReplyCache, on_selection: OnSelection, table: TagTable = TAGS
) -> None:
    """Ask about all traces, as many at once as the LLM can take, and pass each selection to `on_selection` as it arrives.

    A fatal error is raised only once the pending requests are answered and stored, since they are paid for. Also works
    inside a running event loop (in a notebook); it then calls `on_selection` in another thread.
    """
    asking = CachedGenerator(llm, replies, table)
    work = _asked_all(iter(traces), asking, on_selection)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, work)
        try:
            done.result()
        except KeyboardInterrupt:
            asking.stop(_Interrupted())
            raise


def selections_of(traces: Sequence[TraceRequests], llm: Generator, replies: ReplyCache) -> list[Selection]:
    """The selection from each trace, in order."""
    found = dict[str, Selection]()
    ask_all(traces, llm, replies, lambda sample, selection: found.update({sample.digest(): selection}))
    return [found[trace.sample.digest()] for trace in traces]


async def _asked_all(traces: Iterator[TraceRequests], asking: CachedGenerator, on_selection: OnSelection) -> None:
    async def worker() -> None:
        try:
            for trace in traces:
                if asking.stopped:
                    return
                on_selection(trace.sample, await _Dialogue(asking, trace).selection())
        except Exception as error:  # stored here and raised below
            asking.stop(error)

    async with asking:
        with _gentle_interrupt(asking):
            await asyncio.gather(*(worker() for _ in range(asking.llm.concurrency)))
    if isinstance(asking.stopped, _Interrupted):
        raise KeyboardInterrupt
    if asking.stopped:
        raise asking.stopped


class _Dialogue:
    """The requests about one trace and their results so far."""

    def __init__(self, asking: CachedGenerator, requests: TraceRequests) -> None:
        self._asking = asking
        self._requests = requests
        self._cot, self._spans, self._rules = requests.sample.cot, requests.spans, requests.strategy.rules
        self._attempts = 0
        self._failures: list[str] = []

    async def selection(self) -> Selection:
        """The steps that the LLM selects. A trace of one step needs no request, since one step is always kept."""
        if len(self._spans) < 2:
            return Selection(list(range(len(self._spans))), None, 0, [])
        try:
            anchor = await self._first_usable(self._requests.anchor, _read_anchor)
            if isinstance(self._requests.strategy, Rewrite):
                found = await self._rewritten(anchor, self._requests.strategy.tau)
                kept, match = [one.step for one in found], [one.similarity for one in found]
                return Selection(kept, match, self._attempts, self._failures)
            return Selection(await self._selected(anchor), None, self._attempts, self._failures)
        except (RequestRefused, InvalidReply):
            return Selection(None, None, self._attempts, self._failures)

    async def _rewritten(self, anchor: str, tau: float) -> list[Match]:
        """The paper's way: the LLM writes the shorter trace, and each of its steps is snapped to the original step it matches."""

        def read(reply: Generation) -> list[Match]:
            found = read_rewrite(reply, self._cot, self._spans, split=self._requests.split, tau=tau)
            self._checked([match.step for match in found])
            return found

        return await self._first_usable(lambda draw: self._requests.pruning(anchor, draw), read)

    async def _selected(self, anchor: str) -> list[int]:
        """The steps that the LLM names; it sees a trace longer than its context in overlapping windows."""
        numbers = select_tokens(1) - select_tokens(0)  # of a step in the reply
        tokens = [count_tokens(self._cot[span.start : span.end], self._asking.llm.tokens) + 8 + numbers for span in self._spans]
        anchor, room = await self._fitting(anchor, sum(tokens))
        for halving in range(_HALVINGS + 1):
            shown = windows(tokens, room >> halving)
            try:
                return await self._selected_in(anchor, shown)
            except RequestRefused as error:
                if error.reason != "context_too_long" or halving == _HALVINGS:
                    raise
                self._failures.pop()
        raise AssertionError("the last halving returns or raises")

    async def _selected_in(self, anchor: str, shown: Sequence[tuple[int, int]]) -> list[int]:
        """The steps that the LLM names in these windows."""
        if len(shown) == 1:
            return await self._first_usable(
                lambda draw: self._requests.pruning(anchor, draw),
                lambda reply: self._checked(read_selection(reply, 0, len(self._spans))),
            )
        kept = merged([await self._selected_from(anchor, window) for window in shown])
        try:
            return self._checked(kept)
        except InvalidReply as error:  # no single reply could be requested again
            self._failures.append(error.reason)
            raise

    async def _selected_from(self, anchor: str, window: tuple[int, int]) -> list[int]:
        return await self._first_usable(
            lambda draw: self._requests.pruning(anchor, draw, window), lambda reply: read_selection(reply, *window)
        )

    def _checked(self, kept: list[int]) -> list[int]:
        rules = self._rules
        check_share(kept, self._spans, floor=rules.min_kept, ceiling=rules.max_kept, reach=rules.min_reach)
        return kept

    async def _fitting(self, anchor: str, whole: int) -> tuple[str, int]:
        """The anchor, and the tokens of steps that a request with it can show, `whole` for all of them.

        An anchor that leaves no room for the trace in the LLM's context loses its end: windows get at least half of what the question
        leaves. Raises RequestRefused where that is nothing.
        """
        context, tokens = await self._asking.context_tokens(), self._asking.llm.tokens
        if context is None:
            return anchor, whole
        around = count_prompt(self._requests.pruning("-", window=(0, 0)).messages, tokens)
        left = context - around - select_tokens(0) - self._rules.thinking_tokens - 64
        if left <= 1:
            self._failures.append("context_too_long")
            raise RequestRefused("context_too_long", f"without any step a request takes {context - left:,} of {context:,} tokens")
        most, size = max(left - whole, left // 2), count_tokens(anchor, tokens)
        if size > most:
            self._failures.append("anchor_too_long")
            anchor = shortened(anchor, most / size)
        return anchor, min(whole, left - min(size, most))

    async def _first_usable(self, request_of: Callable[[int], Request], read: Callable[[Generation], T]) -> T:
        """The first readable reply. Raises InvalidReply or RequestRefused once further draws are not allowed or cannot help."""
        for draw in range(self._rules.attempts):
            request = request_of(draw)
            is_anchor = request.kind == "anchor"
            self._attempts += not is_anchor
            try:
                return read(await self._asking.generate(request))
            except (RequestRefused, InvalidReply) as error:
                self._failures.append(f"anchor_{error.reason}" if is_anchor else error.reason)
                if draw == self._rules.attempts - 1 or error.reason in _FINAL:
                    raise
        raise AssertionError("the last draw returns or raises")


def _read_anchor(reply: Generation) -> str:
    """The anchor. A cut-off anchor is still usable; if the cut came before any answer, asking again would not help."""
    try:
        return anchor_text(reply.text)
    except InvalidReply:
        if reply.finish_reason == "length":
            raise InvalidReply("thinking_cut_off", "the reply ended before the anchor began; give --thinking-tokens") from None
        raise


@contextmanager
def _gentle_interrupt(asking: CachedGenerator) -> Iterator[None]:
    """The first Ctrl-C waits for pending requests, since they are paid for; the second one does not.

    It does not wait for batches, which can take a day; the next run resumes them.
    """
    loop, is_main = asyncio.get_running_loop(), threading.current_thread() is threading.main_thread()
    if asking.llm.resumes or not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        asking.stop(_Interrupted())
        print("asap: waiting for the replies that are on their way; press Ctrl-C again to give them up", file=sys.stderr)

    loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
