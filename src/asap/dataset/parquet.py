"""A JSONL file of ours as Parquet, in constant memory: columns of the source's types where it had them, else of those that all rows fit.

A column whose rows fit no one type (a number here, a text there), or objects with very many keys, is written as JSON text. NaN and
infinity, which the JSONL file does not hold, come from a second file with the rows that have them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import IO, Any, NamedTuple

from asap.atomic import placing
from asap.dataset.columns import OWN, finite
from asap.dataset.parquet_types import as_type, common_type

_ROWS = 1000
_BYTES = 8_000_000
_MOST_FIELDS = 1000

_Row = Mapping[str, Any]


class _UnfitError(Exception):
    """The values of a column do not fit the type that each of them fits."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class _Column:
    """A column: the source's type for it, and the type that fits what has been seen."""

    def __init__(self, declared: Any) -> None:
        import pyarrow as pa

        self.declared = declared
        self._found: Any = pa.null()

    def see(self, values: Sequence[Any]) -> None:
        """Let both types go that do not fit these values."""
        import pyarrow as pa

        try:
            if self.declared is not None:
                self._declared_array(values)
        except (pa.ArrowException, ValueError, TypeError, ArithmeticError):
            self.declared = None
        try:
            self._found = common_type(self._found, pa.array(values).type) if self._found is not None else None
        except (pa.ArrowException, ValueError, TypeError, ArithmeticError):
            self._found = None

    def give_up(self) -> None:
        """Write it as JSON text."""
        self.declared = self._found = None

    @property
    def type(self) -> Any:
        """The type that is written."""
        import pyarrow as pa

        if self.declared is not None:
            return self.declared
        return self._found if self._found is not None and 0 < _fields(self._found) <= _MOST_FIELDS else pa.string()

    def array(self, values: Sequence[Any]) -> Any:
        """These values as an array of the type."""
        import pyarrow as pa

        if self.declared is not None:
            return self._declared_array(values)
        if self.type == self._found:
            return pa.array(values, type=self._found)
        return pa.array([None if value is None else json.dumps(finite(value), ensure_ascii=False) for value in values], type=pa.string())

    def _declared_array(self, values: Sequence[Any]) -> Any:
        import pyarrow as pa

        return pa.array([as_type(value, self.declared) for value in values], type=self.declared)


class _Rows(NamedTuple):
    """The rows of a JSONL file; `exact` replaces some of them."""

    path: Path
    exact: IO[bytes] | None

    def batches(self) -> Iterator[list[_Row]]:
        """All rows in pieces, from the first one."""
        batch, size = list[_Row](), 0
        if self.exact:
            self.exact.seek(0)
        with self.path.open("rb") as file:
            for line, instead in zip(file, self.exact or repeat(b""), strict=False):
                batch.append(json.loads(line if not instead.strip() else instead))
                size += len(line)
                if len(batch) == _ROWS or size >= _BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch


def write_parquet(path: Path, target: Path, types: Mapping[str, Any], exact: IO[bytes] | None = None) -> None:
    """Write the rows of a JSONL file as Parquet; the file appears whole or not at all. `types` are those of the source's columns.

    `exact` has a line for each row: the row with NaN and infinity in it, or nothing if it has none.
    """
    rows = _Rows(path, exact)
    columns, whole = _columns_of(rows, types), False
    while not whole:
        try:
            _write(rows, target, columns)
            whole = True
        except _UnfitError as error:
            columns[error.column].give_up()


def _columns_of(rows: _Rows, types: Mapping[str, Any]) -> dict[str, _Column]:
    columns = dict[str, _Column]()
    for batch in rows.batches():
        for name in dict.fromkeys(name for row in batch for name in row):
            if name not in columns:
                columns[name] = _Column(None if name in OWN else types.get(name) or types.get(name.removeprefix("source_")))
        for name, column in columns.items():
            column.see([row.get(name) for row in batch])
    return columns or {name: _Column(None) for name in OWN}


def _write(rows: _Rows, target: Path, columns: Mapping[str, _Column]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, column.type) for name, column in columns.items()])
    with placing(target) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for batch in rows.batches():
            arrays = [_array(name, column, batch) for name, column in columns.items()]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _array(name: str, column: _Column, batch: Sequence[_Row]) -> Any:
    import pyarrow as pa

    try:
        return column.array([row.get(name) for row in batch])
    except (pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
        raise _UnfitError(name) from error


def _fields(kind: Any) -> int:
    """The number of values that a type has at its ends; 0 if there is an object without a key in it, which Parquet cannot hold."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        inside = [_fields(field.type) for field in kind]
        return sum(inside) if all(inside) else 0
    return _fields(kind.value_type) if pa.types.is_list(kind) else 1
