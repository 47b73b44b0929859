"""`asap compare-runs`: compares evaluations with a first one, problem by problem."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import RUN, Cluster
from asap.cli.result import show
from asap.json_values import as_json


def compare_runs(
    a: Annotated[Path, Parameter(help="An output folder of asap evaluate or asap score, or a log: what is compared against.")],
    b: Annotated[Path, Parameter(help="Another one.")],
    /,
    *others: Annotated[Path, Parameter(help="More of them: each is compared with the first.")],
    metric: Annotated[
        str | None, Parameter(help="Which metric of a log counts, such as exact_match,strict-match, plus or match.", group=RUN)
    ] = None,
    cluster: Cluster = None,
    common: Annotated[bool, Parameter(negative="", help="Compare only the problems that both have.", group=RUN)] = False,
    out: Annotated[Path | None, Parameter(help="Also write the comparison as JSON into this file.", group=RUN)] = None,
) -> int:
    """Compare evaluations with a first one: McNemar and Tango's interval for Pass@1, Wilcoxon and Student's t for the rest.

    Reads output folders of asap evaluate and asap score, and logs of lm-evaluation-harness (samples_*.jsonl), inspect (.eval, .json),
    EvalPlus (*_eval_results.json), LiveCodeBench (*_eval_all.json) and others (JSONL with task_id and passed or score).

    Example: asap compare-runs out/original out/pruned
    Example: asap compare-runs original/samples_gsm8k_*.jsonl pruned/samples_gsm8k_*.jsonl --metric exact_match,strict-match
    """
    from asap.atomic import replacing
    from asap.evaluate.paired import compare
    from asap.evaluate.paired_run import read_run
    from asap.evaluate.paired_tables import comparison_markdown
    from asap.ownership import check_file

    if out is not None:
        check_file(out, lambda head: head.startswith(b'{\n  "a": "'), "comparison.json")
    runs = [read_run(path, metric=metric, cluster=cluster) for path in (a, b, *others)]
    compared = compare(*runs, common=common)
    show(comparison_markdown(compared), **compared)
    if out is not None:
        with replacing(out) as file:
            json.dump(as_json(compared), file, indent=2, ensure_ascii=False)
            file.write("\n")
    return 0
