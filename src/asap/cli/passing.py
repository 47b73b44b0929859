"""`--only-passing` of `asap prune`: how it is opened, and what it says."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from asap.cli.result import show
from asap.errors import UsageError

if TYPE_CHECKING:
    from asap.benchmarks.problem import ResultRule
    from asap.dataset.source import Source
    from asap.evaluate.passing import Passing
    from asap.totals import Totals

_MOST_WORKERS = 8
_HINTS = {
    "no_tests": "bring neither tests nor a gold answer; docs/data.md lists the columns that are read",
    "not_judged": "could not be judged here, through no fault of theirs: the same command tries them again",
    "reference_fails": "have a reference solution that does not pass their tests here: a package may be missing (asap doctor)",
}


def check_rule(rule: "ResultRule | None", *, asked: bool) -> None:
    """Raise UsageError for a rule without --only-passing."""
    if rule and not asked:
        raise UsageError(f"--gold-rule {rule} is about gold answers, which only --only-passing reads; add that, or leave --gold-rule out")


def passing_check(out: Path, rule: "ResultRule | None", *, asked: bool) -> "Passing | None":
    """The check that lets only rows with a right answer through, if it was asked for."""
    if not asked:
        return None
    from asap.evaluate.passing import Passing

    return Passing(out, min(_MOST_WORKERS, os.cpu_count() or 1), rule or "math-verify")


def print_hints(totals: "Totals") -> None:
    """Print what to do about rows that were rejected though nobody showed their answer to be wrong."""
    for reason, hint in _HINTS.items():
        if count := totals.rejected_by.get(reason):
            show(f"note     {count:,} rows {hint}")


def print_counts(source: "Source") -> None:
    """Print how the rows would be judged; nothing is run."""
    from asap.evaluate.passing import counted

    found = counted(source)
    told = f"--only-passing: {', '.join(f'{count} rows with {what}' for what, count in found)}. Nothing was run."
    show(told, only_passing=dict(found))
