"""`asap compare-runs`: compares two evaluations, problem by problem."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import RUN
from asap.cli.result import show


def compare_runs(
    a: Annotated[Path, Parameter(help="An output folder of asap evaluate or asap score: what is compared against.")],
    b: Annotated[Path, Parameter(help="Another one.")],
    /,
    *,
    common: Annotated[bool, Parameter(negative="", help="Compare only the problems that both have.", group=RUN)] = False,
    out: Annotated[Path | None, Parameter(help="Also write the comparison as JSON into this file.", group=RUN)] = None,
) -> int:
    """Compare two evaluations: exact McNemar and paired bootstrap for Pass@1, Wilcoxon for tokens and seconds.

    Example: asap compare-runs out/original out/pruned
    """
    from asap.atomic import replacing
    from asap.evaluate.paired import compare, comparison_markdown, read_run
    from asap.ownership import check_file

    if out is not None:
        check_file(out, lambda head: head.startswith(b'{\n  "a": "'), "comparison.json")
    compared = compare(read_run(a), read_run(b), common=common)
    show(comparison_markdown(compared), **compared)
    if out is not None:
        with replacing(out) as file:
            json.dump(compared, file, indent=2, ensure_ascii=False)
            file.write("\n")
    return 0
