"""`asap prune --dry-run`: estimates what a run would read, score and ask, without a scorer and without writing anything."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from asap.cost import Reading, tokens_read
from asap.dataset.source import Source
from asap.errors import RowError
from asap.events import Listener
from asap.llm_pass import LlmOptions, LlmPass
from asap.lm.generate import Generator
from asap.lm.reply_cache import REPLIES_FILE, ReplyCache
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.coarse.align import most_unaligned
from asap.prune.fine.removal import token_budget
from asap.prune.settings import AsapSettings
from asap.prune.trace import Size
from asap.reading import listened_rows, read_into
from asap.sample import Sample
from asap.store.work import Store
from asap.survey import Place, Survey
from asap.totals import Totals

_PAGE = 64


class KeptByLlm(NamedTuple):
    """What stage 1's LLM has kept so far: of so many rows, so many of their steps."""

    rows: int
    steps: int
    kept: int


class DryRun(NamedTuple):
    """The rows, the tokens that a model would read of them, and the number of traces over their budget.

    `coarse_most` is the most steps that stage 1 removes by `align`; `kept` what its LLM has kept, if one was asked; `tried` the counts of
    the rows that a pruner decided about.
    """

    survey: Survey
    reading: Reading
    over_budget: int
    coarse_most: int
    kept: KeptByLlm | None
    tried: Totals | None


def dry_run(
    scratch: Path,
    source: Source,
    settings: AsapSettings,
    tokens: TokenCounter,
    listener: Listener,
    asks: tuple[Generator, LlmOptions, Path | None] | None = None,
    tries: tuple[Asap, int] | None = None,
) -> DryRun:
    """A dry run over a source.

    `asks` is stage 1's LLM, its options, and the folder whose replies are reused; the listener gets an estimate of the remaining
    requests. `tries` is a pruner and the number of rows, the first, that it decides about.
    """
    first = list[Sample]()
    found, low, high, over_budget, most = Survey(tokens.count_many, step_split=settings.step_split), 0.0, 0.0, 0, 0
    rows = ((Place(row.source, row.line), row.result) for row in listened_rows(source, listener) if row.wanted or row.is_filtered)
    for sample, steps, length in found.lengths(rows):
        if tries and len(first) < tries[1]:
            first.append(sample)
        kept = token_budget(length, budget=settings.budget, ratio=settings.ratio) or length
        read = tokens_read(settings, Size(max(1, steps), length, tokens.count(sample.answer)), min(kept, length))
        low, high, over_budget = low + read.low, high + read.high, over_budget + (length > kept)
        most += most_unaligned(steps, settings.align.coarse_share) if settings.stage_1 == "align" else 0
    kept_by_llm = _estimate(scratch, source, settings, listener, *asks) if asks and found.usable else None
    return DryRun(found, Reading(low, high), over_budget, most, kept_by_llm, _tried(first, tries[0]) if tries else None)


def _tried(samples: Sequence[Sample], pruner: Asap) -> Totals:
    """The counts of the decisions about some samples."""
    totals = Totals()
    for sample in samples:
        [decision] = pruner.decide([sample])
        if not isinstance(decision, RowError):
            totals.rows += 1
            totals.add(decision)
    return totals


def _estimate(
    scratch: Path, source: Source, settings: AsapSettings, listener: Listener, llm: Generator, options: LlmOptions, folder: Path | None
) -> KeptByLlm:
    """Ask about the pilot's rows, if any, and give the listener an estimate for the others; what the LLM kept of the pilot's."""
    keeps = folder is not None and (options.pilot or (folder / REPLIES_FILE).is_file())
    with Store.open(scratch) as store, ReplyCache.open(folder if folder and keeps else scratch, also=options.replies_from) as replies:
        read_into(store, source, Listener())
        LlmPass(store, llm, settings, replies, options, listener).pilot()
        rows = steps = kept = 0
        for digest, sample, _ in chain.from_iterable(store.batches(_PAGE)):
            selection = store.selection(digest)
            if selection is not None and selection.kept is not None:
                rows, steps = rows + 1, steps + len(settings.requests_about(sample).spans)
                kept += len(selection.kept)
        return KeptByLlm(rows, steps, kept)
