"""The doctor's findings: plain data, rendered in `render.py`."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Status = Literal["ok", "absent", "warn", "fail"]
"""`absent` is what is not installed and only some commands need: nothing is wrong."""


class Finding(NamedTuple):
    """One check: its name, its status, what it found, and what to do next (empty: nothing)."""

    name: str
    status: Status
    found: str
    advice: str = ""


class Bin(NamedTuple):
    """The number of rows whose trace has `low` to `high` tokens, both included."""

    low: int
    high: int
    rows: int


class DataDiagnosis(NamedTuple):
    """The findings about the rows, and the lengths of their traces."""

    findings: Sequence[Finding]
    histogram: Sequence[Bin]


class Diagnosis(NamedTuple):
    """The whole diagnosis of `asap doctor`; `data` is None if no source was named."""

    environment: Sequence[Finding]
    data: DataDiagnosis | None

    @property
    def findings(self) -> list[Finding]:
        """Every finding, the environment's first."""
        return [*self.environment, *(self.data.findings if self.data else ())]

    @property
    def status(self) -> Status:
        """The worst status of all findings; what is only absent leaves it at ok."""
        found = {finding.status for finding in self.findings}
        return "fail" if "fail" in found else "warn" if "warn" in found else "ok"
