"""Turns a stored decision into the one that the settings require: another budget, or another method by stored scores.

A run settles each decision when it writes its files, and so does `asap cut`; no model reads anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from asap.errors import InputError, RowError
from asap.lm.scorer import NoModel
from asap.lm.tokens import TokenCounter
from asap.prune.decision import Decision
from asap.prune.decision.backfill import backfilled
from asap.prune.decision.step_cut import CoarseReport, StepCut
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.fine.joined_tokens import removal_tokens
from asap.prune.fine.removal import removal_order
from asap.prune.methods import METHODS
from asap.prune.methods.method import is_one_pass, needs_entropies, needs_model, scores_of
from asap.prune.methods.tokenskip import draw_gamma
from asap.prune.together import together
from asap.prune.trace import Trace
from asap.sample import Sample
from asap.spans import Span


def settled_by(settings: Mapping[str, Any], load_tokens: Callable[[], TokenCounter]) -> Callable[[Decision, Sample], Decision]:
    """A function that turns a stored decision, of any method and cut, into the decision that the settings require."""
    tokens = cache(load_tokens)
    as_it_is = settings["coarse_only"] or settings["method"] == "original"
    limit = {"budget": None, "ratio": None} if as_it_is else {"budget": settings["budget"], "ratio": settings["ratio"]}

    def settle(decision: Decision, sample: Sample) -> Decision:
        if decision.method != settings["method"]:
            keep = {name: settings[name] for name in ("seed", "keep_first", "keep_last", "gap")}
            decision = reordered(decision, sample, settings["method"], tokens(), **keep)
        elif settings.get("support_floor") is not None and decision.floor is not None:
            return decision
        ratio = limit["ratio"]
        if decision.gamma is not None and ratio is None:
            ratio = draw_gamma(sample, settings["seed"], settings["gammas"])
        again = decision.cut(sample.cot, tokens, budget=limit["budget"], ratio=ratio)
        if settings["backfill"] and again is not decision and isinstance(again, StepCut):
            return backfilled(again, sample.cot, tokens())
        return again

    return settle


def reordered(
    decision: Decision,
    sample: Sample,
    method: str,
    tokens: TokenCounter,
    *,
    seed: int = 0,
    keep_first: int = 0,
    keep_last: int = 0,
    gap: str = "",
) -> StepCut:
    """The decision of `method` about the whole trace, not cut yet. Raises InputError if its scores are not stored."""
    spans = [Span(step.start, step.end) for step in decision.steps]
    scores = _scores(decision, sample, spans, method, tokens, seed)
    num_steps = len(spans)
    protected = [index for index in range(num_steps) if index < keep_first or index >= num_steps - keep_last]
    free = [index for index in range(num_steps) if keep_first <= index < num_steps - keep_last]
    order = [group[place] for group in (free, protected) for place in removal_order([scores[index] for index in group])]
    lengths = removal_tokens(sample.cot, spans, order, tokens, gap)
    rank = {index: place for place, index in enumerate(order)}
    steps = [
        replace(
            step,
            tokens=lengths.step_tokens[step.index],
            match=None,
            alignment=None,
            surprisal=scores[step.index] if method == "asap" else None,
            score=scores[step.index],
            rank=rank[step.index],
            tokens_left=lengths.tokens_left[rank[step.index]],
            kept=True,
            removed_by=None,
        )
        for step in decision.steps
    ]
    return StepCut(
        id=decision.id,
        method=method,
        tokens_before=decision.tokens_before,
        tokens_coarse=decision.tokens_before,
        tokens_after=decision.tokens_before,
        budget=None,
        min_steps=max(1, len(protected)),
        windows=decision.windows,
        unread=0 if isinstance(decision, UnitCut) else decision.unread,
        coarse=CoarseReport("none"),
        steps=steps,
        gap=gap,
    )


def _scores(decision: Decision, sample: Sample, spans: Sequence[Span], method: str, tokens: TokenCounter, seed: int) -> list[float]:
    if not needs_model(METHODS[method]):
        steps = Trace(sample, spans, "", "", tokens, seed).steps(range(len(spans)))
        [scores] = together([scores_of(METHODS[method], steps)], NoModel(tokens))
        if isinstance(scores, RowError):
            raise scores
        return scores
    stored = [(step.scores or {}).get(method) for step in decision.steps]
    if method == "alignment" and None in stored:  # stage 1 stores it too, but does not score a trace of one step
        stored = [step.alignment for step in decision.steps] if len(spans) > 1 else [0.0]
    known = [score for score in stored if score is not None]
    if len(known) != len(spans):
        how_to = (
            "--scores one-pass and a scorer that is not behind a server"
            if needs_entropies(METHODS[method])
            else "--scores one-pass"
            if is_one_pass(METHODS[method])
            else "--coarse align or --scores every"
            if method == "alignment"
            else "--scores every"
        )
        raise InputError(f"no scores of method {method!r} are stored; run asap prune with {how_to} first")
    return known
