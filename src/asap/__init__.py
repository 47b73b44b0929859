"""ASAP shortens the reasoning traces that models are trained on: whole steps go, every kept word stays verbatim.

Example:
    import asap

    pruner = asap.Asap(asap.load_scorer("bundled"), asap.AsapSettings(ratio=0.5))
    for sample in asap.read_samples("traces.jsonl"):
        pruned = pruner.prune(sample)
        print(pruned.sample.cot, pruned.decision.tokens_after)

Names are loaded when they are first used, so `import asap` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from asap.dataset import Rejected, read_samples, to_sample, write_samples
    from asap.errors import AsapError, InputError, MissingExtra, RowError, UsageError
    from asap.lm.scorer import Scorer, ScoreRequest, TokenScores
    from asap.lm.specs import load_llm, load_scorer
    from asap.prune.asap import Asap
    from asap.prune.coarse.match import matches
    from asap.prune.decision import Decision, Pruned, cut
    from asap.prune.decision.step_cut import StepDecision
    from asap.prune.settings import AsapSettings
    from asap.sample import Sample
    from asap.spans import Span
    from asap.steps import join_steps, split_steps
    from asap.think import split_think

_HOMES = {
    "asap.dataset": ("Rejected", "read_samples", "to_sample", "write_samples"),
    "asap.errors": ("AsapError", "InputError", "MissingExtra", "RowError", "UsageError"),
    "asap.lm.scorer": ("ScoreRequest", "Scorer", "TokenScores"),
    "asap.lm.specs": ("load_llm", "load_scorer"),
    "asap.prune.asap": ("Asap",),
    "asap.prune.decision": ("Decision", "Pruned", "cut"),
    "asap.prune.coarse.match": ("matches",),
    "asap.prune.settings": ("AsapSettings",),
    "asap.prune.decision.step_cut": ("StepDecision",),
    "asap.sample": ("Sample",),
    "asap.think": ("split_think",),
    "asap.spans": ("Span",),
    "asap.steps": ("join_steps", "split_steps"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Asap",
    "AsapError",
    "AsapSettings",
    "Decision",
    "InputError",
    "MissingExtra",
    "Pruned",
    "Rejected",
    "RowError",
    "Sample",
    "ScoreRequest",
    "Scorer",
    "Span",
    "StepDecision",
    "TokenScores",
    "UsageError",
    "cut",
    "join_steps",
    "load_llm",
    "load_scorer",
    "matches",
    "read_samples",
    "split_steps",
    "split_think",
    "to_sample",
    "write_samples",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module 'asap' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
