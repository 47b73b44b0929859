"""Token-level methods, which cut inside steps: they score the units of a whole trace, and the budget decides which are kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asap.errors import RowError
from asap.lm.hub import Dtype
from asap.lm.scorer import Scoring
from asap.lm.tokens import TokenCounter
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Units
from asap.prune.methods.llmlingua2 import ClassifierImportance, Importance, TokenImportance
from asap.prune.methods.phrases import load_chunker
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.tokenskip import TokenSkip, draw_gamma
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from asap.steps import split_steps


def load_importance(name: str, *, dtype: Dtype = "auto", device: str = "auto") -> TokenImportance:
    """The token classifier of a folder or Hub id."""
    from asap.lm.classifier import TokenClassifier

    return ClassifierImportance(TokenClassifier(name, dtype=dtype, device=device))


class TokenLevel:
    """A token-level method with its classifier or chunker. `scorer_tokens` is the scorer's tokenizer, `tokens` counts the budget.

    `identity` names what the output depends on besides settings and scorer.
    """

    def __init__(
        self, settings: AsapSettings, scorer_tokens: TokenCounter, tokens: TokenCounter, importance: TokenImportance | None = None
    ) -> None:
        self.settings, self.scorer_tokens, self.tokens = settings, scorer_tokens, tokens
        self.identity: dict[str, Any] = {}
        self.importance: TokenImportance | None = None
        method = settings.method
        if isinstance(method, SelectiveContext):
            self.chunker = load_chunker(method.phrases if method.unit == "phrase" else "regex")
            if method.unit == "phrase":
                self.identity["phrases"] = self.chunker.identity
        else:
            self.importance = importance or load_importance(settings.words.classifier)
            self.identity["classifier"] = dict(self.importance.identity)

    @property
    def batch_tokens(self) -> int:
        """How many tokens its classifier reads at once (0: one trace after another, or none)."""
        return 0 if self.importance is None else self.importance.batch_tokens

    def decisions(self, samples: Sequence[Sample]) -> list[Scoring[UnitCut]]:
        """The decision about each sample. A classifier reads all traces together; a scorer is asked by each decision."""
        read: Sequence[Importance | RowError | None] = [None] * len(samples)
        if self.importance is not None:
            read = _read(self.importance, [sample.cot for sample in samples])
        return [self._decide(*one) for one in zip(samples, read, strict=True)]

    def _decide(self, sample: Sample, importance: Importance | RowError | None) -> Scoring[UnitCut]:
        """The decision about a sample. Raises RowError if the row cannot be scored."""
        settings = self.settings
        steps = split_steps(sample.cot, settings.split)
        if isinstance(settings.method, TokenSkip) and sample.turn is not None:
            raise RowError("conversation", "tokenskip states its ratio in the question, and a turn of a conversation has none", sample.id)
        if not steps:
            raise RowError("empty_think", "the trace has no step: nothing but white space", sample.id)
        try:
            units, windows = yield from self._units(sample.cot, importance)
        except RowError as error:
            raise RowError(error.reason, error.detail, sample.id) from error
        decision, ratio = UnitCut.whole(sample, settings.name, steps, units, self.tokens, windows=windows), settings.ratio
        if isinstance(settings.method, TokenSkip):
            decision = replace(decision, gamma=1.0)
            ratio = draw_gamma(sample, settings.seed, settings.method.gammas) if ratio is None else ratio
        return decision.cut(sample.cot, lambda: self.tokens, budget=settings.budget, ratio=ratio)

    def _units(self, text: str, importance: Importance | RowError | None) -> Scoring[tuple[Units, int]]:
        """The units of a trace, and the number of windows that the scorer needed."""
        method = self.settings.method
        if isinstance(method, SelectiveContext):
            return (yield from method.units(text, self.scorer_tokens, self.chunker))
        if isinstance(importance, RowError):
            raise importance
        assert importance is not None, "there is a classifier"
        return self.settings.words.units(text, importance), 1


def _read(importance: TokenImportance, texts: Sequence[str]) -> list[Importance | RowError]:
    """The importance of each text's tokens. If the shared call fails, each text gets a call of its own."""
    try:
        return [*importance(texts)]
    except RowError as error:
        return [error] if len(texts) == 1 else [one for text in texts for one in _read(importance, [text])]
