"""A whole run: read the sources, ask stage 1's LLM if there is one, decide about each row, write the output folder.

Reading comes first and is cheap: it finds broken archives before hours of scoring, and counts the totals for the time left.
Workers decide, here or elsewhere (`asap.workers`); the run alone stores. Each selection and each decision is stored as soon as it
is made, so a run killed at any moment continues where it was.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asap.dataset.source import Source
from asap.errors import InputError
from asap.events import DecidedRows, Listener
from asap.llm_pass import LlmOptions, select_missing
from asap.lm.generate import Generator
from asap.lm.spending import SpendingLimit
from asap.output import Files, claim_files, write_output
from asap.ownership import refuse_sources
from asap.prune.coarse.requests import prompts_hash
from asap.prune.coarse.selection import NOT_ASKED
from asap.prune.settings import OF_METHODS
from asap.prune.settle import settled_by
from asap.reading import RowCheck, read_into
from asap.store.unfinished import gone_if_failed
from asap.store.work import Store
from asap.totals import Totals
from asap.workers.rows import Undecided, Workers


def prune_into(
    folder: Path,
    source: Source,
    workers: Workers,
    *,
    llm: Generator | None = None,
    files: Files | None = None,
    listener: Listener | None = None,
    llm_options: LlmOptions | None = None,
    check: RowCheck | None = None,
) -> Totals:
    """Prune all rows of the source into a folder, or those that are missing there, and write its files.

    `llm` is asked in stage 1, before the workers decide. `check` rejects rows without a right answer while they are read.
    Raises InputError if the folder contains a run with other settings, or if no row is usable.
    """
    listener = listener or Listener()
    refuse_sources(folder, source.names)
    with Store.open(folder) as store:
        started = time.perf_counter()
        with gone_if_failed(store):
            settings = store.claim(run_settings(source, workers.described, llm, check), OF_METHODS)
            claim_files(store, files)  # before the hours of scoring
            store.own()
            read_into(store, source, listener, check)
        seconds = {"read": time.perf_counter() - started}
        if store.missing().rows:
            if llm:
                select_missing(store, llm, workers.settings, llm_options or LlmOptions(SpendingLimit(None)), listener)
            listener.scoring(*store.missing())
            _decide_missing(store, workers, listener)
        listener.writing()
        if llm:
            seconds["ask"] = store.fact("ask_s") or 0.0
        seconds["score"] = store.fact("score_s") or 0.0
        totals = write_output(store, settings, seconds=seconds, settle=settled_by(settings, lambda: workers.tokens), files=files)
    if totals.rejected + totals.passed == totals.rows and source.shard is None:
        reasons = {**totals.rejected_by, **totals.passed_by}
        raise InputError(f"{no_usable_row(source.names, reasons, totals.filtered)}; see {folder}/rejected.jsonl")
    return totals


def no_usable_row(sources: Sequence[str], rejected_by: Mapping[str, int], filtered: int | None = None) -> str:
    """The message about a source whose rows were all rejected."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected_by.items())
    others = f"; {filtered:,} do not meet --where" if filtered else ""
    return f"no usable row in {', '.join(sources)}: {sum(rejected_by.values())} rejected ({reasons or 'no rows'}){others}"


def run_settings(
    source: Source, described: Mapping[str, Any], llm: Generator | None = None, check: RowCheck | None = None
) -> dict[str, Any]:
    """Everything that determines the output, by name; JSON-able. Runs with equal settings and rows write equal files.

    `described` is what the workers say of themselves.
    """
    asked = {"llm": llm.model if llm else None, "llm_prompts_hash": prompts_hash(described["coarse"]) if llm else None}
    return {**described, **source.as_settings(), **asked, **(check.settings if check else {})}


def _decide_missing(store: Store, workers: Workers, listener: Listener) -> None:
    """Have every row without a decision decided, storing the decisions about each batch in one transaction."""
    sizes: dict[str, int] = {}  # the stored bytes of the rows that are under way
    last = time.perf_counter()
    for decided in workers.decide(_undecided(store, workers.rows_at_once, sizes)):
        now = time.perf_counter()
        with store.transaction():
            for row in decided:
                store.decide(row.digest, row.failed, row.body, row.seconds)
            store.set_fact("score_s", (store.fact("score_s") or 0.0) + now - last)
        last = now
        size = sum(sizes.pop(row.digest) for row in decided)
        before, after = sum(row.tokens_before for row in decided), sum(row.tokens_after for row in decided)
        listener.decided(DecidedRows(len(decided), size, before, after))


def _undecided(store: Store, rows_at_once: int, sizes: dict[str, int]) -> Iterator[list[Undecided]]:
    """The rows without a decision in batches, with their selections; notes the size of each, and leaves out those that have one noted."""
    for page in store.batches(rows_at_once):
        new = [waiting for waiting in page if waiting.digest not in sizes]
        sizes.update({waiting.digest: waiting.size for waiting in new})
        if new:
            yield [Undecided(digest, sample, store.selection(digest) or NOT_ASKED) for digest, sample, _ in new]
