"""`--where COLUMN=VALUE`: the rows that are read, by what a column of theirs holds.

Rows that are left out are counted, and named as `filtered`; they are no rejected rows.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from asap.dataset.raw import Row
from asap.errors import RowError, UsageError

FILTERED = "filtered"
"""The reason of the error that stands for a row that was not asked for."""
LACKS = "lacks_column"
"""The reason for a row without the column of a condition."""


class Condition(NamedTuple):
    """A column and the value that it must hold."""

    column: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """The condition that COLUMN=VALUE names. Raises UsageError for anything else."""
        column, equals, value = text.partition("=")
        if not column.strip() or not equals:
            raise UsageError(f"--where is {text!r}; write COLUMN=VALUE, for example --where correctness_math_verify=true")
        return cls(column.strip(), value.strip())

    def holds(self, row: Row) -> bool:
        """Whether a row's column has the value. Raises RowError if the row lacks the column, or it holds no single value."""
        shown = f"--where {self.column}={self.value}"
        if self.column not in row:
            has = ", ".join(map(repr, row)) or "none"
            raise RowError(LACKS, f"the row has no column {self.column!r} ({shown}); it has {has}")
        found = row[self.column]
        if isinstance(found, (list, tuple, dict)):
            raise RowError(
                "wrong_type",
                f"{self.column} is {type(found).__name__}; {shown} compares text, numbers, true, false and null "
                "(--each-generation takes lists apart that have a value for each generation)",
            )
        return _equal(found, self.value)


@lru_cache(maxsize=8)
def conditions_of(texts: tuple[str, ...]) -> tuple[Condition, ...]:
    """The conditions that these texts name. Raises UsageError."""
    return tuple(map(Condition.parse, texts))


def check_wanted(row: Row, where: Sequence[Condition]) -> None:
    """Raise RowError if a row is not one of those asked for."""
    for condition in where:
        if not condition.holds(row):
            raise RowError(FILTERED, f"{condition.column} is not {condition.value}")


def _equal(found: object, value: str) -> bool:
    """Whether a value is what a text says: the same text, the same number, true, false or null."""
    if isinstance(found, str):
        return found == value
    if found is None or isinstance(found, bool):
        return json.dumps(found) == value.lower()
    if not isinstance(found, (int, float, Decimal)):
        return str(found) == value
    try:
        return found == (float(value) if isinstance(found, float) else Decimal(value))
    except (ValueError, ArithmeticError):
        return False
