"""The paper's method: coarse, then fine (§3.1). Either stage can be switched off, which gives the paper's ablations.

The rivals and controls that judge whole steps (`methods.py`) take the same way, without the coarse stage; those that cut inside
steps (`token_level.py`) a shorter one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from asap.errors import RowError, UsageError
from asap.lm.generate import Generator
from asap.lm.prompt_style import PromptStyle, default_context, render_context
from asap.lm.scorer import NoModel, Scored, Scorer, ScoreRequest
from asap.lm.specs import load_scorer, load_tokens
from asap.lm.tokens import TokenCounter
from asap.prune.align import DEPTH, alignments, anchored_prompt, unaligned
from asap.prune.coarse import Guide, Verdict
from asap.prune.decision import CoarseReport, Decision, Pruned, StepDecision
from asap.prune.fine import backfilled, cut, recounted, removal_order, removal_tokens
from asap.prune.floor import floored
from asap.prune.llmlingua2 import TokenImportance
from asap.prune.methods import METHODS, Steps
from asap.prune.settings import AsapSettings
from asap.prune.surprisal import visible
from asap.prune.token_level import TOKEN_LEVEL, TokenLevel
from asap.sample import Sample
from asap.steps import SEPARATOR, Span, join_steps, split_steps

_NO_VERDICT = Verdict(None, None, 0, [])


class _Trace(NamedTuple):
    """A sample with its steps and the text before its trace."""

    sample: Sample
    spans: list[Span]
    context: str


class _Coarse(NamedTuple):
    """What stage 1 found: which steps go, an alignment or a match per step (None where there is none), and the plain scores."""

    removed: list[bool]
    report: CoarseReport
    alignments: list[float] | None = None
    match: dict[int, float] | None = None
    plain: Scored | None = None
    windows: int = 1


class _Fine(NamedTuple):
    """What stage 2 found: the method's score of each surviving step by index, the order in which they go, and what was read for it."""

    scores: dict[int, float]
    order: list[int]
    read: Scored


