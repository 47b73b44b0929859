"""`asap reproduce`: a table of the paper, or an experiment of one's own, as a chain of commands."""

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from asap.cli.manner import manner
from asap.cli.options import DATA, MODEL, RUN
from asap.cli.result import show
from asap.cli.terminal import say
from asap.errors import UsageError

WHAT = Group("What to reproduce", sort_key=1)


def reproduce(
    table: Annotated[
        str | None, Parameter(help="table1, table2, …, or a .yaml file of your own; without one, the tables are listed.", group=WHAT)
    ] = None,
    /,
    *,
    scale: Annotated[str, Parameter(help="laptop, gpu or paper, or another scale of the table's file.", group=WHAT)] = "laptop",
    equal_tokens: Annotated[
        bool, Parameter(negative="", help="The arms at equal trace tokens instead of the paper's own.", group=WHAT)
    ] = False,
    data: Annotated[list[str] | None, Parameter(negative="", help="Other rows than those of the table's file.", group=DATA)] = None,
    device: Annotated[str | None, Parameter(help="cpu, h200 or h20: whose hours --plan tells. [default: the scale's]", group=MODEL)] = None,
    plan: Annotated[bool, Parameter(negative="", help="Print every stage, its command and its cost, and run nothing.", group=RUN)] = False,
    out: Annotated[Path | None, Parameter(help="The output folder. The same command again runs only what is missing.", group=RUN)] = None,
) -> int:
    """Run a table of the paper, or an experiment of your own, as a chain of commands; --plan tells what it costs.

    Data, pruning, training, evaluation, statistics, report: each stage is one asap command in a folder of its own. A killed chain goes on
    where it was. Without a table, the tables are listed.

    Examples:

        asap reproduce table1 --scale paper --plan

        asap reproduce table1 --scale laptop --equal-tokens --out out/table1
    """
    from asap.reproduce.chain import chain_of
    from asap.reproduce.device import load_device
    from asap.reproduce.plan import plan_text, planned_stages
    from asap.reproduce.results import results_of, results_text
    from asap.reproduce.run import run_chain
    from asap.reproduce.table import load_table, table_names

    if table is None:
        known = {name: load_table(name) for name in table_names()}
        texts = [f"{name}: {found.title} ({', '.join(found.scales)})" for name, found in known.items()]
        show("\n".join(texts), tables={name: {"title": found.title, "scales": [*found.scales]} for name, found in known.items()})
        return 0
    chain = chain_of(load_table(table), scale, "equal-tokens" if equal_tokens else "paper", data)
    if plan:
        chosen = load_device(device or chain.scale.device)
        stages = planned_stages(chain, out or Path("out"), chosen)
        show(plan_text(chain, stages, chosen).removesuffix("\n"), device=chosen.name, stages=stages)
        return 0
    if out is None:
        raise UsageError(f"--out is missing: name the folder to write, for example --out out/{chain.table.name}, or add --plan")
    try:
        run_chain(chain, out, lambda text: None if manner().quiet else say(text, error=True))
    except KeyboardInterrupt:
        say(f"asap: interrupted; the same command again goes on in {out}", error=True)
        return 130
    results = results_of(chain, out)
    reports = [str(out / stage.name) for stage in chain.stages if stage.kind == "report"]
    show(results_text(chain, results), about=chain.scale.about, results=results, out=str(out), reports=reports)
    return 0
