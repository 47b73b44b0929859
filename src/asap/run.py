"""A whole run: read the sources, decide about each row that is missing, write the output folder.

Reading comes first and is cheap: it finds broken archives before hours of scoring, and gives the totals for the time left.
Each decision is stored as soon as it is made, so a run killed at any moment goes on where it was.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from asap.dataset.source import Source, printable
from asap.digest import content_digest
from asap.errors import InputError, RowError
from asap.estimate import Estimate, estimate
from asap.listener import DecidedRows, Listener, LlmProgress
from asap.lm.prompt_style import template_hash
from asap.lm.replies import Replies
from asap.lm.spending import SpendingLimit
from asap.output import Totals, write_output
from asap.prune.anchored import align_prompt
from asap.prune.asap import Asap
from asap.prune.coarse.anchor_guided import Guide, prompts_hash
from asap.prune.coarse.selection import Selection
from asap.prune.decision import Decision
from asap.prune.methods import code_digest
from asap.recut import settled_by
from asap.sample import Sample
from asap.store.work import Store

_BATCH_ON_GPU = 16
_BATCH_OF_ROWS = 64


@dataclass(frozen=True, slots=True)
class Asking:
    """How a run goes about asking stage 1's LLM."""

    spending: SpendingLimit
    replies_from: Sequence[Path] = ()
    """Folders whose replies are used instead of asking again."""
    pilot: int | None = None
    """Ask about so many rows before the cost of the others is estimated."""


def prune_into(
    folder: Path,
    source: Source,
    pruner: Asap,
    *,
    formats: Sequence[str] = (),
    listener: Listener | None = None,
    asking: Asking | None = None,
) -> Totals:
    """Prune all rows of the source into a folder, or do what is missing there, and write its files.

    Raises InputError if the folder holds a run with other settings, or if no row is usable.
    """
    listener = listener or Listener()
    settings = run_settings(source, pruner)
    with Store.open(folder) as store:
        settings = store.claim(settings)
        started = time.perf_counter()
        read_into(store, source, listener)
        read_s = time.perf_counter() - started
        missing = store.missing()
        if missing.rows:
            with _guided(store, pruner, asking or Asking(SpendingLimit(None)), listener):
                listener.scoring(*missing)
                _decide_missing(store, pruner, listener)
        listener.writing()
        seconds = {"read": read_s, **({"ask": store.fact("ask_s") or 0.0} if pruner.guide else {}), "score": store.fact("score_s") or 0.0}
        totals = write_output(store, settings, seconds=seconds, formats=formats, recut=settled_by(settings, lambda: pruner.tokens))
    if totals.rejected == totals.rows:
        raise InputError(f"{no_usable_row(source, totals.rejected_by)}; see {folder}/rejected.jsonl")
    return totals


@contextmanager
def _guided(store: Store, pruner: Asap, asking: Asking, listener: Listener) -> Iterator[None]:
    """Ask stage 1's LLM, if there is one, about every row without a decision; inside the block its replies are at hand."""
    if pruner.guide is None:
        yield
        return
    with pruner.guide.keeping(store.folder, asking.replies_from) as replies:
        started = time.perf_counter()
        ask_missing(store, pruner.guide, replies, asking, listener)
        store.set_fact("ask_s", (store.fact("ask_s") or 0.0) + time.perf_counter() - started)
        usage = {kind: used._asdict() for kind, used in replies.usage().items()}
        cost = round(asking.spending.spent, 6) if asking.spending.price else None
        identity, before = pruner.guide.llm.identity, store.fact("llm") or {}
        if before.get("model") == identity["model"]:  # what a server told about itself, if this run had nothing to ask
            identity = {**before, **identity}
        store.set_fact("llm", {**identity, "usage": usage, "cost_usd": cost})
        yield


