"""The methods that cut inside steps, by name: whole traces in, their units out, cut to the budget.

| method | what goes first | source |
|---|---|---|
| selective-context | phrases, sentences or tokens of low self-information | arXiv:2310.06201 |
| llmlingua2 | words that a trained classifier would drop | arXiv:2403.12968 |
| tokenskip | the same, down to a share that each row draws | arXiv:2502.12067 |
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asap.errors import RowError
from asap.lm.hub import Dtype
from asap.lm.scorer import Scorer
from asap.lm.tokens import TokenCounter
from asap.prune.llmlingua2 import ClassifierImportance, TokenImportance, word_units
from asap.prune.phrases import load_chunker
from asap.prune.selective_context import SelectiveContext
from asap.prune.tokenskip import ratio_of
from asap.prune.unit_cut import UnitCut
from asap.prune.units import Units
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
        if settings.name == "selective-context":
            chunker = load_chunker(settings.phrases if settings.unit == "phrase" else "regex")
            self.selective = SelectiveContext(scorer, chunker, unit=settings.unit)
            self.identity |= self.selective.identity
        else:
            self.importance = importance or load_importance(settings.classifier)
            self.identity |= {"classifier": dict(self.importance.identity)}

    def decide(self, sample: Sample) -> UnitCut:
        """The decision about a sample. Raises RowError where this row cannot be scored."""
        steps = split_steps(sample.cot, self.settings.step_split)
        if not steps:
            raise RowError("empty_think", "the trace has no step: nothing but white space", sample.id)
        try:
            units, windows = self._units(sample.cot)
        except RowError as error:
            raise RowError(error.reason, error.detail, sample.id) from error
        settings = self.settings
        whole = UnitCut.whole(sample, settings.name, steps, units, self.tokens, windows=windows)
        if settings.name == "tokenskip":
            whole = replace(whole, gamma=1.0)
        ratio = ratio_of(settings.name, sample, settings.ratio, settings.seed, settings.gammas)
        return whole.cut(sample.cot, lambda: self.tokens, budget=settings.budget, ratio=ratio)

    def _units(self, text: str) -> tuple[Units, int]:
        settings = self.settings
        if settings.name == "selective-context":
            return self.selective.units(text)
        return word_units(text, self.importance(text), keep_digits=settings.keep_digits), 1
