"""`asap doctor`: checks this machine and these rows. Every finding includes what to do next."""

from collections.abc import Mapping, Sequence

from asap.dataset import check_columns
from asap.dataset.row_rules import DEFAULT_RULES, RowRules
from asap.doctor.data import check_data
from asap.doctor.environment import check_environment
from asap.doctor.finding import Bin, DataDiagnosis, Diagnosis, Finding, Status
from asap.doctor.render import render
from asap.doctor.server import check_server
from asap.lm.specs import is_server

__all__ = ["Bin", "DataDiagnosis", "Diagnosis", "Finding", "Status", "examine", "render"]


def examine(
    sources: Sequence[str] = (),
    *,
    columns: Mapping[str, str] | None = None,
    rules: RowRules = DEFAULT_RULES,
    hub_config: str | None = None,
    hub_split: str | None = None,
    scorer: str = "bundled",
    tokenizer: str | None = None,
    base_url: str | None = None,
    limit: int | None = None,
) -> Diagnosis:
    """Check this machine and the first `limit` rows of the sources (None: all rows).

    Writes nothing and loads no model; a scorer behind the server `base_url` is asked about a test text. Problems of the machine, the
    server or the rows are findings; only wrong `columns` or `rules` raise a UsageError.
    """
    if columns:
        check_columns(columns)
    environment, served = check_environment(), None
    if is_server(scorer):
        served, finding = check_server(scorer, base_url, tokenizer)
        environment = [*environment, finding]
    if not sources:
        return Diagnosis(environment, None)
    data = check_data(
        sources,
        columns=columns,
        rules=rules,
        hub_config=hub_config,
        hub_split=hub_split,
        scorer=scorer,
        tokenizer=tokenizer,
        served=served,
        limit=limit,
    )
    return Diagnosis(environment, data)
