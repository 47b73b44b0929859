"""`asap reproduce`: a table of the paper, or an experiment of one's own, as a chain of commands."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import CycloptsError, Group, Parameter

from asap.cli.manner import manner
from asap.cli.options import DATA, MODEL, RUN
from asap.cli.parse_errors import in_our_words
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
    scale: Annotated[
        str | None,
        Parameter(help="laptop, gpu or paper, or another scale of the table's file. [default: laptop, or the file's only one]", group=WHAT),
    ] = None,
    equal_tokens: Annotated[
        bool,
        Parameter(
            negative="",
            help="The arms at equal trace tokens instead of the paper's own. A file with one of the two needs no choice.",
            group=WHAT,
        ),
    ] = False,
    data: Annotated[list[str] | None, Parameter(negative="", help="Other rows than those of the table's file.", group=DATA)] = None,
    device: Annotated[
        str | None, Parameter(help="cpu, cpu-intel, h200, h20: whose hours --plan tells. [default: the scale's]", group=MODEL)
    ] = None,
    plan: Annotated[bool, Parameter(negative="", help="Print every stage, its command and its cost, and run nothing.", group=RUN)] = False,
    out: Annotated[Path | None, Parameter(help="The output folder. The same command again runs only what is missing.", group=RUN)] = None,
) -> int:
    """Run a table of the paper, or an experiment of your own, as a chain of commands; --plan tells what it costs.

    Data, pruning, training, evaluation, statistics, report: each stage is one asap command in a folder of its own.

    The same command goes on where a killed chain was. Without a table, the tables are listed.

    Examples:

        asap reproduce table1 --scale paper --plan

        asap reproduce table1 --scale laptop --equal-tokens --out out/table1
    """
    from asap.reproduce.chain import chain_of, scale_of
    from asap.reproduce.checks import check_machine, check_options
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
    loaded = load_table(table)
    scale = scale or (next(iter(loaded.scales)) if len(loaded.scales) == 1 else "laptop")
    check_options(scale_of(loaded, scale), _parsed)
    chain = chain_of(loaded, scale, "equal-tokens" if equal_tokens else None, data)
    if chain.variant.name == "equal-tokens" and not equal_tokens and not manner().quiet:
        say(f"asap: {chain.scale.place} has only equal-tokens, which is taken as with --equal-tokens", error=True)
    if plan:
        chosen = load_device(device or chain.scale.device)
        stages = planned_stages(chain, out or Path("out"), chosen)
        show(plan_text(chain, stages, chosen).removesuffix("\n"), variant=chain.variant.name, device=chosen.name, stages=stages)
        return 0
    if out is None:
        raise UsageError(f"--out is missing: name the folder to write, for example --out out/{chain.table.name}, or add --plan")
    try:
        run_chain(chain, out, lambda text: None if manner().quiet else say(text, error=True), check_machine)
    except KeyboardInterrupt:
        say(f"asap: interrupted; the same command again goes on in {out}", error=True)
        return 130
    results = results_of(chain, out)
    reports = [str(out / stage.name) for stage in chain.stages if stage.kind == "report"]
    show(results_text(chain, results), variant=chain.variant.name, about=chain.scale.about, results=results, out=str(out), reports=reports)
    return 0


def _parsed(words: Sequence[str]) -> Mapping[str, Any]:
    """The options that the words of a command have, by the names of its parameters. Raises UsageError."""
    from asap.cli import app, read_lists

    read_lists(words)
    try:
        return app.parse_args(words, exit_on_error=False, print_error=False)[1].arguments
    except CycloptsError as error:
        raise UsageError(in_our_words(error)) from error
