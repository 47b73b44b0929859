"""The settings of a run apart from its models: one frozen record, which holds those of its method and of its stage 1."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from asap.errors import UsageError
from asap.lm.prompt_style import PromptStyle
from asap.prune.checks import check_choice, check_least
from asap.prune.coarse.align import Align
from asap.prune.coarse.llm_reply import ReplyRules
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.coarse.select import Select
from asap.prune.fine import check_budget
from asap.prune.llmlingua2 import CLASSIFIER
from asap.prune.method import StepMethod, is_one_pass, needs_model
from asap.prune.methods import METHODS, method_named
from asap.prune.methods.spirit import Spirit
from asap.prune.phrases import Phrases
from asap.prune.selective_context import Unit
from asap.prune.token_level import BY_CLASSIFIER, TOKEN_LEVEL
from asap.prune.tokenskip import GAMMAS, check_gammas
from asap.ratio_marker import MARKER, check_marker
from asap.steps import StepSplit
from asap.think import has_tag

BUDGET = 4096
Coarse = Align | Select | Rewrite
Scores = Literal["own", "one-pass", "every"]
STAGE_1: dict[str, type[Coarse]] = {"align": Align, "select": Select, "rewrite": Rewrite}
INSIDE = ("unit", "phrases", "classifier", "keep_digits", "gammas", "marker")  # of token-level methods only
_OF_STEPS = ("scores", "rescore", "backfill", "keep_first", "keep_last")  # without a meaning for them
_ONLY_FOR = {  # not seed and classifier: `asap compare` has one of each for all of its methods
    **dict.fromkeys(("unit", "phrases"), ("selective-context",)),
    "keep_digits": BY_CLASSIFIER,
    **dict.fromkeys(("gammas", "marker"), ("tokenskip",)),
}


@dataclass(frozen=True, slots=True)
class AsapSettings:
    """The settings of a run. Raises UsageError for a wrong value; a setting of another method does not exist.

    Example: ``AsapSettings(ratio=0.5, coarse=Rewrite(tau=0.7))``, ``AsapSettings(budget=1024, method=Spirit(suffix_tokens=64))``
    """

    budget: int | None = None
    """Tokens that a trace may have; 4096, as in the paper, if no ratio is given either."""
    ratio: float | None = None
    """The share of each trace's tokens that may stay, instead of a budget."""
    method: str | StepMethod = "asap"
    """asap (the paper's), alignment, first-token-entropy, mean-surprisal, step-entropy, spirit, leave-one-out, or a control: random,
    keep-head, keep-tail, longest-first, original (removes nothing); or one that cuts inside steps: selective-context, llmlingua2,
    tokenskip; or your own, as package.module:function."""
    seed: int = 0
    """For methods that draw: random and tokenskip."""
    coarse: Coarse | str | None = "align"
    """Stage 1: `align` drops steps that the answer does not make likelier; with `select` an LLM names the steps to keep; with
    `rewrite` it writes the shorter trace, as in the paper; `none` skips it. [default: select with --llm, else align]"""
    coarse_only: bool = False
    """Leave stage 2 out."""
    scores: Scores | None = None
    """Store what other step-level methods make of each step, for asap cut --method: those of one pass, every one (spirit and
    leave-one-out read half of the trace again for each step), or only the method's own. [default: one-pass where the whole trace
    is read anyway]"""
    step_split: StepSplit = "fenced"
    """`fenced` keeps code blocks whole; `paper` splits at every blank line."""
    context: PromptStyle | None = None
    """The text before a trace: the chat template, or the bare question. [default: chat if there is a template]"""
    rescore: int = 0
    """Score again after every N removals; 0: once, as in the paper."""
    backfill: bool = False
    """Re-add the highest-scored removed steps that still fit."""
    support_floor: float | None = None
    """Put removed steps back until the answer is within N nats per token of as likely as it was."""
    gap: str = ""
    """A mark in place of removed steps, such as [SKIP]; nothing by default."""
    keep_first: int = 0
    """Steps at the start that always stay."""
    keep_last: int = 0
    """Steps at the end that always stay."""
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
        if isinstance(self.method, str) and self.method not in TOKEN_LEVEL:
            object.__setattr__(self, "method", method_named(self.method))
        object.__setattr__(self, "coarse", self._coarse_record())
        check_budget(budget=self.budget, ratio=self.ratio)
        if self.budget is None and self.ratio is None and self.method != "tokenskip":
            object.__setattr__(self, "budget", BUDGET)
        check_choice("step_split", self.step_split, ("fenced", "paper"))
        if self.context is not None:
            check_choice("context", self.context, ("chat", "raw"))
        if self.scores is not None:
            check_choice("scores", self.scores, ("own", "one-pass", "every"))
        for name in ("keep_first", "keep_last", "rescore"):
            check_least(name, getattr(self, name), 0)
        self._check_gap()
        self._check_floor()
        self._check_inside()
        if self.rescore and self.name not in TOKEN_LEVEL and not needs_model(self.scoring):
            raise UsageError(f"rescore has a model read again, and {self.name} needs none; leave it out")
        if self.name == "original" and (self.ratio is not None or self.budget != BUDGET):
            raise UsageError("method 'original' removes nothing; leave budget and ratio out")

    def _coarse_record(self) -> Coarse | None:
        """The record of stage 1. Only `asap` has one: for other methods `align`, the default, is none."""
        coarse = self.coarse
        if isinstance(coarse, str) and coarse != "none":
            check_choice("coarse", coarse, (*STAGE_1, "none"))
            coarse = STAGE_1[coarse]()
        found = None if coarse == "none" or (self.name != "asap" and coarse == Align()) else coarse
        if self.name != "asap" and (found is not None or self.coarse_only):
            raise UsageError(f"method {self.name!r} has no stage 1; leave coarse and coarse_only out")
        assert not isinstance(found, str)
        return found

    def _check_gap(self) -> None:
        if self.gap and (self.backfill or self.name in TOKEN_LEVEL):
            raise UsageError(f"gap {self.gap!r} marks removed steps, which neither backfill nor methods that cut inside steps can do")
        if self.gap and (self.gap.strip() != self.gap or "\n" in self.gap or has_tag(self.gap)):
            raise UsageError(f"gap is {self.gap!r}; one line without a think tag, and without white space around it, is expected")

    def _check_floor(self) -> None:
        if self.support_floor is None:
            return
        if not self.support_floor >= 0:  # not a number either
            raise UsageError(f"support_floor is {self.support_floor:g}; a number of nats per token, 0 or more, is expected")
        if self.name in TOKEN_LEVEL or self.name == "original" or self.coarse_only:
            raise UsageError("support_floor puts removed steps back after stage 2, and there is none here; leave it out")

    def _check_inside(self) -> None:
        """The settings of token-level methods."""
        for name, users in _ONLY_FOR.items():
            if self.name not in users and getattr(self, name) != next(field.default for field in fields(self) if field.name == name):
                raise UsageError(f"{name} is for {' and '.join(users)}, not for {self.name}; leave it out")
        if self.name not in TOKEN_LEVEL:
            return
        for name in _OF_STEPS:
            if getattr(self, name):
                raise UsageError(f"method {self.name!r} cuts inside steps; leave {name} out")
        check_choice("unit", self.unit, ("phrase", "sentence", "token"))
        check_choice("phrases", self.phrases, ("auto", "spacy", "regex"))
        check_gammas(self.gammas)
        check_marker(self.marker)
        if self.name == "tokenskip" and self.budget is not None:
            raise UsageError("tokenskip tells each row's ratio in its question, so it takes no budget; give a ratio, or none to draw one")

    def stored(self) -> dict[str, Any]:
        """The settings by name, JSON-able: of methods and of stages only those that this run has."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in INSIDE}
        stage_1 = {"coarse": self.stage_1, **dict(flat(self.coarse))}
        if self.name not in TOKEN_LEVEL:
            return {**own, "method": self.name, **dict(flat(self.method)), **stage_1, "scores": self.stored_scores}
        users = {"classifier": BY_CLASSIFIER, **_ONLY_FOR}
        inside = {name: getattr(self, name) for name in INSIDE if self.name in users[name]}
        return {**own, "method": self.name, **stage_1, **inside, **({"gammas": list(self.gammas)} if "gammas" in inside else {})}

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method if isinstance(self.method, str) else self.method.name

    @property
    def scoring(self) -> StepMethod:
        """The step-level method, with its settings."""
        assert not isinstance(self.method, str)
        return self.method

    @property
    def stage_1(self) -> Literal["align", "select", "rewrite", "none"]:
        """The name of stage 1."""
        return (
            "align"
            if isinstance(self.coarse, Align)
            else "select"
            if isinstance(self.coarse, Select)
            else "rewrite"
            if self.uses_llm
            else "none"
        )

    @property
    def align(self) -> Align:
        """How `align` decides, as stage 1 or where the LLM gives no usable reply."""
        if isinstance(self.coarse, Select | Rewrite):
            return self.coarse.fallback
        assert isinstance(self.coarse, Align)
        return self.coarse

    @property
    def rules(self) -> ReplyRules:
        """Which replies of stage 1's LLM are usable."""
        assert isinstance(self.coarse, Select | Rewrite)
        return self.coarse.rules

    @property
    def stored_scores(self) -> Scores:
        """`scores`, or its default."""
        return self.scores or ("one-pass" if self.reads_whole_trace else "own")

    @property
    def stored_methods(self) -> list[StepMethod]:
        """The methods whose scores are stored beside the run's own."""
        every = [self.scoring if name == self.name else method for name, method in METHODS.items()]
        return [method for method in every if is_one_pass(method) or self.scores == "every"]

    @property
    def reads_whole_trace(self) -> bool:
        """Whether one pass over the whole trace is made in any case; after an LLM's stage 1 only what is left is read."""
        if self.name in TOKEN_LEVEL or self.uses_llm:
            return False
        return needs_model(self.scoring) and is_one_pass(self.scoring)

    @property
    def needs_scorer(self) -> bool:
        """Whether a model has to read the traces."""
        if self.name in TOKEN_LEVEL:
            return self.name == "selective-context"
        return self.coarse is not None or self.stored_scores != "own" or self.support_floor is not None or needs_model(self.scoring)

    @property
    def needs_classifier(self) -> bool:
        """Whether a token classifier has to read the traces."""
        return self.name in BY_CLASSIFIER

    @property
    def uses_llm(self) -> bool:
        """Whether stage 1 asks an LLM."""
        return isinstance(self.coarse, Select | Rewrite)


def flat(record: object) -> Iterator[tuple[str, Any]]:
    """The settings of a record and of the records in it, by name."""
    for field in fields(record) if is_dataclass(record) else ():
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from flat(value)
        else:
            yield field.name, value


OF_METHODS = frozenset({*INSIDE, *(name for record in (Rewrite(), Spirit()) for name, _ in flat(record))})
"""The settings that only some methods or stages have."""
