"""The settings of a run except its models: one frozen record, which contains those of its method and of its stage 1."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, cast

from asap.errors import UsageError
from asap.lm.prompt_style import PromptStyle
from asap.prune.checks import check_choice, check_least
from asap.prune.coarse.align import Align
from asap.prune.coarse.requests import LlmStrategy, TraceRequests, requests_about
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.coarse.select import Select
from asap.prune.fine.removal import check_budget
from asap.prune.methods import METHODS, RECORDS, TokenLevelMethod, method_named
from asap.prune.methods.llmlingua2 import LLMLingua2
from asap.prune.methods.method import ScoreFunction, StepMethod, is_one_pass, needs_entropies, needs_model
from asap.prune.methods.own import function_name, method_by, own_split
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.tokenskip import TokenSkip
from asap.sample import Sample
from asap.steps import STEP_SPLITS, Splitter, StepSplit
from asap.think_tags import has_tag

BUDGET = 4096
Coarse = Align | Select | Rewrite
Scores = Literal["own", "one-pass", "every"]
STAGE_1: dict[str, type[Coarse]] = {"align": Align, "select": Select, "rewrite": Rewrite}


@dataclass(frozen=True, slots=True)
class AsapSettings:
    """The settings of a run. Raises UsageError for a wrong value. A setting of one method is a field of that method's record.

    Example: ``AsapSettings(ratio=0.5, coarse=Rewrite(tau=0.7))``, ``AsapSettings(budget=1024, method=Spirit(suffix_tokens=64))``
    """

    budget: int | None = None
    """Tokens that a trace may have; 4096, as in the paper, if no ratio is given either."""
    ratio: float | None = None
    """The share of each trace's tokens that may stay, instead of a budget."""
    method: str | StepMethod | TokenLevelMethod | ScoreFunction = "asap"
    """asap (the paper's), alignment, first-token-entropy, mean-surprisal, step-entropy, spirit, leave-one-out, cut-after-answer,
    coverage, or a control: random, random-block, keep-head, keep-tail, keep-ends, longest-first, functional-first, original (removes
    nothing); or one that cuts inside steps: selective-context, llmlingua2, tokenskip; or your own, as package.module:function."""
    seed: int = 0
    """For methods that draw: random, random-block, functional-first and tokenskip."""
    coarse: Coarse | str | None = "align"
    """Stage 1: `align` drops steps that the answer does not make likelier; with `select` an LLM names the steps to keep; with
    `rewrite` it writes the shorter trace, as in the paper; `none` skips it. [default: select with --llm, none with a shipped: scorer,
    else align]"""
    coarse_only: bool = False
    """Leave stage 2 out."""
    scores: Scores | None = None
    """Store what other step-level methods make of each step, for asap cut --method: those of one pass, every one (for each step
    spirit and leave-one-out read half of the trace again, and cut-after-answer and coverage the answer), or only the method's own.
    [default: one-pass where the whole trace is read anyway]"""
    step_split: StepSplit | Splitter | str = "fenced"
    """How a trace is split: `fenced` at blank lines, and keeps code blocks whole; `paper` at every blank line. For traces without blank
    lines: `line` at every line break, `sentence` also at the ends of sentences; both keep code blocks and displayed maths whole. Or your
    own, as package.module:function. [default: fenced]"""
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

    def __post_init__(self) -> None:
        if isinstance(self.method, str):
            object.__setattr__(self, "method", method_named(self.method))
        elif callable(self.method) and not hasattr(self.method, "name") and not isinstance(self.method, type):
            object.__setattr__(self, "method", method_by(self.method, function_name(self.method)))
        elif isinstance(self.method, type) or not isinstance(getattr(self.method, "name", None), str):
            raise UsageError(f"unknown method {self.method!r}; write a name, or a record such as Spirit()")
        object.__setattr__(self, "coarse", self._coarse_record())
        check_budget(budget=self.budget, ratio=self.ratio)
        if self.budget is None and self.ratio is None and self.name != "tokenskip":
            object.__setattr__(self, "budget", BUDGET)
        self._check_split()
        if self.context is not None:
            check_choice("context", self.context, ("chat", "raw"))
        if self.scores is not None:
            check_choice("scores", self.scores, ("own", "one-pass", "every"))
        for name in ("keep_first", "keep_last", "rescore"):
            check_least(name, getattr(self, name), 0)
        self._check_gap()
        self._check_floor()
        self._check_inside()
        if self.rescore and not self.is_token_level and not needs_model(self.scoring):
            raise UsageError(f"rescore has a model read again, and {self.name} needs none; leave it out")
        if self.name == "original" and (self.ratio is not None or self.budget != BUDGET):
            raise UsageError("method 'original' removes nothing; leave budget and ratio out")

    def _coarse_record(self) -> Coarse | None:
        """The record of stage 1, None without one. Only `asap` has a stage 1: other methods ignore the default, `align`."""
        coarse = self.coarse
        if coarse is not None and coarse != "none" and not isinstance(coarse, Coarse):
            check_choice("coarse", coarse, (*STAGE_1, "none"))
            coarse = STAGE_1[coarse]()
        found = None if coarse == "none" or (self.name != "asap" and coarse == Align()) else coarse
        if self.name != "asap" and (found is not None or self.coarse_only):
            raise UsageError(f"method {self.name!r} has no stage 1; leave coarse and coarse_only out")
        assert not isinstance(found, str)
        return found

    def _check_split(self) -> None:
        if callable(self.step_split) or (isinstance(self.step_split, str) and ":" in self.step_split):
            object.__setattr__(self, "step_split", own_split(self.step_split))
        else:
            check_choice("step_split", self.step_split, (*STEP_SPLITS, "package.module:function"))

    def _check_gap(self) -> None:
        if self.gap and (self.backfill or self.is_token_level):
            raise UsageError(f"gap {self.gap!r} marks removed steps, which neither backfill nor methods that cut inside steps can do")
        if self.gap and (self.gap.strip() != self.gap or "\n" in self.gap or has_tag(self.gap)):
            raise UsageError(f"gap is {self.gap!r}; one line without a think tag, and without white space around it, is expected")

    def _check_floor(self) -> None:
        if self.support_floor is None:
            return
        if not isinstance(self.support_floor, int | float) or not self.support_floor >= 0:  # refuses NaN too
            raise UsageError(f"support_floor is {self.support_floor!r}; a number of nats per token, 0 or more, is expected")
        if self.is_token_level or self.name == "original" or self.coarse_only:
            raise UsageError("support_floor puts removed steps back after stage 2, and there is none here; leave it out")

    def _check_inside(self) -> None:
        """Raise UsageError for a setting that token-level methods do not have."""
        if not self.is_token_level:
            return
        for name in ("scores", "rescore", "backfill", "keep_first", "keep_last"):
            if getattr(self, name):
                raise UsageError(f"method {self.name!r} cuts inside steps; leave {name} out")
        if self.name == "tokenskip" and self.budget is not None:
            raise UsageError("tokenskip tells each row's ratio in its question, so it takes no budget; give a ratio, or none to draw one")

    def stored(self) -> dict[str, Any]:
        """The settings by name, JSON-able; of methods and stages, only those in use."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        scores = {} if self.is_token_level else {"scores": self.stored_scores}
        own["step_split"] = getattr(self.step_split, "name", self.step_split)
        found = {
            **own,
            "method": self.name,
            **dict(flat(self.method)),
            "coarse": self.stage_1,
            **dict(flat(self.coarse)),
            **scores,
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    @property
    def name(self) -> str:
        """The method's name."""
        return str(getattr(self.method, "name", self.method))

    @property
    def is_token_level(self) -> bool:
        """Whether the method cuts inside steps."""
        return isinstance(self.method, TokenLevelMethod)

    @property
    def split(self) -> "StepSplit | Splitter":
        """How a trace is split: by a name or by a function."""
        return cast("StepSplit | Splitter", self.step_split)

    @property
    def scoring(self) -> StepMethod:
        """The step-level method, with its settings."""
        assert not isinstance(self.method, str | TokenLevelMethod)
        return cast("StepMethod", self.method)

    @property
    def words(self) -> LLMLingua2:
        """The settings by which a token classifier chooses words."""
        method = self.method.words if isinstance(self.method, TokenSkip) else self.method
        assert isinstance(method, LLMLingua2)
        return method

    @property
    def stage_1(self) -> Literal["align", "select", "rewrite", "none"]:
        """The name of stage 1."""
        return self.coarse.name if isinstance(self.coarse, Coarse) else "none"

    @property
    def align(self) -> Align:
        """The settings of `align`, as stage 1 or as the fallback from an LLM."""
        if isinstance(self.coarse, Select | Rewrite):
            return self.coarse.fallback
        assert isinstance(self.coarse, Align)
        return self.coarse

    def requests_about(self, sample: Sample) -> TraceRequests:
        """The requests of stage 1 about a sample."""
        return requests_about(sample, self.strategy, self.split)

    @property
    def strategy(self) -> LlmStrategy:
        """The strategy of stage 1's LLM."""
        assert isinstance(self.coarse, Select | Rewrite), "without an LLM there is nobody to ask"
        return self.coarse

    @property
    def stored_scores(self) -> Scores:
        """`scores`, or its default."""
        return self.scores or ("one-pass" if self.reads_whole_trace else "own")

    @property
    def stored_methods(self) -> list[StepMethod]:
        """The methods whose scores are stored beside the run's own."""
        every = [self.scoring if name == self.name else method for name, method in METHODS.items()]
        return [method for method in every if needs_model(method) and (is_one_pass(method) or self.scores == "every")]

    @property
    def reads_whole_trace(self) -> bool:
        """Whether the run reads the whole trace in any case. After an LLM's stage 1 it reads only the remaining steps."""
        if self.is_token_level or self.uses_llm:
            return False
        return needs_model(self.scoring) and is_one_pass(self.scoring)

    @property
    def reads_more(self) -> str | None:
        """What here has a model read more than the whole trace after its question, or asks for entropies; None if nothing does."""
        if self.is_token_level:
            return f"method {self.name}" if self.needs_scorer else None
        if self.coarse is not None:
            return f"coarse {self.stage_1}"
        if not is_one_pass(self.scoring) or needs_entropies(self.scoring):
            return f"method {self.name}"
        given = {"rescore": self.rescore, "support_floor": self.support_floor is not None, "scores every": self.scores == "every"}
        return next((name for name, value in given.items() if value), None)

    @property
    def needs_scorer(self) -> bool:
        """Whether the run needs a scorer."""
        if self.is_token_level:
            return isinstance(self.method, SelectiveContext)
        return self.coarse is not None or self.stored_scores != "own" or self.support_floor is not None or needs_model(self.scoring)

    @property
    def needs_classifier(self) -> bool:
        """Whether the run needs a token classifier."""
        return isinstance(self.method, LLMLingua2 | TokenSkip)

    @property
    def uses_llm(self) -> bool:
        """Whether stage 1 asks an LLM."""
        return isinstance(self.coarse, Select | Rewrite)


def settings_from(given: AsapSettings | Mapping[str, Any] | None) -> AsapSettings:
    """The settings, which may be given as a dict of them, or not at all. Raises UsageError."""
    if given is None or isinstance(given, AsapSettings):
        return given or AsapSettings()
    if not isinstance(given, Mapping):
        raise UsageError(f"settings is a {type(given).__name__}; AsapSettings(ratio=0.5) or {{'ratio': 0.5}} is expected")
    known = [field.name for field in fields(AsapSettings)]
    if unknown := [name for name in given if name not in known]:
        near = get_close_matches(str(unknown[0]), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}; those of a method are in its record"
        raise UsageError(f"there is no setting {unknown[0]!r}; {hint}")
    return AsapSettings(**given)


def flat(record: object) -> Iterator[tuple[str, Any]]:
    """The settings of a record and of the records in it, by name."""
    for field in fields(record) if is_dataclass(record) else ():
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from flat(value)
        else:
            yield field.name, value


OF_METHODS: dict[str, Any] = {name: value for record in (Rewrite, *RECORDS) for name, value in flat(record())}
"""The settings that only some methods or stages have, with their defaults."""
