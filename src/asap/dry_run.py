"""`asap prune --dry-run` and `--pilot`: what a run would read, score, ask and take, without writing anything but the replies of a pilot."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from asap.calibration import FEWEST_TOKENS, Drawn, Effort, Seconds, TimedPiece, decided, effort_of, pieces, seconds_for
from asap.cost import Reading, tokens_read
from asap.dataset.source import Source
from asap.errors import RowError
from asap.events import Listener
from asap.llm_pass import LlmOptions, LlmPass
from asap.lm.generate import Generator
from asap.lm.reply_cache import REPLIES_FILE, ReplyCache
from asap.lm.spending import Estimate
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


class LlmForecast(NamedTuple):
    """What stage 1's LLM is expected to cost, and what it has kept so far: of so many rows, so many of their steps."""

    estimate: Estimate
    rows: int
    steps: int
    kept: int


class Timed(NamedTuple):
    """How long the scoring of all rows takes, by what was read for it: tokens, and the seconds that they took."""

    all_rows: Seconds
    tokens: float
    seconds: float


class DryRun(NamedTuple):
    """The rows, the tokens that a model would read of them, and the number of traces over their budget.

    `coarse_most` is the most steps that stage 1 removes by `align`; `asked` is about its LLM, if there is one; `tried` has the counts of
    the rows that a pruner decided about. `timed` is None where no model reads here, or too little to be measured.
    """

    survey: Survey
    reading: Reading
    over_budget: int
    coarse_most: int
    asked: LlmForecast | None
    tried: Totals | None
    timed: Timed | None


class Trial(NamedTuple):
    """What a dry run may use: a pruner for some seconds (None: no model is here), and the number of rows that a pilot decides about.
    `anew`: the run's model reads each text from the beginning.
    """

    pruner: Asap | None = None
    rows: int | None = None
    anew: bool = False


def dry_run(
    scratch: Path,
    source: Source,
    settings: AsapSettings,
    tokens: TokenCounter,
    listener: Listener,
    asks: tuple[Generator, LlmOptions, Path | None] | None = None,
    trial: Trial = Trial(),  # noqa: B008 (immutable)
) -> DryRun:
    """A dry run over a source. `asks` is stage 1's LLM, its options, and the folder whose replies are reused."""
    first, drawn, effort = list[Sample](), Drawn(), Effort()
    found, low, high, over_budget, most = Survey(tokens.count_many, step_split=settings.split), 0.0, 0.0, 0, 0
    rows = ((Place(row.source, row.line), row.result) for row in listened_rows(source, listener) if row.wanted or row.is_filtered)
    for sample, steps, length in found.lengths(rows):
        if trial.rows and len(first) < trial.rows:
            first.append(sample)
        drawn.add(sample)
        kept = token_budget(length, budget=settings.budget, ratio=settings.ratio) or length
        size = Size(max(1, steps), length, tokens.count(sample.answer), trial.anew)
        read = tokens_read(settings, size, min(kept, length))
        effort = effort.plus(effort_of(settings, size, tokens.count(sample.question), min(kept, length)))
        low, high, over_budget = low + read.low, high + read.high, over_budget + (length > kept)
        most += most_unaligned(steps, settings.align.coarse_share) if settings.stage_1 == "align" else 0
    asked = _asked(scratch, source, settings, listener, *asks) if asks and found.usable else None
    tried, read_now = _tried(first, trial.pruner) if trial.pruner and first and not asks else (None, [])
    if trial.pruner and not read_now and effort.high >= FEWEST_TOKENS:
        read_now = pieces(trial.pruner, drawn.samples)
    return DryRun(found, Reading(low, high), over_budget, most, asked, tried, _timed(effort, read_now))


def _timed(effort: Effort, read: Sequence[TimedPiece]) -> Timed | None:
    if not read or not effort.high:
        return None
    return Timed(seconds_for(effort, read), sum(piece.effort for piece in read), sum(piece.seconds for piece in read))


def _tried(samples: Sequence[Sample], pruner: Asap) -> tuple[Totals, list[TimedPiece]]:
    """The counts of the decisions about some samples, and what the model took for them."""
    totals, (decisions, piece) = Totals(), decided(pruner, samples)
    for decision in decisions:
        if not isinstance(decision, RowError):
            totals.rows += 1
            totals.add(decision)
    return totals, [piece] if piece else []


def _asked(
    scratch: Path, source: Source, settings: AsapSettings, listener: Listener, llm: Generator, options: LlmOptions, folder: Path | None
) -> LlmForecast:
    """Ask about the pilot's rows, if any; what the LLM is expected to cost for the others, and what it kept of the pilot's."""
    keeps = folder is not None and (options.pilot or (folder / REPLIES_FILE).is_file())
    with Store.open(scratch) as store, ReplyCache.open(folder if folder and keeps else scratch, also=options.replies_from) as replies:
        read_into(store, source, Listener())
        asking = LlmPass(store, llm, settings, replies, options, listener)
        asking.pilot()
        estimate = asking.estimate()
        rows = steps = kept = 0
        for digest, sample, _ in chain.from_iterable(store.batches(_PAGE)):
            selection = store.selection(digest)
            if selection is not None and selection.kept is not None:
                rows, steps = rows + 1, steps + len(settings.requests_about(sample).spans)
                kept += len(selection.kept)
        return LlmForecast(estimate, rows, steps, kept)
