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
    from asap.dataset import Rejected, read_samples, to_sample, write_samples
    from asap.errors import AsapError, InputError, MissingExtra, RowError, UsageError
    from asap.lm.scorer import (
        LeaveOutRequest,
        LeftOut,
        PrefixRequest,
        Remainder,
        Scored,
        Scorer,
        ScoreRequest,
        TokenScores,
        leave_out_anew,
        prefixes_anew,
    )
    from asap.lm.scorer_own import OwnScorer
    from asap.lm.specs import load_llm, load_scorer, load_tokens
    from asap.lm.tokens import TokenCounter
    from asap.prune.asap import Asap
    from asap.prune.coarse.align import Align
    from asap.prune.coarse.llm_reply import ReplyRules
    from asap.prune.coarse.match import matches
    from asap.prune.coarse.rewrite import Rewrite
    from asap.prune.coarse.select import Select
    from asap.prune.decision import Decision, Pruned, cut, decision_from_row
    from asap.prune.decision.step_cut import StepDecision
    from asap.prune.methods.llmlingua2 import LLMLingua2
    from asap.prune.methods.selective_context import SelectiveContext
    from asap.prune.methods.spirit import Spirit
    from asap.prune.methods.tokenskip import TokenSkip
    from asap.prune.settings import AsapSettings
    from asap.prune.trace import Steps
    from asap.sample import Sample
    from asap.spans import Span
    from asap.steps import join_steps, split_steps
    from asap.think import split_think

_HOMES = {
    "asap.dataset": ("Rejected", "read_samples", "to_sample", "write_samples"),
    "asap.errors": ("AsapError", "InputError", "MissingExtra", "RowError", "UsageError"),
    "asap.lm.scorer": (
        *("LeaveOutRequest", "LeftOut", "PrefixRequest", "Remainder", "Scored", "ScoreRequest", "Scorer", "TokenScores"),
        *("leave_out_anew", "prefixes_anew"),
    ),
    "asap.lm.scorer_own": ("OwnScorer",),
    "asap.lm.specs": ("load_llm", "load_scorer", "load_tokens"),
    "asap.lm.tokens": ("TokenCounter",),
    "asap.prune.asap": ("Asap",),
    "asap.prune.coarse.align": ("Align",),
    "asap.prune.coarse.llm_reply": ("ReplyRules",),
    "asap.prune.coarse.match": ("matches",),
    "asap.prune.coarse.rewrite": ("Rewrite",),
    "asap.prune.coarse.select": ("Select",),
    "asap.prune.decision": ("Decision", "Pruned", "cut", "decision_from_row"),
    "asap.prune.decision.step_cut": ("StepDecision",),
    "asap.prune.methods.llmlingua2": ("LLMLingua2",),
    "asap.prune.methods.selective_context": ("SelectiveContext",),
    "asap.prune.methods.spirit": ("Spirit",),
    "asap.prune.methods.tokenskip": ("TokenSkip",),
    "asap.prune.settings": ("AsapSettings",),
    "asap.prune.trace": ("Steps",),
    "asap.sample": ("Sample",),
    "asap.think": ("split_think",),
    "asap.spans": ("Span",),
    "asap.steps": ("join_steps", "split_steps"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Align",
    "Asap",
    "AsapError",
    "AsapSettings",
    "Decision",
    "InputError",
    "LLMLingua2",
    "LeaveOutRequest",
    "LeftOut",
    "MissingExtra",
    "OwnScorer",
    "PrefixRequest",
    "Pruned",
    "Rejected",
    "Remainder",
    "ReplyRules",
    "Rewrite",
    "RowError",
    "Sample",
    "ScoreRequest",
    "Scored",
    "Scorer",
    "Select",
    "SelectiveContext",
    "Span",
    "Spirit",
    "StepDecision",
    "Steps",
    "TokenCounter",
    "TokenScores",
    "TokenSkip",
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
