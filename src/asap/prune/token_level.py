"""The methods that cut inside steps, by name: whole traces in, their units out, cut to the budget.

| method | what goes first | source |
|---|---|---|
| selective-context | phrases, sentences or tokens of low self-information | arXiv:2310.06201 |
| llmlingua2 | words that a trained classifier would drop | arXiv:2403.12968 |
| tokenskip | the same, down to a share that each row draws | arXiv:2502.12067 |
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asap.errors import RowError
from asap.lm.hub import Dtype
from asap.lm.scorer import Scorer
from asap.lm.tokens import TokenCounter
from asap.prune.decision import Decision, Units
from asap.prune.fine import token_budget
from asap.prune.llmlingua2 import ClassifierImportance, TokenImportance, word_units
from asap.prune.phrases import load_chunker
from asap.prune.selective_context import SelectiveContext
from asap.prune.tokenskip import GAMMAS, draw_gamma
from asap.prune.units import cut_units, whole
from asap.sample import Sample
from asap.steps import split_steps

if TYPE_CHECKING:
    from asap.prune.settings import AsapSettings

BY_CLASSIFIER = ("llmlingua2", "tokenskip")
TOKEN_LEVEL = ("selective-context", *BY_CLASSIFIER)


def load_importance(name: str, *, dtype: Dtype = "auto", device: str = "auto") -> TokenImportance:
    """The importance that the token classifier of a folder or Hub id sees."""
    from asap.lm.classifier import TokenClassifier

    return ClassifierImportance(TokenClassifier(name, dtype=dtype, device=device))


class TokenLevel:
    """Decides about traces by one of the methods. `identity` is what the output depends on beside settings and scorer."""

    def __init__(self, settings: "AsapSettings", scorer: Scorer, tokens: TokenCounter, importance: TokenImportance | None = None) -> None:
        self.settings, self.tokens = settings, tokens
        self.identity: dict[str, Any] = {}
        if settings.method == "selective-context":
            chunker = load_chunker(settings.phrases if settings.unit == "phrase" else "regex")
            self.selective = SelectiveContext(scorer, chunker, unit=settings.unit)
            self.identity |= self.selective.identity
        else:
            self.importance = importance or load_importance(settings.classifier)
            self.identity |= {"classifier": dict(self.importance.identity)}

    def decide(self, sample: Sample) -> Decision:
        """The decision about a sample. Raises RowError where this row cannot be scored."""
        steps = split_steps(sample.cot, self.settings.step_split)
        if not steps:
            raise RowError("empty_think", "the trace has no step: nothing but white space", sample.id)
        try:
            units, windows = self._units(sample.cot)
        except RowError as error:
            raise RowError(error.reason, error.detail, sample.id) from error
        uncut = whole(sample, self.settings.method, units, steps, self.tokens, windows)
        budget, ratio, seed, gammas = self.settings.budget, self.settings.ratio, self.settings.seed, self.settings.gammas
        return settled(uncut, sample, lambda: self.tokens, budget=budget, ratio=ratio, seed=seed, gammas=gammas)

    def _units(self, text: str) -> tuple[Units, int]:
        settings = self.settings
        if settings.method == "selective-context":
            return self.selective.units(text)
        return word_units(text, self.importance(text), keep_digits=settings.keep_digits), 1


def settled(
    decision: Decision,
    sample: Sample,
    tokens: Callable[[], TokenCounter],
    *,
    budget: int | None = None,
    ratio: float | None = None,
    seed: int = 0,
    gammas: Sequence[float] = GAMMAS,
) -> Decision:
    """The decision at a budget or ratio; TokenSkip draws its ratio where none is given. `tokens` is asked for if it is needed."""
    gamma = None
    if decision.method == "tokenskip":
        gamma = ratio = draw_gamma(sample, seed, gammas) if ratio is None else ratio
    same = (decision.budget, decision.gamma) == (token_budget(decision.tokens_before, budget=budget, ratio=ratio), gamma)
    if same and decision.budget is not None:
        return decision
    return replace(cut_units(decision, sample.cot, tokens(), budget=budget, ratio=ratio), gamma=gamma)
