"""`asap diff-runs`: why two runs of one command differ."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.result import show


def diff_runs(
    a: Annotated[Path, Parameter(help="An output folder of asap prune, cut, train, evaluate, score or compare.")],
    b: Annotated[Path, Parameter(help="Another one, of the same command.")],
    /,
) -> int:
    """Say why two runs differ: models, samplers, templates, settings, versions, rows, prompts, and what came of it.

    Only what differs is printed, a above b, and the rest is named in one line. Exit codes as diff has them: 0 the same, 1 different,
    2 trouble. For how sure a difference in Pass@1 is, see asap compare-runs.

    Example: asap diff-runs pruned-monday pruned-friday
    """
    from asap.revealed import revealed
    from asap.run_diff import diff_runs as difference

    found = difference(a, b)
    show(revealed(found.text(), keep="\n"), **found.as_row())
    return 1 if found.differing else 0
