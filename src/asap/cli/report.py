"""`asap report`: the arms of an experiment beside each other, as tables and as a page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import RUN, Cluster
from asap.cli.result import show, show_written


def report(
    runs: Annotated[
        list[str],
        Parameter(
            help="Output folders of asap evaluate, asap score or asap train, each FOLDER or NAME=FOLDER. Evaluations of one name are seeds "
            "of one arm; the first arm is the reference."
        ),
    ],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Also write report.html, report.md, report.csv, report.tex and report.json here.", group=RUN)
    ] = None,
    reference: Annotated[str | None, Parameter(help="The arm that the others are compared with. [default: the first]", group=RUN)] = None,
    cluster: Cluster = None,
    paper: Annotated[
        list[str] | None,
        Parameter(
            help="Put the paper's figures beside: table1, table2, table3, table4, figure3, or table6 to table18 of its second version.",
            group=RUN,
        ),
    ] = None,
    title: Annotated[str | None, Parameter(help="The heading. [default: the names of the arms]", group=RUN)] = None,
) -> int:
    """Report on evaluations and trainings: Pass@1, tokens, paired statistics against a reference arm, and training cost.

    Prints the tables; with --out, a page that opens every generation, and the tables as Markdown, CSV, LaTeX and JSON.

    Examples:

        asap report original asap-half

        asap report original=out/original asap=out/asap --paper table1 --out out/report
    """
    from asap.report.contents import as_record
    from asap.report.files import FILES, claim_report, printed, write_arm_report
    from asap.report.gather import make_report

    if out is not None:
        claim_report(out)
    made = make_report(runs, reference=reference, cluster=cluster, paper=",".join(paper or ()), title=title)
    show(printed(made).removesuffix("\n"), **as_record(made))
    if out is not None:
        write_arm_report(made, out)
        show_written(out, FILES)
    return 0
