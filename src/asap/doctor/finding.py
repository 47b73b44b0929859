"""What the doctor found: plain data, rendered elsewhere."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One thing that was looked at: what it is, how it is, what was found, and what to do next (empty: nothing)."""

    name: str
    status: Status
    found: str
    advice: str = ""


class Bin(NamedTuple):
    """How many rows have a trace of `low` to `high` tokens, both included."""

    low: int
    high: int
    rows: int


class DataDiagnosis(NamedTuple):
    """What was found in the rows, and how long their traces are."""

    findings: Sequence[Finding]
    histogram: Sequence[Bin]


class Diagnosis(NamedTuple):
    """All that `asap doctor` has to say; `data` is None where no source was named."""

    environment: Sequence[Finding]
    data: DataDiagnosis | None

    @property
    def findings(self) -> list[Finding]:
        """Every finding, the environment's first."""
        return [*self.environment, *(self.data.findings if self.data else ())]

    @property
    def status(self) -> Status:
        """The worst status of all findings."""
        found = {finding.status for finding in self.findings}
        return "fail" if "fail" in found else "warn" if "warn" in found else "ok"
