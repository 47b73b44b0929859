"""The Arrow types of a source's columns, and JSON values as Arrow takes them for such a type.

`asap.dataset.columns` makes text of what JSON has no form for: here it becomes what it was, times and decimals digit by digit. Categories
become their values.

What this does not do: read or write rows.
"""

import base64
from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from asap.errors import InputError


def types_of(files: Iterable[Path], schemas: Iterable[Any] = ()) -> str | None:
    """The types of the columns of Parquet and Arrow files, and of other schemas, as text; None if there are none.

    A column of types that do not fit has none.
    """
    import pyarrow as pa

    found = dict[str, Any]()
    for schema in filter(None, (*map(_schema_of, files), *schemas)):
        for field in schema:
            found[field.name] = common_type(found.get(field.name, field.type), field.type)
    known = [(name, kind) for name, kind in found.items() if kind is not None]
    return base64.b64encode(pa.schema(known).serialize()).decode("ascii") if known else None


def types_in(text: str | None) -> dict[str, Any]:
    """The types that `types_of` wrote, by column."""
    import pyarrow as pa

    if text is None:
        return {}
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
    return {field.name: plain_type(field.type) for field in schema}


def common_type(one: Any, other: Any) -> Any:
    """A type that holds the values of both; None if there is none."""
    import pyarrow as pa

    if one is None or other is None or one == other:
        return one if one == other else None
    try:
        schemas = [pa.schema([("column", kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowException, TypeError):
        return None


def plain_type(kind: Any) -> Any:
    """A type without categories and extensions, at any depth."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    return pa.list_(plain_type(kind.value_type)) if _is_list(kind) else kind


def as_type(value: Any, kind: Any) -> Any:
    """A JSON value as Arrow takes it for a type of `plain_type`. Raises ValueError, TypeError or an error of Arrow if it does not fit."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_struct(kind):
        if not isinstance(value, Mapping):
            raise TypeError("an object is expected")
        return {field.name: as_type(value.get(field.name), field.type) for field in kind}
    if pa.types.is_map(kind):
        return [(as_type(key, kind.key_type), as_type(inside, kind.item_type)) for key, inside in value]
    if _is_list(kind):
        return [as_type(inside, kind.value_type) for inside in value]
    return _leaf(value, kind)


def _leaf(value: Any, kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return base64.b64decode(value, validate=True)
    if pa.types.is_decimal(kind):
        return Decimal(value)
    if pa.types.is_time(kind):
        return time.fromisoformat(value)
    if pa.types.is_duration(kind):
        return timedelta(seconds=float(value))
    if pa.types.is_timestamp(kind):  # a text has the digits of microseconds, or of nanoseconds
        finest = pa.timestamp("ns" if kind.unit == "ns" else "us", kind.tz)
        return pa.scalar(value, pa.string()).cast(finest).cast(kind)
    return pa.scalar(value, pa.string()).cast(kind) if pa.types.is_date(kind) else value


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _schema_of(file: Path) -> Any:
    """The schema of a Parquet or Arrow file; None of another, or of one that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix == ".arrow":
            with pa.memory_map(str(file)) as opened, pa.ipc.open_stream(opened) as reader:
                return reader.schema
        return pq.read_schema(file) if file.suffix == ".parquet" else None
    except (pa.ArrowException, OSError, InputError):  # reading it will tell
        return None