class Asap:
    """Prunes samples by first-token surprisal. Holds the scorer; `tokens` counts the budget (default: the scorer's tokenizer).

    `llm` guides stage 1 with `coarse="select"` or "rewrite"; a trace for which it gives no usable reply falls back to `align`.
    `importance` replaces the token classifier of `llmlingua2` and `tokenskip`.

    Example: ``Asap(load_scorer("bundled"), AsapSettings(budget=1024)).prune(sample).sample.cot``
    """

    def __init__(
        self,
        scorer: Scorer | None = None,
        settings: AsapSettings | None = None,
        *,
        tokens: TokenCounter | None = None,
        llm: Generator | None = None,
        importance: TokenImportance | None = None,
    ) -> None:
        self.settings = settings or AsapSettings()
        if self.settings.uses_llm and llm is None:
            raise UsageError(f"coarse {self.settings.coarse!r} needs an LLM, for example openai:<model>; without one use align or none")
        self.guide = Guide(llm, self.settings) if self.settings.uses_llm and llm is not None else None
        self.method = self.settings.method
        self.scorer = scorer or (load_scorer() if self.settings.needs_scorer else NoModel(load_tokens("bundled")))
        self.tokens = tokens or self.scorer.tokens
        self.context: PromptStyle = self.settings.context or default_context(self.scorer.tokens)
        self._stores_others = self.settings.stored_scores != "own"
        inside = self.method in TOKEN_LEVEL
        self.token_level = TokenLevel(self.settings, self.scorer, self.tokens, importance) if inside else None

    def prune(self, sample: Sample) -> Pruned:
        """The sample with a shorter trace, and why. Raises RowError where this row cannot be scored."""
        decision = self.decide([sample])[0]
        if isinstance(decision, RowError):
            raise decision
        return Pruned(replace(sample, cot=decision.apply(sample.cot)), decision)

    def decide(self, samples: Sequence[Sample]) -> list[Decision | RowError]:
        """The decision about each sample, in order. On a GPU samples share batches; one that fails does not fail the others."""
        try:
            return list(self._decide(samples))
        except RowError as error:
            return [error] if len(samples) == 1 else [self.decide([sample])[0] for sample in samples]

    def _decide(self, samples: Sequence[Sample]) -> list[Decision]:
        if self.token_level is not None:
            return [self.token_level.decide(sample) for sample in samples]
        traces = [self._open(sample) for sample in samples]
        coarse = self._coarse(traces)
        fine = self._fine(traces, coarse)
        extra = self._all_scores(traces, coarse, fine) if self._stores_others else [None] * len(traces)
        return [self._finish(*parts) for parts in zip(traces, coarse, fine, extra, strict=True)]

    def _open(self, sample: Sample) -> _Trace:
        spans = split_steps(sample.cot, self.settings.step_split)
        if not spans:
            raise RowError("empty_think", "the trace has no step: nothing but white space", sample.id)
        return _Trace(sample, spans, render_context(self.scorer.tokens, sample.prompt, self.context))

    def _coarse(self, traces: list[_Trace]) -> list[_Coarse]:
        """Stage 1. A trace of one step is not asked about: a step always stays."""
        asked = [trace for trace in traces if self.settings.coarse != "none" and len(trace.spans) > 1]
        verdicts = self.guide.judge([trace.sample for trace in asked]) if self.guide else [_NO_VERDICT] * len(asked)
        to_align = [trace for trace, verdict in zip(asked, verdicts, strict=True) if verdict.kept is None]
        scores = iter(self.scorer.score([request for trace in to_align for request in self._alignment_requests(trace)]))
        verdict_of = dict(zip(map(id, asked), verdicts, strict=True))
        return [
            self._judge(trace, verdict_of[id(trace)], scores)
            if id(trace) in verdict_of
            else _Coarse([False] * len(trace.spans), CoarseReport("none"))
            for trace in traces
        ]

    def _alignment_requests(self, trace: _Trace) -> list[ScoreRequest]:
        plain = _request(trace, range(len(trace.spans)), DEPTH)
        anchored = plain._replace(context=self._anchored(trace))
        return [plain._replace(depth=None, entropy=True) if self._stores_others else plain, anchored]

    def _anchored(self, trace: _Trace) -> str:
        """The text before the trace with the answer shown in it."""
        return render_context(self.scorer.tokens, anchored_prompt(trace.sample), self.context)

    def _judge(self, trace: _Trace, verdict: Verdict, scores: Iterator[Scored]) -> _Coarse:
        """What the LLM said about a trace, or what its alignments say (two of `scores`) where there is no LLM or no verdict."""
        num_steps = len(trace.spans)
        if verdict.kept is not None:
            kept = set(verdict.kept)
            removed = [index not in kept and not self._is_protected(index, num_steps) for index in range(num_steps)]
            match = dict(zip(verdict.kept, verdict.match, strict=True)) if verdict.match else None
            return _Coarse(removed, CoarseReport(self.settings.coarse, verdict.attempts, verdict.failures), match=match)
        plain, anchored = next(scores), next(scores)
        values = alignments(plain.spans, anchored.spans)
        removed = [
            goes and not self._is_protected(index, num_steps) for index, goes in enumerate(unaligned(values, self.settings.coarse_share))
        ]
        report = CoarseReport("align", verdict.attempts, verdict.failures)
        return _Coarse(removed, report, values, plain=plain, windows=max(plain.windows, anchored.windows))

    def _fine(self, traces: list[_Trace], coarse: list[_Coarse]) -> list[_Fine]:
        """Stage 2's scores, on C_coarse; where stage 1 removed nothing its plain scores are the same and are used again."""
        survivors = [[index for index, gone in enumerate(found.removed) if not gone] for found in coarse]
        again = [found.plain is None or any(found.removed) for found in coarse]
        fresh = iter(self._read([(trace, left) for trace, left, needed in zip(traces, survivors, again, strict=True) if needed]))
        scores = [next(fresh) if needed or found.plain is None else found.plain for found, needed in zip(coarse, again, strict=True)]
        return [self._ordered(*parts) for parts in zip(traces, survivors, scores, strict=True)]

    def _read(self, asked: list[tuple[_Trace, list[int]]]) -> list[Scored]:
        """What the method needs of the model about the steps that are left; nothing where it needs none."""
        how = METHODS[self.method]

        def request(trace: _Trace, left: list[int]) -> ScoreRequest | None:
            if self._stores_others and len(left) == len(trace.spans):  # all methods take their scores from it
                return _request(trace, left, None, entropy=True)
            return None if how.depth == 0 else _request(trace, left, how.depth, entropy=how.entropy)

        requests = [request(*one) for one in asked]
        needed = [one for one in requests if one]
        scored = iter(self.scorer.score(needed))
        return [next(scored) if one else Scored([], 1) for one in requests]

    def _scored(self, trace: _Trace, left: list[int], read: Scored, method: str) -> dict[int, float]:
        texts = [trace.sample.cot[trace.spans[index].start : trace.spans[index].end] for index in left]
        seed, suffix_tokens = self.settings.seed, self.settings.suffix_tokens
        steps = Steps(trace.sample, texts, read.spans, self.tokens, self.scorer, seed, suffix_tokens)
        if METHODS[method].needs_model:
            steps = steps._replace(plain=_request(trace, left, None))
        if METHODS[method].asks:
            steps = steps._replace(anchored=self._anchored(trace))
        return dict(zip(left, METHODS[method].score(steps), strict=True))

    def _all_scores(self, traces: list[_Trace], coarse: list[_Coarse], fine: list[_Fine]) -> list[list[dict[str, float]] | None]:
        """Per step of each whole trace what the methods of `scores` make of it; those of one pass share the one that the stages made, if
        they read the whole trace, and of those that ask more what the stages found is taken."""
        methods = [name for name, how in METHODS.items() if not how.parts and (how.one_pass or self.settings.scores == "every")]
        made = [first.plain or (None if any(first.removed) else second.read) for first, second in zip(coarse, fine, strict=True)]
        unread = [trace for trace, read in zip(traces, made, strict=True) if read is None]
        fresh = iter(self._read([(trace, list(range(len(trace.spans)))) for trace in unread]))
        reads = [read or next(fresh) for read in made]
        found: list[list[dict[str, float]] | None] = []
        for trace, read, first, second in zip(traces, reads, coarse, fine, strict=True):
            everything = list(range(len(trace.spans)))
            known = {} if first.alignments is None else {"alignment": dict(enumerate(first.alignments))}
            if METHODS[self.method].asks and not self.settings.rescore:
                known[self.method] = second.scores
            by_method = {name: known.get(name) or self._scored(trace, everything, read, name) for name in methods}
            found.append([{name: scores[index] for name, scores in by_method.items()} for index in everything])
        return found

    def _ordered(self, trace: _Trace, survivors: list[int], read: Scored) -> _Fine:
        """The removal order. With `rescore` the remaining text is scored again after every so many removals."""
        scores = self._scored(trace, survivors, read, self.method)
        free = [index for index in survivors if not self._is_protected(index, len(trace.spans))]
        left, order = list(survivors), list[int]()
        while self.settings.rescore and len(free) > self.settings.rescore and len(left) > self.settings.rescore:
            by_score = [free[place] for place in removal_order([scores[index] for index in free])]
            gone = set(by_score[: self.settings.rescore])
            order += [index for index in by_score if index in gone]
            left, free = [index for index in left if index not in gone], [index for index in free if index not in gone]
            [again] = self._read([(trace, left)])
            scores.update(self._scored(trace, left, again, self.method))
        protected = [index for index in left if index not in set(free)]
        for group in (free, protected):
            order += [group[place] for place in removal_order([scores[index] for index in group])]
        return _Fine(scores, order, read)

    def _finish(self, trace: _Trace, coarse: _Coarse, fine: _Fine, extra: list[dict[str, float]] | None) -> Decision:
        """Put the stages together, cut at the budget, and check the result against a real tokenisation."""
        cot, settings = trace.sample.cot, self.settings
        gone = [index for index, removed in enumerate(coarse.removed) if removed]
        by_alignment = coarse.alignments or [0.0] * len(trace.spans)  # an LLM's verdict has no order: the earliest goes first
        first = [gone[place] for place in removal_order([by_alignment[index] for index in gone])]
        order = first + fine.order
        lengths = removal_tokens(cot, trace.spans, order, self.tokens)
        tokens_left = recounted(cot, trace.spans, order, self.tokens, settings.gap) if settings.gap else lengths.tokens_left
        tokens_before = lengths.tokens_joined if join_steps(cot, trace.spans) == cot else self.tokens.count(cot)
        as_it_is = settings.coarse_only or self.method == "original"
        budget, ratio = (None, None) if as_it_is else (settings.budget, settings.ratio)

        def decided(tokens_left: list[int]) -> Decision:
            whole = Decision(
                id=trace.sample.id,
                method=self.method,
                tokens_before=tokens_before,
                tokens_coarse=tokens_left[len(first) - 1] if first else tokens_before,
                tokens_after=0,
                budget=None,
                min_steps=max(1, sum(self._is_protected(index, len(order)) for index in range(len(order)))),
                windows=max(coarse.windows, fine.read.windows),
                coarse=coarse.report,
                steps=self._steps(trace, coarse, fine, extra, order, lengths.step_tokens, tokens_left),
                gap=settings.gap,
            )
            return cut(whole, budget=budget, ratio=ratio)

        decision = decided(tokens_left)
        if decision.changed and self.tokens.count(decision.apply(cot)) != decision.tokens_after:
            decision = decided(recounted(cot, trace.spans, order, self.tokens, settings.gap))
        if settings.backfill:
            decision = backfilled(decision, cot, self.tokens)
        if settings.support_floor is None:
            return decision
        return floored(decision, trace.sample, settings.support_floor, scorer=self.scorer, tokens=self.tokens)

    def _is_protected(self, index: int, num_steps: int) -> bool:
        return index < self.settings.keep_first or index >= num_steps - self.settings.keep_last

    def _steps(
        self,
        trace: _Trace,
        coarse: _Coarse,
        fine: _Fine,
        extra: list[dict[str, float]] | None,
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
                surprisal=fine.scores.get(index) if self.method == "asap" else None,
                score=fine.scores.get(index),
                rank=rank[index],
                tokens_left=tokens_left[rank[index]],
                kept=not coarse.removed[index],
                removed_by="coarse" if coarse.removed[index] else None,
                scores=extra[index] if extra else None,
            )
            for index, span in enumerate(trace.spans)
        ]


def _request(trace: _Trace, left: Sequence[int], depth: int | None, *, entropy: bool = False) -> ScoreRequest:
    """Ask for the first `depth` tokens (None: all) of each step that is left, in the text that is left."""
    cot, spans = trace.sample.cot, [trace.spans[index] for index in left]
    if len(left) == len(trace.spans):
        return ScoreRequest(trace.context, cot, visible(cot, spans), depth, entropy)
    text, laid, position = join_steps(cot, spans), list[Span](), 0
    for span in spans:
        laid.append(Span(position, position + span.end - span.start))
        position = laid[-1].end + len(SEPARATOR)
    return ScoreRequest(trace.context, text, visible(text, laid), depth, entropy)
