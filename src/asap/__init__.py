"""ASAP shortens the reasoning traces that models are trained on: it removes whole steps and keeps every other word verbatim.

Example:
    import asap

    pruner = asap.Asap(asap.load_scorer("bundled"), asap.AsapSettings(ratio=0.5))
    for sample in asap.read_samples("traces.jsonl"):
        pruned = pruner.prune(sample)
        print(pruned.sample.cot, pruned.decision.tokens_after)

Methods and stages that have settings are records: ``AsapSettings(budget=1024, method=Spirit(suffix_tokens=64))``,
``AsapSettings(ratio=0.5, coarse=Rewrite(tau=0.7))``; all others are named: ``AsapSettings(method="random")``.

Public names are imported on first use, so `import asap` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asap.versions import __version__ as __version__

if TYPE_CHECKING:
    from asap.dataset import Rejected, RowRules, Shaped, read_samples, to_sample, write_samples
    from asap.dataset.row_rules import TraceLimit
    from asap.errors import AsapError, InputError, MissingExtra, RowError, UsageError
    from asap.lm.generate import Generation, Generator, Request
    from asap.lm.scorer import (
        LeaveOutRequest,
        LeftOut,
        PrefixRequest,
        Remainder,
        Scored,
        Scorer,
        ScoreRequest,
        Scoring,
        TokenScores,
        leave_out_anew,
        prefixes_anew,
    )
    from asap.lm.scorer_own import OwnScorer
    from asap.lm.specs import load_llm, load_scorer, load_tokens
    from asap.lm.spending import Price, SpendingLimit
    from asap.lm.tokens import Encoded, TokenCounter
    from asap.prune.asap import Asap
    from asap.prune.coarse.align import Align
    from asap.prune.coarse.llm_reply import ReplyRules
    from asap.prune.coarse.match import matches
    from asap.prune.coarse.rewrite import Rewrite
    from asap.prune.coarse.select import Select
    from asap.prune.coarse.selection import Selection
    from asap.prune.decision import Decision, Pruned, cut, decision_from_row
    from asap.prune.decision.step_cut import CoarseReport, Floor, Overruled, StepCut, StepDecision
    from asap.prune.decision.unit_cut import UnitCut
    from asap.prune.methods.llmlingua2 import Importance, LLMLingua2, TokenImportance
    from asap.prune.methods.method import StepMethod
    from asap.prune.methods.selective_context import SelectiveContext
    from asap.prune.methods.spirit import Spirit
    from asap.prune.methods.tokenskip import TokenSkip
    from asap.prune.settings import AsapSettings
    from asap.prune.trace import Size, Steps
    from asap.sample import Sample
    from asap.spans import Span
    from asap.steps import join_steps, split_steps
    from asap.think import Thought, split_think
    from asap.think_tags import Frame
    from asap.token_logprobs import TokenLogprobs

_HOMES = {
    "asap.dataset": ("Rejected", "RowRules", "Shaped", "read_samples", "to_sample", "write_samples"),
    "asap.dataset.row_rules": ("TraceLimit",),
    "asap.errors": ("AsapError", "InputError", "MissingExtra", "RowError", "UsageError"),
    "asap.lm.generate": ("Generation", "Generator", "Request"),
    "asap.lm.scorer": (
        "LeaveOutRequest",
        "LeftOut",
        "PrefixRequest",
        "Remainder",
        "ScoreRequest",
        "Scored",
        "Scorer",
        "Scoring",
        "TokenScores",
        "leave_out_anew",
        "prefixes_anew",
    ),
    "asap.lm.scorer_own": ("OwnScorer",),
    "asap.lm.specs": ("load_llm", "load_scorer", "load_tokens"),
    "asap.lm.spending": ("Price", "SpendingLimit"),
    "asap.lm.tokens": ("Encoded", "TokenCounter"),
    "asap.prune.asap": ("Asap",),
    "asap.prune.coarse.align": ("Align",),
    "asap.prune.coarse.llm_reply": ("ReplyRules",),
    "asap.prune.coarse.match": ("matches",),
    "asap.prune.coarse.rewrite": ("Rewrite",),
    "asap.prune.coarse.select": ("Select",),
    "asap.prune.coarse.selection": ("Selection",),
    "asap.prune.decision": ("Decision", "Pruned", "cut", "decision_from_row"),
    "asap.prune.decision.step_cut": ("CoarseReport", "Floor", "Overruled", "StepCut", "StepDecision"),
    "asap.prune.decision.unit_cut": ("UnitCut",),
    "asap.prune.methods.llmlingua2": ("Importance", "LLMLingua2", "TokenImportance"),
    "asap.prune.methods.method": ("StepMethod",),
    "asap.prune.methods.selective_context": ("SelectiveContext",),
    "asap.prune.methods.spirit": ("Spirit",),
    "asap.prune.methods.tokenskip": ("TokenSkip",),
    "asap.prune.settings": ("AsapSettings",),
    "asap.prune.trace": ("Size", "Steps"),
    "asap.sample": ("Sample",),
    "asap.spans": ("Span",),
    "asap.steps": ("join_steps", "split_steps"),
    "asap.think": ("Thought", "split_think"),
    "asap.think_tags": ("Frame",),
    "asap.token_logprobs": ("TokenLogprobs",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Align",
    "Asap",
    "AsapError",
    "AsapSettings",
    "CoarseReport",
    "Decision",
    "Encoded",
    "Floor",
    "Frame",
    "Generation",
    "Generator",
    "Importance",
    "InputError",
    "LLMLingua2",
    "LeaveOutRequest",
    "LeftOut",
    "MissingExtra",
    "Overruled",
    "OwnScorer",
    "PrefixRequest",
    "Price",
    "Pruned",
    "Rejected",
    "Remainder",
    "ReplyRules",
    "Request",
    "Rewrite",
    "RowError",
    "RowRules",
    "Sample",
    "ScoreRequest",
    "Scored",
    "Scorer",
    "Scoring",
    "Select",
    "Selection",
    "SelectiveContext",
    "Shaped",
    "Size",
    "Span",
    "SpendingLimit",
    "Spirit",
    "StepCut",
    "StepDecision",
    "StepMethod",
    "Steps",
    "Thought",
    "TokenCounter",
    "TokenImportance",
    "TokenLogprobs",
    "TokenScores",
    "TokenSkip",
    "TraceLimit",
    "UnitCut",
    "UsageError",
    "cut",
    "decision_from_row",
    "join_steps",
    "leave_out_anew",
    "load_llm",
    "load_scorer",
    "load_tokens",
    "matches",
    "prefixes_anew",
    "read_samples",
    "split_steps",
    "split_think",
    "to_sample",
    "write_samples",
]


def __getattr__(name: str) -> Any:
    """The public name, imported from its module."""
    if name not in _HOME:
        raise AttributeError(f"module 'asap' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