def ask_missing(store: Store, guide: Guide, replies: Replies, asking: Asking, listener: Listener, *, only_pilot: bool = False) -> Estimate:
    """Ask about the pilot's rows, estimate what the others will cost, and ask about them too (not with `only_pilot`)."""
    spending, progress = asking.spending, Counter[str]()
    if (batches := replies.batches()) and not hasattr(guide.llm, "take_up"):
        raise InputError(
            f"batch {next(iter(batches))} of a former run into {store.folder} is paid for and not collected; add --batch to wait for it"
        )
    for used in replies.usage().values():  # what former runs into this folder paid counts against the limits
        spending.begin(used.replies, used.prompt_tokens, used.completion_tokens)

    def samples(limit: int | None = None) -> Iterator[Sample]:
        return islice(_distinct(sample for batch in store.batches(_BATCH_OF_ROWS) for sample, _ in batch), limit)

    def done(sample: Sample, selection: Selection) -> None:
        progress.update(rows=1, fallbacks=selection.kept is None)
        tokens, cost = spending.prompt_tokens + spending.completion_tokens, spending.spent if spending.price else None
        listener.asked(LlmProgress(progress["rows"], progress["fallbacks"], spending.requests, tokens, cost))

    def ask(limit: int | None = None) -> None:
        guide.ask_all(samples(limit), done)

    if asking.pilot:
        listener.asking(min(asking.pilot, store.missing().rows_missing))
        ask(asking.pilot)
    expected = estimate(samples(), guide, replies.usage())
    listener.estimated(expected, spending)
    if not only_pilot:
        listener.asking(store.missing().rows_missing)
        progress.clear()
        ask()
    return expected


def _distinct(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The samples without those that are equal to an earlier one."""
    seen = set[str]()
    for sample in samples:
        if (digest := sample.digest()) not in seen:
            seen.add(digest)
            yield sample


def no_usable_row(source: Source, rejected_by: Mapping[str, int]) -> str:
    """The sentence about a source of which every row was rejected."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected_by.items())
    return f"no usable row in {', '.join(source.names)}: {sum(rejected_by.values())} rejected ({reasons or 'no rows'})"


def read_into(store: Store, source: Source, listener: Listener) -> None:
    """Read the source into the store, in one transaction: until it is complete the former order of the input stands."""
    shown = False
    with store.transaction():
        store.clear_input()
        for position, (name, line, result) in enumerate(islice(source.rows(), source.limit)):
            name = printable(name)
            if isinstance(result, RowError):
                store.add_rejected(position, name, line, result)
            else:
                store.add_sample(position, name, line, result.sample)
                if not shown:
                    listener.first_row(result)
                    shown = True
            listener.reading(position + 1)


def run_settings(source: Source, pruner: Asap) -> dict[str, Any]:
    """All that decides what comes out, by name; JSON-able. Two runs with equal settings and rows give equal files."""
    from asap import __version__

    return {
        "asap": __version__,
        "method": pruner.method,
        **pruner.settings.stored(),
        **({"method_code": code_digest(pruner.method)} if ":" in pruner.method else {}),
        **(pruner.token_level.identity if pruner.token_level else {}),
        **source.as_settings(),
        "context": pruner.context,
        "template_hash": template_hash(pruner.scorer.tokens, pruner.context),
        "align_prompt_hash": content_digest(align_prompt())[:16] if pruner.settings.coarse != "none" else None,
        "llm": pruner.guide.llm.model if pruner.guide else None,
        "llm_prompts_hash": prompts_hash(pruner.settings.coarse) if pruner.guide else None,
        "scorer": pruner.scorer.identity,
        "scorer_context_tokens": pruner.scorer.context_tokens,
        "tokenizer": pruner.tokens.fingerprint,
        "tokenizer_name": pruner.tokens.name,
    }


def _decide_missing(store: Store, pruner: Asap, listener: Listener) -> None:
    size = 1 if pruner.scorer.batch_tokens == 0 else _BATCH_ON_GPU
    for batch in store.batches(size):
        started = time.perf_counter()
        samples = [sample for sample, _ in batch]
        decisions = pruner.decide(samples)
        each = (time.perf_counter() - started) / len(samples)
        with store.transaction():
            for sample, decision in zip(samples, decisions, strict=True):
                store.decide(sample, decision, each)
            store.set_fact("score_s", (store.fact("score_s") or 0.0) + time.perf_counter() - started)
        worked = [decision for decision in decisions if isinstance(decision, Decision)]
        before, after = sum(done.tokens_before for done in worked), sum(done.tokens_after for done in worked)
        listener.decided(DecidedRows(len(batch), sum(size for _, size in batch), before, after))
