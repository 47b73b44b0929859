"""`asap doctor`: examines the machine and the data."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from asap.cli.manner import manner
from asap.cli.options import (
    AS_IT_IS,
    MODEL,
    Columns,
    HubConfig,
    HubSplit,
    Limit,
    RowOptions,
    Tokenizer,
    at_least,
    parse_columns,
    with_logprobs,
)
from asap.cli.result import show
from asap.cli.terminal import console_for
from asap.errors import UsageError


def doctor(
    source: Annotated[list[str] | None, Parameter(help="Data to look at; without it only the machine is examined.")] = None,
    /,
    *,
    columns: Columns = None,
    row_options: RowOptions = AS_IT_IS,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
    scorer: Annotated[str, Parameter(help="The scorer whose context length is compared.", group=MODEL)] = "bundled",
    tokenizer: Tokenizer = None,
    base_url: Annotated[str | None, Parameter(help="The server of an openai: scorer; it is asked about a test text.", group=MODEL)] = None,
) -> int:
    """Examine this machine, and data if named: what is there, what is wrong, what to do."""
    from asap.doctor import examine, render

    typed = {"columns": columns, "subset": hub_config, "split": hub_split, "limit": limit, **asdict(row_options)}
    needless = [name.replace("_", "-") for name, value in typed.items() if value]
    if not source and needless:
        raise UsageError(f"--{needless[0]} is about data, and no data is named: asap doctor SOURCE --{needless[0]} …")
    report = examine(
        source or [],
        columns=parse_columns(columns),
        rules=with_logprobs(row_options.rules(), scorer, tokenizer),
        hub_config=hub_config,
        hub_split=hub_split,
        scorer=scorer,
        tokenizer=tokenizer,
        base_url=base_url,
        limit=at_least("limit", limit, 1),
    )
    about = {"histogram": [one._asdict() for one in report.data.histogram]} if report.data else {}
    show(None, status=report.status, findings=[one._asdict() for one in report.findings], **about)
    if not manner().json:
        render(report, console_for())
    return 2 if report.status == "fail" else 0
