"""`asap cut`: cuts a finished run to another budget, by another method, or as a person decided, from its stored scores."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import AS_USUAL, CUT, METHOD, RUN, Out, Ratio, Written, whole
from asap.cli.run_summary import print_summary


def cut(
    folder: Annotated[Path, Parameter(help="An output folder of asap prune.")],
    /,
    *,
    out: Out,
    budget: Annotated[
        int | None,
        Parameter(
            help="Tokens that a trace may have. With --method alone, the run's own --budget or --ratio holds.", group=CUT, converter=whole
        ),
    ] = None,
    ratio: Ratio = None,
    method: Annotated[
        str | None,
        Parameter(help="Another step-level method: a control such as random, or any that asap prune --scores stored.", group=METHOD),
    ] = None,
    overrule: Annotated[
        Path | None,
        Parameter(
            help="A file of what you decided on the review page: steps to keep or to remove, rows to leave whole or to drop "
            "(docs/review.md). Without --budget, --ratio and --method, all else stays as in the run.",
            group=CUT,
        ),
    ] = None,
    written: Written = AS_USUAL,
    copy: Annotated[
        bool,
        Parameter(negative="", help="Copy the rows and scores into --out, which then does not need the other folder any more.", group=RUN),
    ] = False,
) -> int:
    """Cut a finished run again at another budget, by another method, or as you ruled: no model, the same files as a fresh run.

    The folder written refers to the rows and scores of the other one, so move them together, or use --copy.

    Examples:

        asap cut pruned --budget 1024 --out pruned-1024

        asap cut pruned --method random --out pruned-random

        asap cut pruned --overrule rulings.jsonl --out pruned-overruled
    """
    from asap.recut import recut

    print_summary(recut(folder, out, budget=budget, ratio=ratio, method=method, files=written.files(), copy=copy, overrule=overrule), out)
    return 0
