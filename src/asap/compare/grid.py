"""Every method at every ratio on the same rows: prunes once, cuts from the stored scores, and measures.

One run of `asap` stores the scores of all one-pass methods; methods that need a pass for each step, and those that cut inside
steps, get separate runs. All runs and measured values are in the output folder, so an interrupted comparison resumes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from asap.compare.cluster import cluster_of
from asap.compare.copies import Copies
from asap.compare.measurement import Measure, Measurement, Strip
from asap.compare.structure import structure
from asap.compare.sufficiency import Sufficiency
from asap.compare.support import SupportScorer
from asap.dataset.source import Source
from asap.errors import RowError, UsageError, unknown
from asap.events import Listener, MeasuringProgress
from asap.lm.scorer import Scorer
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.decision import Decision
from asap.prune.methods import METHODS, TOKEN_LEVEL
from asap.prune.methods.llmlingua2 import LLMLingua2
from asap.prune.methods.method import is_one_pass, needs_entropies
from asap.prune.methods.tokenskip import TokenSkip
from asap.prune.settings import AsapSettings
from asap.prune.settle import reordered
from asap.run import prune_into
from asap.sample import Sample
from asap.store.work import Store
from asap.totals import Totals
from asap.workers.local import InProcess


class Grid(NamedTuple):
    """The methods, ratios and settings to compare. `asap-fine` is `asap` without stage 1, the paper's ablation."""

    methods: Sequence[str]
    ratios: Sequence[float]
    settings: AsapSettings
    words: LLMLingua2 = LLMLingua2()
    """The settings by which llmlingua2 and tokenskip choose words."""
    strip: Strip = "copies"
    cluster: str | None = None
    """The column that names the problem of a row; None: the question does."""

    @staticmethod
    def check(methods: Sequence[str], ratios: Sequence[float]) -> None:
        """Raise UsageError for an unknown method, or a ratio that is invalid or leaves nothing to compare."""
        known = [*(name for name in METHODS if name != "original"), FINE, *TOKEN_LEVEL]
        for name in methods:
            if name not in known and ":" not in name:
                raise UsageError(unknown("method", name, known))
        for ratio in ratios:
            if not 0 < ratio < 1:
                raise UsageError(f"ratio {ratio:g} is not between 0 and 1")
        for what, values in (("method", methods), ("ratio", ratios)):
            if not values or len(set(values)) != len(values):
                raise UsageError(f"name at least one {what}, each once")
        if {"llmlingua2", "tokenskip"} <= {*methods}:
            raise UsageError("at a given ratio tokenskip is llmlingua2; name one of them")


FINE = "asap-fine"


def pruners_of(grid: Grid, scorer: Scorer, tokens: TokenCounter | None = None) -> dict[str, Asap]:
    """The pruners of the runs that store all scores: `asap`, and one for each method that needs its own run.

    Raises UsageError for methods whose scores the scorer cannot give.
    """
    for name in grid.methods:
        if name in METHODS and needs_entropies(METHODS[name]) and not scorer.gives_entropies:
            raise UsageError(f"method {name!r} needs entropies, which this scorer does not give; leave it out of --methods")
    with_classifier = {"llmlingua2": grid.words, "tokenskip": TokenSkip(grid.words)}

    def of_run(name: str) -> AsapSettings:
        changes: dict[str, Any] = {} if name == "asap" else {"method": with_classifier.get(name, name), "coarse": "none"}
        return replace(grid.settings, **changes)

    return {name: Asap(scorer, of_run(name), tokens=tokens) for name in _runs(grid)}


def prune_all(folder: Path, source: Source, pruners: Mapping[str, Asap], listener: Listener) -> Totals:
    """Make the runs in `folder/runs` and return the totals of the run `asap`."""
    totals = {name: prune_into(folder / "runs" / name, source, InProcess(pruner), listener=listener) for name, pruner in pruners.items()}
    return totals["asap"]


