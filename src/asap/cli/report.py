"""`asap report`: the training cost of the arms of a comparison."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import RUN

_FIRST_CELLS = b"| arm | rows | steps |"


def report(
    runs: Annotated[list[Path], Parameter(help="Output folders of asap train; the first one is the baseline, the Original arm.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Also write the table to this Markdown file.", group=RUN)] = None,
) -> int:
    """Print the training cost of runs beside each other (the paper's Table 3): tokens per sample, seconds per step, memory.

    Example: asap report original asap-half
    """
    from asap.atomic import replacing
    from asap.ownership import check_file
    from asap.train.cost import cost_of, cost_table

    if out is not None:
        check_file(out, lambda head: head.startswith(_FIRST_CELLS), "report.md")
    table = cost_table([cost_of(run) for run in runs])
    print(table, end="")
    if out is not None:
        with replacing(out) as file:
            file.write(table)
    return 0
