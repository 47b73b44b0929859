"""Reading a source into the store of a run, unless it holds what was read last.

What this does not do: parse (`asap.dataset`), or store (`asap.store`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from asap.dataset import Shaped
from asap.dataset.columns import check_kept, travelling
from asap.dataset.source import Source, printable
from asap.dataset.state import SourcePart, same_content, state_of
from asap.errors import RowError
from asap.events import Listener
from asap.store.incoming import columns_key
from asap.store.work import Store


class ReadRow(NamedTuple):
    """A row as a run reads it, at its position in the whole source; `digest` is that of its sample, `wanted` false in another shard."""

    position: int
    source: str
    line: int
    result: Shaped | RowError
    digest: str | None
    wanted: bool


def listened_rows(source: Source, listener: Listener) -> Iterator[ReadRow]:
    """Each row of a source up to its limit, announced to the listener, with the columns that travel along; with a shard also the rows of
    the others.
    """
    shown, others = False, dict[str, None]()
    for position, (name, line, found) in enumerate(islice(source.rows(), source.limit)):
        if source.keep_columns and not isinstance(found, RowError):
            others.update(dict.fromkeys(found.sample.meta))
        result = _with_columns(found, source.keep_columns)
        digest = None if isinstance(result, RowError) else result.sample.digest()
        wanted = source.shard is None or source.shard.holds(position, digest)
        yield ReadRow(position, printable(name), line, result, digest, wanted)
        if not shown and not isinstance(result, RowError):
            listener.first_row(result)
            shown = True
        listener.reading(position + 1)
    if others:
        check_kept(source.keep_columns or (), [*others])


def _with_columns(found: Shaped | RowError, keep: Sequence[str] | None) -> Shaped | RowError:
    if isinstance(found, RowError) or not found.sample.meta:
        return found
    try:
        return found._replace(sample=replace(found.sample, meta=travelling(found.sample.meta, keep)))
    except RowError as error:
        return RowError(error.reason, error.detail, found.sample.id)


def read_into(store: Store, source: Source, listener: Listener) -> None:
    """Read the source into the store, unless it holds what was read last. The earlier input stays until the new one is complete."""
    store.retry_failed()
    last = store.fact("source") or {}
    known = [SourcePart(*part) for part in last.get("state") or ()]
    state = state_of(source.names, known)
    if "columns" in last and last.get("limit") == source.limit and same_content(state, known or None):
        store.set_fact("source", {**last, "state": state})
        listener.unchanged(last["rows"])
        return
    content, rows, columns = hashlib.sha256(), 0, dict[str, None]()
    with store.new_input() as incoming:
        for row in listened_rows(source, listener):
            rows = row.position + 1
            content.update(_identity(row))
            if not isinstance(row.result, RowError):
                columns.update(dict.fromkeys(row.result.sample.meta))
            if row.wanted and isinstance(row.result, RowError):
                incoming.add_rejected(row.position, row.source, row.line, row.result)
            elif row.wanted and not isinstance(row.result, RowError):
                incoming.add_sample(row.position, row.source, row.line, row.result.sample, row.digest)
        unchanged = same_content(state, state_of(source.names, state or ()))  # while it was read
        incoming.source = {
            "state": state if unchanged else None,
            "limit": source.limit,
            "rows": rows,
            "content": content.hexdigest(),
            "columns": list(columns),
        }


def _identity(row: ReadRow) -> bytes:
    """What tells a row from another at its place: its id, its content or error, and its other columns."""
    if isinstance(row.result, RowError):
        text = f"{row.result.row_id}\0{row.result}"
    else:
        columns = row.result.sample.meta
        text = f"{row.result.sample.id}\0{row.digest}" + (f"\0{columns_key(columns)}" if columns else "")
    return f"{text}\n".encode("utf-8", "backslashreplace")