def measure_all(
    folder: Path,
    judge: SupportScorer,
    grid: Grid,
    tokens: TokenCounter,
    on_progress: Callable[[MeasuringProgress], None],
    sufficiency: Sufficiency | None,
) -> Iterator[Measurement | RowError]:
    """Every measurement of each row by method, ratio and measure, row by row; for a row without numbers, its error."""
    with ExitStack() as stack:
        stores = {name: stack.enter_context(Store.open(folder / "runs" / name, create=False)) for name in _runs(grid)}
        rows = stores["asap"].missing().rows
        for number, entry in enumerate(stores["asap"].entries(), start=1):
            if entry.sample is not None and entry.decision is not None:
                others = {name: store.decision(entry.sample) for name, store in stores.items() if name != "asap"}
                try:
                    yield from _measure_row(judge, grid, tokens, entry.sample, {"asap": entry.decision, **others}, sufficiency)
                except RowError as error:
                    yield error
            on_progress(MeasuringProgress(number, rows, judge.computed))


def _runs(grid: Grid) -> list[str]:
    own = {*(name for name, method in METHODS.items() if not is_one_pass(method)), *TOKEN_LEVEL}
    if grid.settings.stage_1 == "align":  # asap's stage 1 stores it
        own -= {"alignment"}
    return ["asap", *(name for name in grid.methods if name in own or ":" in name)]


def _measure_row(
    judge: SupportScorer,
    grid: Grid,
    tokens: TokenCounter,
    sample: Sample,
    stored: Mapping[str, Decision | None],
    sufficiency: Sufficiency | None,
) -> list[Measurement]:
    cluster = cluster_of(sample, grid.cluster)
    decisions = {name: _uncut(name, stored, sample, tokens, grid.settings) for name in grid.methods}
    windowed = any(decision.windows > 1 for decision in decisions.values()) or judge.in_windows(sample, sample.cot)
    cuts = [
        (name, ratio, decision.cut(sample.cot, lambda: tokens, ratio=ratio))
        for name, decision in decisions.items()
        for ratio in grid.ratios
    ]
    copies = Copies.find(sample)
    forms = [(structure(sample.cot, decision), copies.left(decision)) for _, _, decision in cuts]
    in_full = {f"{name}_full": number for name, number in copies.left()._asdict().items()}
    found = []
    for measure, values_of, trace_of, whole in _measures(judge, copies, grid.strip, sample, sufficiency):
        none, full, *cut = values_of(["", whole, *(trace_of(decision) for _, _, decision in cuts)])
        for (name, ratio, decision), (form, left), value in zip(cuts, forms, cut, strict=True):
            if value is None or none is None or full is None:  # no tests, no room in the context, or no verdict of the sandbox
                continue
            lengths, values = (decision.tokens_after, decision.tokens_before), (float(value), float(none), float(full))
            counts = {**form._asdict(), **left._asdict(), **in_full}
            found.append(Measurement(sample.id, name, ratio, measure, *lengths, *values, windowed=windowed, cluster=cluster, **counts))
    return found


class _Way(NamedTuple):
    """A measure applied to a row: the values of traces, the trace that a decision leaves, and the full one."""

    measure: Measure
    values_of: Callable[[Sequence[str]], Sequence[float | None]]
    trace_of: Callable[[Decision], str]
    whole: str


def _measures(judge: SupportScorer, copies: Copies, strip: Strip, sample: Sample, sufficiency: Sufficiency | None) -> Iterator[_Way]:
    def supports(traces: Sequence[str]) -> list[float]:
        return judge.supports(sample, traces)

    def pruned(decision: Decision) -> str:
        return decision.apply(sample.cot)

    if strip != "none":
        yield _Way("support without copies", supports, copies.cut, copies.blanked)
    if strip != "copies":
        yield _Way("support", supports, pruned, sample.cot)
    if sufficiency is not None:
        passes = partial(sufficiency.passes, sample)
        if strip != "none":
            yield _Way("passing answers without copies", passes, copies.cut, copies.blanked)
        if strip != "copies":
            yield _Way("passing answers", passes, pruned, sample.cot)


def _uncut(name: str, stored: Mapping[str, Decision | None], sample: Sample, tokens: TokenCounter, settings: AsapSettings) -> Decision:
    """The decision of a method about a row, which can be cut at any ratio."""
    method = "asap" if name == FINE else name
    own = stored.get(name, stored["asap"])
    if own is None:
        raise RowError("not_decided", f"the run of method {name} rejected this row", sample.id)
    if name == own.method:
        return own
    return reordered(own, sample, method, tokens, seed=settings.seed, keep_first=settings.keep_first, keep_last=settings.keep_last)
