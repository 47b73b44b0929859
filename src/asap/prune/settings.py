"""What the paper's method does, apart from the models: one frozen record of settings."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from asap.errors import UsageError
from asap.lm.prompt_style import PromptStyle
from asap.prune.fine import check_budget
from asap.prune.llmlingua2 import CLASSIFIER
from asap.prune.match import TAU
from asap.prune.method import StepMethod, is_one_pass, needs_model
from asap.prune.methods import METHODS, method_named
from asap.prune.methods.spirit import Spirit
from asap.prune.phrases import Phrases
from asap.prune.selective_context import Unit
from asap.prune.token_level import BY_CLASSIFIER, TOKEN_LEVEL
from asap.prune.tokenskip import GAMMAS, MARKER, check_gammas, check_marker
from asap.steps import StepSplit
from asap.think import has_tag

BUDGET = 4096
Coarse = Literal["align", "select", "rewrite", "none"]
Scores = Literal["own", "one-pass", "every"]
INSIDE = ("unit", "phrases", "classifier", "keep_digits", "gammas", "marker")  # of token-level methods only
_OF_STEPS = ("scores", "rescore", "backfill", "keep_first", "keep_last")  # without a meaning for them
_OF_LLM = ("coarse select", "coarse rewrite")
_ONLY_FOR = {  # not seed and classifier: `asap compare` has one of each for all of its methods
    "suffix_tokens": ("spirit", "scores every"),
    "coarse_share": ("coarse align", *_OF_LLM),  # where the LLM fails, align decides
    "tau": ("coarse rewrite",),
    **dict.fromkeys(("attempts", "temperature", "min_kept", "max_kept", "min_reach", "thinking_tokens"), _OF_LLM),
    **dict.fromkeys(("unit", "phrases"), ("selective-context",)),
    "keep_digits": BY_CLASSIFIER,
    **dict.fromkeys(("gammas", "marker"), ("tokenskip",)),
}


@dataclass(frozen=True, slots=True)
class AsapSettings:
    """What the method does, apart from the models. Checked when made: a wrong value, or a setting of another method, raises UsageError."""

    budget: int | None = None
    """Tokens that a pruned trace may have; the paper's L_max, 4,096, where no ratio is given either."""
    ratio: float | None = None
    """The share of the original trace's tokens that may stay; instead of a budget."""
    method: str = "asap"
    """The paper's `asap`, one of the step-level rivals and controls in `asap.prune.methods`, or of `asap.prune.token_level`."""
    suffix_tokens: int | None = None
    """`spirit` reads only so many tokens behind a gap again; None: all of them, exactly."""
    seed: int = 0
    """Of the methods `random` and `tokenskip`."""
    coarse: Coarse = "align"
    """Stage 1: `align` (the answer is the anchor, no LLM), `select` or `rewrite` (an LLM decides), or `none`.

    Methods other than `asap` have no stage 1: for them `align` becomes `none`.
    """
    scores: Scores | None = None
    """Store what other step-level methods make of each step too, so that `asap cut --method` needs no model: `one-pass` those
    that one pass over the trace gives, `every` also those that ask more of the scorer, such as `spirit`, `own` none.
    None: `one-pass` where that pass is made anyway."""
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
    context: PromptStyle | None = None
    """What stands before the trace when it is scored; None: `chat` where the scorer has a template, else `raw`."""
    backfill: bool = False
    """After the cut, re-add the highest-scored removed steps that still fit."""
    gap: str = ""
    """What stands in the place of each run of removed steps, as a step of its own, such as [SKIP]; it counts as tokens."""
    support_floor: float | None = None
    """Put removed steps back until the trace supports its answer within so many nats per token of the whole one (`floor.py`)."""
    keep_first: int = 0
    """How many steps at the start are never removed."""
    keep_last: int = 0
    """How many steps at the end are never removed."""
    rescore: int = 0
    """Compute the surprisals again after every so many removals; 0: once, as the paper does."""
    unit: Unit = "phrase"
    """What `selective-context` removes: `phrase`, `sentence` or `token`."""
    phrases: Phrases = "auto"
    """Who finds its phrases: `spacy`, `regex`, or `auto`: spaCy where it and its English model are installed."""
    classifier: str = CLASSIFIER
    """The token classifier of `llmlingua2` and `tokenskip`: a folder or a Hub id."""
    keep_digits: bool = False
    """`llmlingua2` and `tokenskip` keep words with a digit before all others."""
    gammas: tuple[float, ...] = GAMMAS
    """The shares that `tokenskip` draws from, where no ratio is given."""
    marker: str = MARKER
    """What `tokenskip` writes behind the question, `{gamma}` standing for the share; `none` for nothing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gammas", tuple(self.gammas))
        self._check_method()
        check_budget(budget=self.budget, ratio=self.ratio)
        if self.budget is None and self.ratio is None and self.method != "tokenskip":
            object.__setattr__(self, "budget", BUDGET)
        for name, allowed in (
            ("coarse", ("align", "select", "rewrite", "none")),
            ("step_split", ("fenced", "paper")),
            ("context", ("chat", "raw", None)),
            ("scores", ("own", "one-pass", "every", None)),
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
        self._check_gap()
        self._check_floor()
        if self.min_kept > self.max_kept:
            raise UsageError(f"min_kept is {self.min_kept:g}, more than max_kept, {self.max_kept:g}")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise UsageError(f"temperature is {self.temperature:g}; a number from 0 to 2 is expected")
        self._check_use()

    def _check_use(self) -> None:
        """Refuse what is set and is of another method."""
        here = {self.method, f"coarse {self.coarse}", f"scores {self.scores}"}
        for field in fields(self):
            users = _ONLY_FOR.get(field.name)
            if users is not None and getattr(self, field.name) != field.default and not here & set(users):
                *others, last = users
                shown = f"{', '.join(others)} and {last}" if others else last
                stage_1 = f" with coarse {self.coarse}" if self.method == "asap" else ""
                raise UsageError(f"{field.name} is for {shown}, not for {self.method}{stage_1}; leave it out")
        if self.rescore and self.method not in TOKEN_LEVEL and not needs_model(self.scoring):
            raise UsageError(f"rescore has a model read again, and {self.method} needs none; leave it out")
        if self.method == "original" and (self.ratio is not None or self.budget != BUDGET):
            raise UsageError("method 'original' removes nothing; leave budget and ratio out")

    def _check_gap(self) -> None:
        if self.gap and (self.backfill or self.method in TOKEN_LEVEL):
            raise UsageError(f"gap {self.gap!r} marks removed steps, which neither backfill nor methods that cut inside steps can do")
        if self.gap and (self.gap.strip() != self.gap or "\n" in self.gap or has_tag(self.gap)):
            raise UsageError(f"gap is {self.gap!r}; one line without a think tag, and without white space around it, is expected")

    def _check_floor(self) -> None:
        if self.support_floor is None:
            return
        if not self.support_floor >= 0:  # not a number either
            raise UsageError(f"support_floor is {self.support_floor:g}; a number of nats per token, 0 or more, is expected")
        if self.method in TOKEN_LEVEL or self.method == "original" or self.coarse_only:
            raise UsageError("support_floor puts removed steps back after stage 2, and there is none here; leave it out")

    def _check_method(self) -> None:
        if self.method not in TOKEN_LEVEL:
            method_named(self.method)
        if self.method != "asap" and self.coarse == "align":
            object.__setattr__(self, "coarse", "none")
        if self.method != "asap" and (self.coarse != "none" or self.coarse_only):
            raise UsageError(f"method {self.method!r} has no stage 1; leave coarse and coarse_only out")
        if self.method in TOKEN_LEVEL:
            self._check_inside()

    def _check_inside(self) -> None:
        """The settings of token-level methods."""
        for name in _OF_STEPS:
            if getattr(self, name):
                raise UsageError(f"method {self.method!r} cuts inside steps; leave {name} out")
        for name, allowed in (("unit", ("phrase", "sentence", "token")), ("phrases", ("auto", "spacy", "regex"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"unknown {name} {getattr(self, name)!r}; choose from {', '.join(allowed)}")
        check_gammas(self.gammas)
        check_marker(self.marker)
        if self.method == "tokenskip" and self.budget is not None:
            raise UsageError("tokenskip tells each row's ratio in its question, so it takes no budget; give a ratio, or none to draw one")

    def stored(self) -> dict[str, Any]:
        """All of it by name, JSON-able; of the settings of token-level methods only those that this method has."""
        inside = () if self.method not in TOKEN_LEVEL else INSIDE
        kept = {name: value for name, value in asdict(self).items() if name not in INSIDE or name in inside}
        return {**kept, "gammas": list(self.gammas)} if inside else {**kept, "scores": self.stored_scores}

    @property
    def stored_scores(self) -> Scores:
        """`scores`, or what it is where nothing was said."""
        return self.scores or ("one-pass" if self.reads_whole_trace else "own")

    @property
    def scoring(self) -> StepMethod:
        """The step-level method, with its settings."""
        return Spirit(self.suffix_tokens) if self.method == "spirit" else method_named(self.method)

    @property
    def stored_methods(self) -> list[StepMethod]:
        """The methods whose scores are stored beside the run's own."""
        every = [Spirit(self.suffix_tokens) if name == "spirit" else method for name, method in METHODS.items()]
        return [method for method in every if (is_one_pass(method) or self.scores == "every")]

    @property
    def reads_whole_trace(self) -> bool:
        """Whether one pass over the whole trace is made in any case; after an LLM's stage 1 only what is left is read."""
        if self.method in TOKEN_LEVEL or self.uses_llm:
            return False
        return needs_model(self.scoring) and is_one_pass(self.scoring)

    @property
    def needs_scorer(self) -> bool:
        """Whether a model has to read the traces."""
        if self.method in TOKEN_LEVEL:
            return self.method == "selective-context"
        return self.coarse != "none" or self.stored_scores != "own" or self.support_floor is not None or needs_model(self.scoring)

    @property
    def needs_classifier(self) -> bool:
        """Whether a token classifier has to read the traces."""
        return self.method in BY_CLASSIFIER

    @property
    def uses_llm(self) -> bool:
        """Whether stage 1 asks an LLM."""
        return self.coarse in ("select", "rewrite")
