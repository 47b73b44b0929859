"""The paper's method: coarse, then fine (§3.1). Either stage can be switched off, which gives the paper's ablations.

`prune_steps` is section 3 for one sample. The rivals and controls that score whole steps (`methods/`) use it without the coarse
stage; methods that cut inside steps (`token_level.py`) do not use it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from asap.errors import RowError, UsageError
from asap.lm.generate import Generator
from asap.lm.prompt_style import PromptStyle, default_context
from asap.lm.reply_cache import ReplyCache
from asap.lm.scorer import NoModel, Scorer, Scoring
from asap.lm.scorer_own import checked_scorer
from asap.lm.scorer_shipped import SERVES, ShippedScorer
from asap.lm.specs import load_llm, load_scorer, load_tokens
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.coarse.align import alignment, unaligned
from asap.prune.coarse.anchor_guided import selections_of
from asap.prune.coarse.selection import NOT_ASKED, Selection
from asap.prune.decision import Decision, Pruned
from asap.prune.decision.backfill import backfilled
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.prune.decision.support_floor import floored
from asap.prune.fine.joined_tokens import removal_tokens
from asap.prune.fine.removal import removal_order
from asap.prune.fine.retokenized import AROUND, WHOLE, recounted
from asap.prune.methods.llmlingua2 import TokenImportance
from asap.prune.methods.method import is_one_pass, needs_entropies, scores_of
from asap.prune.methods.spirit import Spirit
from asap.prune.settings import AsapSettings, settings_from
from asap.prune.together import together
from asap.prune.token_level import TokenLevel
from asap.prune.trace import Steps, Trace
from asap.sample import Sample, checked_sample
from asap.steps import join_steps


class Asap:
    """Prunes samples, by first-token surprisal unless `settings` name another method.

    `scorer`, `tokens` and `llm` may be specs such as "bundled", `settings` a dict of them.
    `tokens` counts the budget (default: the scorer's tokenizer). `llm` guides stage 1 with `coarse="select"` or
    "rewrite"; a trace without a usable reply falls back to `align`. Replies are kept in memory.
    With `asks=False` there is no need of an LLM: the caller gives `decide` the selections. `importance` replaces the token classifier of
    `llmlingua2` and `tokenskip`.

    Example: ``Asap(load_scorer("bundled"), AsapSettings(budget=1024)).prune(sample).sample.cot``
    """

    def __init__(
        self,
        scorer: Scorer | str | None = None,
        settings: AsapSettings | Mapping[str, Any] | None = None,
        *,
        tokens: TokenCounter | str | None = None,
        llm: Generator | str | None = None,
        asks: bool = True,
        importance: TokenImportance | None = None,
    ) -> None:
        self.settings = settings_from(settings)
        if self.settings.uses_llm and llm is None and asks:
            raise UsageError(f"coarse {self.settings.stage_1!r} needs an LLM, for example openai:<model>; without one use align or none")
        self.llm = (load_llm(llm) if isinstance(llm, str) else llm) if self.settings.uses_llm else None
        self._open = ExitStack()
        self._replies = self._open.enter_context(ReplyCache.open(None)) if self.llm else None
        self.method = self.settings.name
        if isinstance(scorer, str):
            scorer = load_scorer(scorer) if self.settings.needs_scorer else NoModel(load_tokens(scorer))
        self.scorer = (
            checked_scorer(scorer, f"the scorer, a {type(scorer).__name__},")
            if scorer is not None
            else (load_scorer() if self.settings.needs_scorer else NoModel(load_tokens("bundled")))
        )
        if isinstance(self.scorer, ShippedScorer):
            check_served(self.settings)
        elif not self.scorer.gives_entropies and not self.settings.is_token_level and needs_entropies(self.settings.scoring):
            raise UsageError(f"method {self.method!r} needs entropies, which this scorer does not give; use bundled, hf:… or gguf:…")
        self.tokens = (load_tokens(tokens) if isinstance(tokens, str) else tokens) or self.scorer.tokens
        no_prompt = isinstance(self.scorer, ShippedScorer)
        self.context: PromptStyle = self.settings.context or ("raw" if no_prompt else default_context(self.scorer.tokens))
        self.token_level: TokenLevel | None = None
        if self.settings.is_token_level:
            self.token_level = TokenLevel(self.settings, self.scorer.tokens, self.tokens, importance)

    @property
    def batch_tokens(self) -> int:
        """How many tokens its scorer or its classifier reads at once (0: it reads one text after another)."""
        return max(self.scorer.batch_tokens, self.token_level.batch_tokens if self.token_level else 0)

    def prune(self, sample: Sample) -> Pruned:
        """The sample with a shorter trace, and the decision. Raises RowError if the row cannot be scored."""
        [decision] = self.decide([sample])
        if isinstance(decision, RowError):
            raise decision
        return Pruned(replace(sample, cot=decision.apply(sample.cot), logprobs=None), decision)

    def decide(self, samples: Iterable[Sample], selections: Sequence[Selection] | None = None) -> list[Decision | RowError]:
        """The decision about each sample, in order. Samples share batches on a GPU; one that fails does not fail the others.

        `selections` are the choices of stage 1's LLM; without them, this method asks the LLM.
        """
        if isinstance(samples, str | Sample | Mapping):
            raise UsageError(f"decide takes a list of samples, not a {type(samples).__name__}; prune takes one sample")
        samples = [*map(checked_sample, samples)]
        if self.token_level is not None:
            return [*together(self.token_level.decisions(samples), self.scorer)]
        if selections is None:
            selections = self._selections(samples)
        return together([self._scoring(*one) for one in zip(samples, selections, strict=True)], self.scorer)

    def _selections(self, samples: Sequence[Sample]) -> list[Selection]:
        if self.llm is None or self._replies is None:
            return [NOT_ASKED] * len(samples)
        return selections_of([self.settings.requests_about(sample) for sample in samples], self.llm, self._replies)

    def _scoring(self, sample: Sample, selection: Selection) -> Scoring[Decision]:
        settings = self.settings
        trace = Trace.of(sample, settings.split, self.context, self.scorer, self.tokens, settings.seed)
        decision = yield from prune_steps(trace, settings, selection)
        if settings.support_floor is None:
            return decision
        return (yield from floored(decision, sample, settings.support_floor, scorer_tokens=self.scorer.tokens, tokens=self.tokens))


def check_served(settings: AsapSettings) -> None:
    """Raise UsageError for settings that need more than the log-probabilities which rows ship."""
    if settings.reads_more is not None:
        raise UsageError(f"{SERVES}; {settings.reads_more} needs a model that reads: use a scorer bundled, hf:… or gguf:…")
    if settings.context is not None:
        raise UsageError("context is what a model reads before the trace, and shipped log-probabilities have the context of who wrote it")


class _Coarse(NamedTuple):
    """Stage 1's result: whether it removes each step, with the alignments or matches of the steps if it computed them."""

    removed: list[bool]
    report: CoarseReport
    alignments: list[float] | None = None
    match: dict[int, float] | None = None


class _Fine(NamedTuple):
    """Stage 2's result: the score of each step that stage 1 left, by index, and their removal order."""

    scores: dict[int, float]
    order: list[int]


def prune_steps(trace: Trace, settings: AsapSettings, selection: Selection) -> Scoring[StepCut]:
    """The decision about a trace: stage 1, stage 2, the cut. `selection` is the choice of stage 1's LLM."""
    everything = range(len(trace.spans))
    whole = trace.steps(everything, deep=settings.stored_scores != "own", every=Spirit() in settings.stored_methods)
    coarse = yield from _stage_1(whole, settings, selection)
    left = [index for index in everything if not coarse.removed[index]]
    steps = whole if len(left) == len(everything) else trace.steps(left)
    fine = yield from _stage_2(trace, left, steps, settings)
    windows = max(whole.windows, steps.windows)
    stored = yield from _stored_scores(whole, coarse, fine, settings)
    unread = max(whole.unread, steps.unread)
    del whole, steps  # the cut needs memory itself
    return replace(_budgeted(trace, coarse, fine, stored, windows, settings), unread=unread)


def _stage_1(whole: Steps, settings: AsapSettings, selection: Selection) -> Scoring[_Coarse]:
    """Stage 1 (§3.2): removes the steps that the LLM did not select, or those that the answer does not make likelier."""
    count = len(whole.texts)
    if settings.coarse is None or count < 2:
        return _Coarse([False] * count, CoarseReport("none"))
    free = [not _is_protected(index, count, settings) for index in range(count)]
    if selection.kept is not None:
        kept = set(selection.kept)
        removed = [free[index] and index not in kept for index in range(count)]
        match = dict(zip(selection.kept, selection.match, strict=True)) if selection.match else None
        return _Coarse(removed, CoarseReport(settings.stage_1, selection.attempts, selection.failures), match=match)
    alignments = yield from alignment(whole)
    removed = [free[index] and goes for index, goes in enumerate(unaligned(alignments, settings.align.coarse_share))]
    return _Coarse(removed, CoarseReport("align", selection.attempts, selection.failures), alignments)


def _stage_2(trace: Trace, left: list[int], steps: Steps, settings: AsapSettings) -> Scoring[_Fine]:
    """Stage 2 (§3.3): the removal order by ascending score, protected steps last.

    With `rescore`, the remaining text is scored again after every `rescore` removals.
    """
    scores = dict(zip(left, (yield from scores_of(settings.scoring, steps)), strict=True))
    free = [index for index in left if not _is_protected(index, len(trace.spans), settings)]
    order = list[int]()
    while settings.rescore and len(free) > settings.rescore and len(left) > settings.rescore:
        gone = _by_score(free, scores)[: settings.rescore]
        order += gone
        going = set(gone)
        left, free = [index for index in left if index not in going], [index for index in free if index not in going]
        scores.update(zip(left, (yield from scores_of(settings.scoring, trace.steps(left))), strict=True))
    unprotected = set(free)
    protected = [index for index in left if index not in unprotected]
    return _Fine(scores, [*order, *_by_score(free, scores), *_by_score(protected, scores)])


def _by_score(indices: Sequence[int], scores: dict[int, float]) -> list[int]:
    return [indices[place] for place in removal_order([scores[index] for index in indices])]


def _stored_scores(whole: Steps, coarse: _Coarse, fine: _Fine, settings: AsapSettings) -> Scoring[list[dict[str, float]] | None]:
    """The scores of other methods for each step of the whole trace, so that `asap cut --method` needs no model.

    One-pass methods share one reading; scores that the stages have already computed are reused.
    """
    if settings.stored_scores == "own":
        return None
    known: dict[str, list[float]] = {} if coarse.alignments is None else {"alignment": coarse.alignments}
    if not is_one_pass(settings.scoring) and not settings.rescore:
        known[settings.name] = [fine.scores[index] for index in range(len(whole.texts))]
    by_method = dict[str, list[float]]()
    for method in settings.stored_methods:
        if needs_entropies(method) and not whole.entropies:
            continue
        by_method[method.name] = known.get(method.name) or (yield from scores_of(method, whole))
    return [{name: scores[index] for name, scores in by_method.items()} for index in range(len(whole.texts))]


def _budgeted(
    trace: Trace, coarse: _Coarse, fine: _Fine, stored: list[dict[str, float]] | None, windows: int, settings: AsapSettings
) -> StepCut:
    """The decision of both stages, cut at the budget (Algorithm 2) and checked against a real tokenisation."""
    cot, spans, tokens = trace.sample.cot, trace.spans, trace.tokens
    gone = [index for index, removed in enumerate(coarse.removed) if removed]
    first = _by_score(gone, dict(enumerate(coarse.alignments or [0.0] * len(spans))))  # an LLM's selection has no order: the earliest first
    order = first + fine.order
    lengths = removal_tokens(cot, spans, order, tokens, settings.gap)
    tokens_before = lengths.tokens_joined if join_steps(cot, spans) == cot else by_words(tokens).count(cot)
    as_it_is = settings.coarse_only or settings.name == "original"
    budget, ratio = (None, None) if as_it_is else (settings.budget, settings.ratio)

    def decided(tokens_left: list[int]) -> StepCut:
        whole = StepCut(
            id=trace.sample.id,
            method=settings.name,
            tokens_before=tokens_before,
            tokens_coarse=tokens_left[len(first) - 1] if first else tokens_before,
            tokens_after=0,
            budget=None,
            min_steps=max(1, sum(_is_protected(index, len(order), settings) for index in range(len(order)))),
            windows=windows,
            coarse=coarse.report,
            steps=_step_decisions(trace, settings.name, coarse, fine, stored, order, lengths.step_tokens, tokens_left),
            gap=settings.gap,
        )
        return whole.cut(budget=budget, ratio=ratio)

    decision = decided(lengths.tokens_left)
    for around in (AROUND, WHOLE):
        if decision.changed and by_words(tokens).count(decision.apply(cot)) != decision.tokens_after:
            decision = decided(recounted(cot, spans, order, tokens, settings.gap, around))
    return backfilled(decision, cot, tokens) if settings.backfill else decision


def _is_protected(index: int, count: int, settings: AsapSettings) -> bool:
    return index < settings.keep_first or index >= count - settings.keep_last


def _step_decisions(
    trace: Trace,
    method: str,
    coarse: _Coarse,
    fine: _Fine,
    stored: list[dict[str, float]] | None,
    order: list[int],
    step_tokens: list[int],
    tokens_left: list[int],
) -> list[StepDecision]:
    rank = {index: place for place, index in enumerate(order)}
    return [
        StepDecision(
            index=index,
            start=span.start,
            end=span.end,
            tokens=step_tokens[index],
            match=coarse.match.get(index) if coarse.match else None,
            alignment=coarse.alignments[index] if coarse.alignments else None,
            surprisal=fine.scores.get(index) if method == "asap" else None,
            score=fine.scores.get(index),
            rank=rank[index],
            tokens_left=tokens_left[rank[index]],
            kept=not coarse.removed[index],
            removed_by="coarse" if coarse.removed[index] else None,
            scores=stored[index] if stored else None,
        )
        for index, span in enumerate(trace.spans)
    ]
