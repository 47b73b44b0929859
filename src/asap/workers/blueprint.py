"""What a worker builds its pruner from: settings and the names of models, so that a process or a machine elsewhere builds the same."""

from dataclasses import dataclass

from asap.lm.hub import Dtype
from asap.lm.scorer import NoModel, Scorer
from asap.lm.specs import is_server, load_scorer, load_tokens, shipped_columns
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.prune.token_level import load_importance


@dataclass(frozen=True)
class Blueprint:
    """The settings of a run and the specs of its models. Pickles to a few hundred bytes; an own method by its name."""

    settings: AsapSettings
    scorer: str = "bundled"
    tokenizer: str | None = None
    dtype: Dtype = "auto"
    base_url: str | None = None
    """The server of a scorer behind one."""
    concurrency: int | None = None
    """Requests to it at once."""

    @property
    def needs_model(self) -> bool:
        """Whether a model reads anything in the worker's own process."""
        elsewhere = is_server(self.scorer) or shipped_columns(self.scorer)
        return (self.settings.needs_scorer and not elsewhere) or self.settings.needs_classifier

    def pruner(self, device: str) -> Asap:
        """The pruner with its models on a device. The selections of stage 1's LLM are given to it with the rows."""
        settings = self.settings
        tokens = load_tokens(self.tokenizer) if self.tokenizer else None
        if settings.needs_scorer:
            server = {"base_url": self.base_url, "tokenizer": self.tokenizer}
            scorer: Scorer = load_scorer(self.scorer, dtype=self.dtype, device=device, concurrency=self.concurrency, **server)
        else:
            scorer = NoModel(tokens if tokens and is_server(self.scorer) else load_tokens(self.scorer))
        importance = None
        if settings.needs_classifier:
            importance = load_importance(settings.words.classifier, dtype=self.dtype, device=device)
        return Asap(scorer, settings, tokens=tokens, asks=False, importance=importance)

    def load_tokens(self) -> TokenCounter:
        """The tokenizer that counts the budget."""
        return load_tokens(self.tokenizer or self.scorer)
