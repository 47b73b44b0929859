"""Advice in the error of a row: how to name its columns, as one types it (`detail`) and as one writes it in Python (`in_python`)."""

from collections.abc import Mapping

from asap.errors import RowError

EACH_GENERATION = "--each-generation"
_IN_PYTHON = {EACH_GENERATION: "read_samples(..., rules=asap.RowRules(each_generation=True))"}


def advised(reason: str, problem: str, *choices: Mapping[str, str], end: str = "") -> RowError:
    """The error of a row that can be read once its columns are named in one of these ways. `problem` stands before them, `end` behind."""
    first, *others = ([f"{key}={name}" for key, name in choice.items()] for choice in choices)
    instead = "".join(f", or {','.join(pair for pair in other if pair not in first)}" for other in others)
    written = ", or ".join(f"columns={dict(choice)!r}" for choice in choices)
    return RowError(reason, f"{problem}--columns {','.join(first)}{instead}{end}", in_python=f"{problem}{written}{end}")


def with_option(reason: str, detail: str) -> RowError:
    """The error of a row whose detail names an option; Python has it under another name."""
    written = detail.replace("--columns", "columns={...}")
    for option, name in _IN_PYTHON.items():
        written = written.replace(option, name)
    return RowError(reason, detail, in_python=written)
