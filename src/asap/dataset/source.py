"""Where rows come from: files, folders or Hub ids, and how to read them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asap.dataset import Shaped, iter_shaped
from asap.errors import RowError


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows come from: files, folders or Hub ids, and how to read them."""

    names: Sequence[str]
    columns: Mapping[str, str] = field(default_factory=dict)
    hub_config: str | None = None
    hub_split: str | None = None
    limit: int | None = None
    """Read only so many rows."""

    def rows(self) -> Iterator[tuple[str, int, Shaped | RowError]]:
        """Each row with its source and line, all of them."""
        return iter_shaped(self.names, columns=self.columns or None, hub_config=self.hub_config, hub_split=self.hub_split)

    def as_settings(self) -> dict[str, Any]:
        """What must not change between two runs into one folder; a run may be continued with another limit."""
        return {
            "sources": [printable(name) for name in self.names],
            "columns": dict(self.columns),
            "hub_config": self.hub_config,
            "hub_split": self.hub_split,
        }


def printable(name: str) -> str:
    """A file name need not be UTF-8; what is written about it has to be."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
