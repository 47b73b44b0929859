"""Stage 1's pass over the rows of a run (paper §3.2): asks an LLM about each row that has no selection yet.

Each selection is stored at once, so a killed run, when continued, asks only about the missing rows.

What this does not do: talk to the LLM (`asap.prune.coarse.anchor_guided`), or decide about a row.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from asap.cost import estimate
from asap.errors import InputError
from asap.events import Listener, LlmProgress
from asap.lm.generate import Generator
from asap.lm.open_batches import open_batches
from asap.lm.reply_cache import ReplyCache
from asap.lm.spending import Estimate, SpendingLimit
from asap.prune.coarse.anchor_guided import ask_all
from asap.prune.coarse.selection import Selection
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from asap.store.work import Store
from asap.think_tags import TAGS, TagTable


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """The limits on stage 1's LLM, and the rows to ask about first."""

    spending: SpendingLimit
    replies_from: Sequence[Path] = ()
    """Folders whose replies are reused instead of asking again."""
    pilot: int | None = None
    """The number of rows that a pilot asks about before the cost of the others is estimated."""
    table: TagTable = TAGS
    """The tags between which the LLM may think."""


@dataclass(slots=True)
class LlmPass:
    """A pass over the rows of a store. Its limits include what earlier runs paid for the folder's replies."""

    store: Store
    llm: Generator
    settings: AsapSettings
    replies: ReplyCache
    options: LlmOptions
    listener: Listener
    fallbacks: int = 0

    def __post_init__(self) -> None:
        folder = self.replies.folder
        if folder and not self.llm.resumes and (waiting := open_batches(folder)):
            raise InputError(f"batch {waiting[0]} of a former run into {folder} is paid for and not collected; add --batch to wait for it")
        for used in self.replies.usage().values():
            self.options.spending.begin(used.replies, used.prompt_tokens, used.completion_tokens)

    def pilot(self) -> None:
        """Ask about the pilot's rows."""
        if self.options.pilot:
            self._ask(self.options.pilot)

    def estimate(self) -> Estimate:
        """The estimated cost of the rows that were not asked about."""
        return estimate(self.store.unselected(), self.llm, self.settings, self.replies)

    def rest(self) -> None:
        """Ask about all other rows."""
        self._ask(None)

    def _ask(self, limit: int | None) -> None:
        rows, missing, spending = 0, self.store.count_unselected(), self.options.spending

        def on_selection(sample: Sample, selection: Selection) -> None:
            nonlocal rows
            self.store.select(sample, selection)
            rows, self.fallbacks = rows + 1, self.fallbacks + (selection.kept is None)
            tokens, cost = spending.prompt_tokens + spending.completion_tokens, spending.spent if spending.price else None
            self.listener.asked(LlmProgress(rows, self.fallbacks, spending.requests, tokens, cost))

        self.listener.asking(missing if limit is None else min(limit, missing))
        traces = map(self.settings.requests_about, islice(self.store.unselected(), limit))
        ask_all(traces, self.llm, self.replies, on_selection, self.options.table)


def select_missing(store: Store, llm: Generator, settings: AsapSettings, options: LlmOptions, listener: Listener) -> None:
    """Ask about every row that has neither a selection nor a decision; store the pass's cost and the LLM's identity."""
    started = time.perf_counter()
    with ReplyCache.open(store.folder, also=options.replies_from) as replies:
        asking = LlmPass(store, llm, settings, replies, options, listener)
        listener.estimated(asking.estimate(), options.spending)
        asking.rest()
        usage = {kind: used._asdict() for kind, used in replies.usage().items()}
    store.set_fact("ask_s", (store.fact("ask_s") or 0.0) + time.perf_counter() - started)
    cost = round(options.spending.spent, 6) if options.spending.price else None
    identity, before = llm.identity, store.fact("llm") or {}
    if before.get("model") == identity["model"]:  # what the server reported about itself, in case this run had nothing to ask
        identity = {**before, **identity}
    store.set_fact("llm", {**identity, "usage": usage, "cost_usd": cost})
