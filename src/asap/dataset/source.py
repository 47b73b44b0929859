"""The source of rows: files, folders or Hub ids, and how to read them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asap.dataset import Shaped, iter_shaped
from asap.dataset.containers import files_of
from asap.dataset.hub import loaded_schema, looks_like_hub_id
from asap.dataset.parquet_types import types_of
from asap.dataset.row_rules import DEFAULT_RULES, RowRules
from asap.dataset.shard import Shard
from asap.dataset.state import SourcePart, state_of
from asap.errors import AsapError, RowError


@dataclass(frozen=True, slots=True)
class Source:
    """Files, folders or Hub ids, and how to read their rows."""

    names: Sequence[str]
    columns: Mapping[str, str] = field(default_factory=dict)
    hub_config: str | None = None
    hub_split: str | None = None
    limit: int | None = None
    """Read at most this many rows."""
    shard: Shard | None = None
    """Use only this shard of the rows."""
    rules: RowRules = DEFAULT_RULES
    keep_columns: Sequence[str] | None = None
    """The other columns that travel along with the samples; None: all."""

    def rows(self, on_failure: Callable[[AsapError], None] | None = None) -> Iterator[tuple[str, int, Shaped | RowError]]:
        """Every row up to the limit with its source and line, ignoring the shard (`iter_shaped`)."""
        return iter_shaped(
            self.names,
            columns=self.columns or None,
            hub_config=self.hub_config,
            hub_split=self.hub_split,
            rules=self.rules,
            limit=self.limit,
            on_failure=on_failure,
        )

    def state(self, known: Sequence[SourcePart] = ()) -> list[SourcePart] | None:
        """What tells whether the source still holds the same (`state_of`)."""
        return state_of(self.names, known, hub_config=self.hub_config, hub_split=self.hub_split)

    def types(self) -> str | None:
        """The types of the columns in its Parquet and Arrow files and on the Hub (`types_of`), once it is read; None without any."""
        on_the_hub = [name for name in self.names if not Path(name).exists() and looks_like_hub_id(name)]
        files = (file for name in self.names if name not in on_the_hub for file in files_of(Path(name), self.hub_config, self.hub_split))
        return types_of(files, (loaded_schema(name, self.hub_config, self.hub_split) for name in on_the_hub))

    def as_settings(self) -> dict[str, Any]:
        """The settings that must not change when a run is continued; the limit may."""
        return {
            "sources": [printable(name) for name in self.names],
            "columns": dict(self.columns),
            "hub_config": self.hub_config,
            "hub_split": self.hub_split,
            **self.rules.as_settings(),
            **({} if self.keep_columns is None else {"keep_columns": list(self.keep_columns)}),
            **({"shard": str(self.shard)} if self.shard else {}),
        }


def printable(name: str) -> str:
    """A file name as valid UTF-8, with undecodable bytes escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
