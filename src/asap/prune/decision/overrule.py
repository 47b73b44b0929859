"""What a person decided about a row instead of the stages (`asap cut --overrule`), applied to its decision.

The steps that a ruling names are as it says and all others as they were: nothing else is cut, or put back, to make up for it.

What this does not do: read rulings from a file, or drop rows (`asap.rulings`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

from asap.digest import content_digest
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.decision import Decision
from asap.prune.decision.step_cut import Overruled, StepCut
from asap.sample import Sample

DROPPED = "dropped"
"""The reason why a row is not written that a person dropped."""
_DIGITS = 16  # of the digest: a ruling has to be told from others by accident, not by intent


class Ruling(NamedTuple):
    """What a person decided about a row with this `ruling_digest`: to leave it whole, to drop it, or which steps to keep and to remove."""

    digest: str
    row: Literal["whole", "drop"] | None = None
    keep: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()


def ruling_digest(sample: Sample, decision: Decision) -> str:
    """The digest of a row's texts and of where its steps are: a ruling on another text, or on other steps, has another one."""
    return content_digest(sample.digest(), [(step.start, step.end) for step in decision.steps])[:_DIGITS]


def overruled(decision: Decision, cot: str, ruling: Ruling, tokens: Callable[[], TokenCounter]) -> Decision:
    """The decision with a ruling applied; `tokens` counts what is left, and is called only if it has to."""
    whole = ruling.row == "whole"
    keep = {step.index for step in decision.steps} if whole else {*ruling.keep}
    back = {by: [step.index for step in decision.steps if step.index in keep and step.removed_by == by] for by in ("coarse", "fine")}
    told = Overruled(whole, sorted(ruling.keep), sorted(ruling.remove), back["coarse"], back["fine"], decision.tokens_after)
    if not isinstance(decision, StepCut):
        return replace(decision.cut(cot, tokens, ratio=1.0), budget=decision.budget, overruled=told)
    remove = {step.index for step in decision.steps if step.kept and step.index in ruling.remove}
    steps = [
        replace(step, kept=True, removed_by=None)
        if step.index in keep
        else replace(step, kept=False, removed_by="person")
        if step.index in remove
        else step
        for step in decision.steps
    ]
    made = replace(decision, steps=steps, overruled=told)
    if not made.changed:
        return replace(made, tokens_after=made.tokens_before)
    return made if steps == decision.steps else replace(made, tokens_after=by_words(tokens()).count(made.apply(cot)))
