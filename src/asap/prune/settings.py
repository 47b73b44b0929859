"""What the paper's method does, apart from the models: one frozen record of settings."""

from dataclasses import dataclass
from typing import Literal

from asap.errors import UsageError
from asap.lm.context import Context
from asap.prune.fine import check_budget
from asap.prune.match import TAU
from asap.prune.methods import METHODS
from asap.steps import StepSplit

Coarse = Literal["align", "select", "rewrite", "none"]


@dataclass(frozen=True, slots=True)
class AsapSettings:
    """What the method does, apart from the models. Checked when made; a wrong value raises UsageError."""

    budget: int | None = 4096
    """Tokens that a pruned trace may have (the paper's L_max); None with a ratio."""
    ratio: float | None = None
    """The share of the original trace's tokens that may stay; instead of a budget."""
    method: str = "asap"
    """The paper's `asap`, or one of the step-level rivals and controls in `asap.prune.methods`."""
    suffix_tokens: int | None = None
    """`spirit` reads only so many tokens behind a gap again; None: all of them, exactly."""
    seed: int = 0
    """Of the method `random`."""
    coarse: Coarse = "align"
    """Stage 1: `align` (the answer is the anchor, no LLM), `select` or `rewrite` (an LLM decides), or `none`.

    Methods other than `asap` have no stage 1: for them `align` becomes `none`.
    """
    all_scores: bool = False
    """Store what every step-level method makes of each step, so that `asap cut --method` needs no model."""
    coarse_share: float = 0.25
    """`align` removes steps below this quantile of their trace's alignments, if not above zero."""
    tau: float = TAU
    """`rewrite`: how similar a step of the reply must be to the original step it stands for (the paper's threshold)."""
    attempts: int = 5
    """How often the LLM may be asked to prune a trace before `align` does it."""
    temperature: float | None = None
    """Of the LLM when it prunes; None: 2.0 for `rewrite` as in the paper, for `select` 0.0 and, asked again, 1.0."""
    min_kept: float = 0.1
    """A reply that keeps a smaller share of the trace's characters counts as failed."""
    max_kept: float = 1.0
    """A reply that keeps a larger share counts as failed; 1.0: a reply may keep everything."""
    min_reach: float = 0.5
    """A reply counts as failed if it keeps no step behind this share of the steps: it holds only the head of the trace."""
    thinking_tokens: int = 0
    """Room in each reply for an LLM that thinks before it answers."""
    coarse_only: bool = False
    """Leave stage 2 out; the budget is not used."""
    step_split: StepSplit = "fenced"
    """`fenced` keeps code blocks whole; `paper` splits at every blank line."""
    context: Context | None = None
    """What stands before the trace when it is scored; None: `chat` where the scorer has a template, else `raw`."""
    backfill: bool = False
    """After the cut, re-add the highest-scored removed steps that still fit."""
    keep_first: int = 0
    """How many steps at the start are never removed."""
    keep_last: int = 0
    """How many steps at the end are never removed."""
    rescore: int = 0
    """Compute the surprisals again after every so many removals; 0: once, as the paper does."""

    def __post_init__(self) -> None:
        self._check_method()
        check_budget(budget=self.budget, ratio=self.ratio)
        for name, allowed in (
            ("coarse", ("align", "select", "rewrite", "none")),
            ("step_split", ("fenced", "paper")),
            ("context", ("chat", "raw", None)),
        ):
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f"unknown {name} {getattr(self, name)!r}; choose from {', '.join(str(value) for value in allowed if value)}"
                )
        for name, least in (("keep_first", 0), ("keep_last", 0), ("rescore", 0), ("attempts", 1), ("thinking_tokens", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; {least} or more is expected")
        for name in ("coarse_share", "tau", "min_kept", "max_kept", "min_reach"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name):g}; a number from 0 to 1 is expected")
        if self.min_kept > self.max_kept:
            raise UsageError(f"min_kept is {self.min_kept:g}, more than max_kept, {self.max_kept:g}")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise UsageError(f"temperature is {self.temperature:g}; a number from 0 to 2 is expected")

    def _check_method(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"unknown method {self.method!r}; choose from {', '.join(METHODS)}")
        if self.method != "asap" and self.coarse == "align":
            object.__setattr__(self, "coarse", "none")
        if self.method != "asap" and (self.coarse != "none" or self.coarse_only):
            raise UsageError(f"method {self.method!r} has no stage 1; leave coarse and coarse_only out")

    @property
    def needs_scorer(self) -> bool:
        """Whether a model has to read the traces."""
        return self.coarse != "none" or self.all_scores or METHODS[self.method].needs_model

    @property
    def uses_llm(self) -> bool:
        """Whether stage 1 asks an LLM."""
        return self.coarse in ("select", "rewrite")
