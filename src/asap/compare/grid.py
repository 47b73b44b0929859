"""Every method at every ratio on the same rows: prune once, cut from what is stored, judge.

One run of `asap` stores the scores of all one-pass methods; methods that need a pass for each step, and those that cut inside
steps, get runs of their own. All of it is in the output folder and resumes: the runs by their stores, the judge by its verdicts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from asap.compare.judged import Judged, Measure
from asap.compare.structure import structure
from asap.compare.sufficiency import Sufficiency
from asap.compare.support import Judge
from asap.errors import RowError, UsageError
from asap.lm import Scorer
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.decision import Decision
from asap.prune.fine import cut
from asap.prune.methods import METHODS
from asap.prune.reorder import reordered
from asap.prune.settings import AsapSettings
from asap.prune.token_level import TOKEN_LEVEL, settled
from asap.run import Listener, Source, prune_into
from asap.sample import Sample
from asap.store import Store


class Grid(NamedTuple):
    """What is compared. `coarse` is stage 1 of `asap`; `asap-fine` is the method without it, as the paper's ablation."""

    methods: Sequence[str]
    ratios: Sequence[float]
    settings: AsapSettings

    @staticmethod
    def check(methods: Sequence[str], ratios: Sequence[float]) -> None:
        """Raise UsageError where a method is unknown, or a ratio is none or leaves nothing to compare."""
        known = [*(name for name in METHODS if name != "original"), FINE, *TOKEN_LEVEL]
        for name in methods:
            if name not in known:
                raise UsageError(f"unknown method {name!r}; choose from {', '.join(known)}")
        for ratio in ratios:
            if not 0 < ratio < 1:
                raise UsageError(f"ratio {ratio:g} is not between 0 and 1")
        for what, values in (("method", methods), ("ratio", ratios)):
            if not values or len(set(values)) != len(values):
                raise UsageError(f"name at least one {what}, each once")


FINE = "asap-fine"


class Place(NamedTuple):
    """How far the judging is: rows judged of how many, and verdicts made (not found) so far."""

    row: int
    rows: int
    asked: int


def prune_all(folder: Path, source: Source, scorer: Scorer, grid: Grid, *, tokens: TokenCounter | None = None, listener: Listener) -> None:
    """The runs that hold all scores: `folder/runs/asap`, and one for each method that needs its own (`_runs`)."""
    for name in _runs(grid):
        of_run: dict[str, Any] = {"scores": "one-pass"} if name == "asap" else {"method": name, "coarse": "none"}
        settings = replace(grid.settings, **of_run)
        prune_into(folder / "runs" / name, source, Asap(scorer, settings, tokens=tokens), listener=listener)


def judge_all(
    folder: Path,
    judge: Judge,
    grid: Grid,
    tokens: TokenCounter,
    told: Callable[[Place], None] = lambda place: None,
    sufficiency: Sufficiency | None = None,
) -> Iterator[Judged | RowError]:
    """What the judge says about each row, method, ratio and measure, row by row; a row without numbers gives its error."""
    with ExitStack() as stack:
        stores = {name: stack.enter_context(Store.open(folder / "runs" / name, create=False)) for name in _runs(grid)}
        rows = stores["asap"].missing().rows
        for number, entry in enumerate(stores["asap"].entries(), start=1):
            if entry.sample is not None and entry.decision is not None:
                others = {name: store.decision(entry.sample) for name, store in stores.items() if name != "asap"}
                try:
                    yield from _judge_row(judge, grid, tokens, entry.sample, {"asap": entry.decision, **others}, sufficiency)
                except RowError as error:
                    yield error
            told(Place(number, rows, judge.asked))


def _runs(grid: Grid) -> list[str]:
    own = {*(name for name, how in METHODS.items() if not how.one_pass), *TOKEN_LEVEL}
    if grid.settings.coarse == "align":  # stage 1 of asap stores it
        own -= {"alignment"}
    return ["asap", *(name for name in grid.methods if name in own)]


def _judge_row(
    judge: Judge,
    grid: Grid,
    tokens: TokenCounter,
    sample: Sample,
    stored: Mapping[str, Decision | None],
    sufficiency: Sufficiency | None,
) -> list[Judged]:
    decisions = {name: _uncut(name, stored, sample, tokens, grid.settings) for name in grid.methods}
    at_ratios = {(name, ratio): _cut(decision, sample, tokens, ratio) for name, decision in decisions.items() for ratio in grid.ratios}
    traces = {key: at_ratio.apply(sample.cot) for key, at_ratio in at_ratios.items()}
    forms = {key: structure(sample.cot, at_ratio) for key, at_ratio in at_ratios.items()}
    measures: dict[Measure, Callable[[str], float | None]] = {
        "support": lambda trace: judge.support(sample, trace),
        "support without code": lambda trace: judge.support(sample, trace, with_code=False),
    }
    if sufficiency is not None:
        measures["passing answers"] = lambda trace: sufficiency.passes(sample, trace)
    found = []
    for measure, value_of in measures.items():
        none, full = value_of(""), value_of(sample.cot)
        for (name, ratio), at_ratio in at_ratios.items():
            value, form = value_of(traces[name, ratio]), forms[name, ratio]
            if value is None or none is None or full is None:  # no tests, or no verdict of the sandbox
                continue
            lengths, values = (at_ratio.tokens_after, at_ratio.tokens_before), (float(value), float(none), float(full))
            found.append(Judged(sample.id, name, ratio, measure, *lengths, *values, form.open_fences, form.dangling, form.last_kept))
    return found


def _cut(decision: Decision, sample: Sample, tokens: TokenCounter, ratio: float) -> Decision:
    return cut(decision, ratio=ratio) if decision.units is None else settled(decision, sample, lambda: tokens, ratio=ratio)


def _uncut(name: str, stored: Mapping[str, Decision | None], sample: Sample, tokens: TokenCounter, settings: AsapSettings) -> Decision:
    """The decision of a method about a row, to be cut at any ratio."""
    method = "asap" if name == FINE else name
    own = stored.get(name, stored["asap"])
    if own is None:
        raise RowError("not_decided", f"the run of method {name} rejected this row", sample.id)
    if name == own.method:
        return own
    return reordered(own, sample, method, tokens, seed=settings.seed, keep_first=settings.keep_first, keep_last=settings.keep_last)
