"""A whole run: read the sources, ask stage 1's LLM if there is one, decide about each row, write the output folder.

Reading comes first and is cheap: it finds broken archives before hours of scoring, and counts the totals for the time left.
Each selection and each decision is stored as soon as it is made, so a run killed at any moment continues where it was.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from asap.dataset import Shaped
from asap.dataset.source import Source, printable
from asap.digest import content_digest
from asap.errors import InputError, RowError
from asap.events import DecidedRows, Listener
from asap.llm_pass import LlmOptions, select_missing
from asap.lm.prompt_style import template_hash
from asap.lm.spending import SpendingLimit
from asap.output import Totals, write_output
from asap.prune.anchored import align_prompt
from asap.prune.asap import Asap
from asap.prune.coarse.requests import prompts_hash
from asap.prune.coarse.selection import NOT_ASKED
from asap.prune.methods.own import code_digest
from asap.prune.settings import OF_METHODS
from asap.prune.settle import settled_by
from asap.store.work import Store
from asap.versions import __version__

_BATCH_ON_GPU = 16


def prune_into(
    folder: Path,
    source: Source,
    pruner: Asap,
    *,
    formats: Sequence[str] = (),
    listener: Listener | None = None,
    llm_options: LlmOptions | None = None,
) -> Totals:
    """Prune all rows of the source into a folder, or those that are missing there, and write its files.

    Raises InputError if the folder contains a run with other settings, or if no row is usable.
    """
    listener = listener or Listener()
    with Store.open(folder) as store:
        settings = store.claim(run_settings(source, pruner), OF_METHODS)
        started = time.perf_counter()
        read_into(store, source, listener)
        seconds = {"read": time.perf_counter() - started}
        if store.missing().rows:
            if pruner.llm:
                select_missing(store, pruner.llm, pruner.settings, llm_options or LlmOptions(SpendingLimit(None)), listener)
            listener.scoring(*store.missing())
            _decide_missing(store, pruner, listener)
        listener.writing()
        if pruner.llm:
            seconds["ask"] = store.fact("ask_s") or 0.0
        seconds["score"] = store.fact("score_s") or 0.0
        totals = write_output(store, settings, seconds=seconds, formats=formats, recut=settled_by(settings, lambda: pruner.tokens))
    if totals.rejected == totals.rows:
        raise InputError(f"{no_usable_row(source, totals.rejected_by)}; see {folder}/rejected.jsonl")
    return totals


def no_usable_row(source: Source, rejected_by: Mapping[str, int]) -> str:
    """The message about a source whose rows were all rejected."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected_by.items())
    return f"no usable row in {', '.join(source.names)}: {sum(rejected_by.values())} rejected ({reasons or 'no rows'})"


def listened_rows(source: Source, listener: Listener) -> Iterator[tuple[str, int, Shaped | RowError]]:
    """Each row of a source up to its limit, with its printable source and its line, announced to the listener."""
    shown = False
    for number, (name, line, result) in enumerate(islice(source.rows(), source.limit), start=1):
        yield printable(name), line, result
        if not shown and not isinstance(result, RowError):
            listener.first_row(result)
            shown = True
        listener.reading(number)


def read_into(store: Store, source: Source, listener: Listener) -> None:
    """Read the source into the store in one transaction, which keeps the earlier order of the input until it is complete."""
    with store.transaction():
        store.clear_input()
        for position, (name, line, result) in enumerate(listened_rows(source, listener)):
            if isinstance(result, RowError):
                store.add_rejected(position, name, line, result)
            else:
                store.add_sample(position, name, line, result.sample)


def run_settings(source: Source, pruner: Asap) -> dict[str, Any]:
    """Everything that determines the output, by name; JSON-able. Runs with equal settings and rows write equal files."""
    return {
        "asap": __version__,
        "method": pruner.method,
        **pruner.settings.stored(),
        **({"method_code": code_digest(pruner.method)} if ":" in pruner.method else {}),
        **(pruner.token_level.identity if pruner.token_level else {}),
        **source.as_settings(),
        "context": pruner.context,
        "template_hash": template_hash(pruner.scorer.tokens, pruner.context),
        "align_prompt_hash": content_digest(align_prompt())[:16] if pruner.settings.coarse is not None else None,
        "llm": pruner.llm.model if pruner.llm else None,
        "llm_prompts_hash": prompts_hash(pruner.settings.stage_1) if pruner.llm else None,
        "scorer": pruner.scorer.identity,
        "scorer_context_tokens": pruner.scorer.context_tokens,
        "tokenizer": pruner.tokens.fingerprint,
        "tokenizer_name": pruner.tokens.name,
    }


def _decide_missing(store: Store, pruner: Asap, listener: Listener) -> None:
    """Decide about every row without a decision, storing each batch in one transaction."""
    size = 1 if pruner.scorer.batch_tokens == 0 else _BATCH_ON_GPU
    for batch in store.batches(size):
        started = time.perf_counter()
        samples = [sample for sample, _ in batch]
        decisions = pruner.decide(samples, [store.selection(sample) or NOT_ASKED for sample in samples])
        each = (time.perf_counter() - started) / len(samples)
        with store.transaction():
            for sample, decision in zip(samples, decisions, strict=True):
                store.decide(sample, decision, each)
            store.set_fact("score_s", (store.fact("score_s") or 0.0) + time.perf_counter() - started)
        worked = [decision for decision in decisions if not isinstance(decision, RowError)]
        before, after = sum(done.tokens_before for done in worked), sum(done.tokens_after for done in worked)
        listener.decided(DecidedRows(len(batch), sum(size for _, size in batch), before, after))
