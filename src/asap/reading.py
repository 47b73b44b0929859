"""Reading a source into the store of a run, unless it holds what was read last.

What this does not do: parse (`asap.dataset`), or store (`asap.store`).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from asap.conversation import Conversation, TurnOf
from asap.dataset import RejectedTurn, Shaped
from asap.dataset.columns import check_kept, travelling
from asap.dataset.placeholder import Questions
from asap.dataset.source import Source, printable
from asap.dataset.state import SourcePart, same_content
from asap.dataset.where import FILTERED
from asap.errors import RowError
from asap.events import Listener
from asap.sample import Unthinking
from asap.store.incoming import columns_key
from asap.store.work import Store


class ReadRow(NamedTuple):
    """A row as a run reads it, or a turn of a conversation, at its position in the whole source.

    `digest` is that of its sample; `wanted` is false in another shard, and for a row that `--where` leaves out.
    `identity` tells it from another row at its place, before any check.
    """

    position: int
    source: str
    line: int
    result: Shaped | RowError
    digest: str | None
    wanted: bool
    identity: bytes

    @property
    def turn(self) -> TurnOf | None:
        """The turn of a conversation that it is."""
        return _turn_of(self.result)

    @property
    def columns(self) -> Iterable[str]:
        """The names of its other columns."""
        return _others(self.result)

    @property
    def is_filtered(self) -> bool:
        """Whether `--where` leaves the row out."""
        return isinstance(self.result, RowError) and self.result.reason == FILTERED


NOT_JUDGED = "not_judged"
"""The reason to reject a row that a check could not judge here; such rows are read again by the next run."""


class RowCheck(Protocol):
    """Gives the rows of a source back in order, those that do not pass as errors."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the settings of a run say about the check."""

    def __call__(self, source: Source, rows: Iterator[ReadRow], /) -> Iterator[ReadRow]:
        """The rows in order."""
        ...


def listened_rows(source: Source, listener: Listener) -> Iterator[ReadRow]:
    """Each row of a source up to its limit, announced to the listener, with the columns that travel along; with a shard also the rows of
    the others.
    """
    shown, others, whole = False, dict[str, None](), _Whole(source.keep_columns)
    for position, (name, line, found) in enumerate(source.rows()):
        if source.keep_columns:
            others.update(dict.fromkeys(_others(found)))
        result = whole.with_columns(found) if _turn_of(found) else _with_columns(found, source.keep_columns)
        digest = None if isinstance(result, RowError) else result.sample.digest()
        row = ReadRow(position, printable(name), line, result, digest, True, _identity(result, digest))
        if source.shard is not None:
            content = row.turn.conversation.digest if row.turn else digest  # the turns of a conversation stay together
            row = row._replace(wanted=source.shard.holds(position, content))
        yield row._replace(wanted=False) if row.is_filtered else row
        if not shown and not isinstance(result, RowError):
            listener.first_row(result)
            shown = True
        listener.reading(position + 1)
    if source.keep_columns and shown:
        check_kept(source.keep_columns or (), [*others])


def _passed_with(found: Unthinking, keep: Sequence[str] | None) -> RowError:
    """A row that passes through, with the columns that travel along."""
    if isinstance(found.whole, Conversation):
        return found if keep is None else Unthinking(found.reason, found.detail, found.whole.keeping(keep))
    try:
        return Unthinking(found.reason, found.detail, replace(found.whole, meta=travelling(found.whole.meta, keep)))
    except RowError as error:
        return RowError(error.reason, error.detail, found.whole.id)


def _turn_of(found: Shaped | RowError) -> TurnOf | None:
    if isinstance(found, RowError):
        return found.turn if isinstance(found, RejectedTurn) else None
    return found.sample.turn


def _others(found: Shaped | RowError) -> Iterable[str]:
    if isinstance(found, Unthinking):
        return found.whole.others if isinstance(found.whole, Conversation) else found.whole.meta
    turn = _turn_of(found)
    return turn.conversation.others if turn else () if isinstance(found, RowError) else found.sample.meta


class _Whole:
    """Conversations with the columns that travel along; the last one is kept for its next turn."""

    def __init__(self, keep: Sequence[str] | None) -> None:
        self._keep = keep
        self._last: tuple[Conversation, Conversation] | None = None

    def with_columns(self, found: Shaped | RowError) -> Shaped | RowError:
        """A turn of the conversation with these columns."""
        turn = _turn_of(found)
        if turn is None or self._keep is None:
            return found
        if self._last is None or self._last[0] is not turn.conversation:
            self._last = turn.conversation, turn.conversation.keeping(self._keep)
        turn = turn._replace(conversation=self._last[1])
        if isinstance(found, RowError):
            return RejectedTurn(found.reason, found.detail, found.row_id, turn)
        return found._replace(sample=replace(found.sample, turn=turn))


def _with_columns(found: Shaped | RowError, keep: Sequence[str] | None) -> Shaped | RowError:
    if isinstance(found, Unthinking):
        return _passed_with(found, keep)
    if isinstance(found, RowError) or not found.sample.meta:
        return found
    try:
        return found._replace(sample=replace(found.sample, meta=travelling(found.sample.meta, keep)))
    except RowError as error:
        return RowError(error.reason, error.detail, found.sample.id)


def read_into(store: Store, source: Source, listener: Listener, check: RowCheck | None = None) -> None:
    """Read the source into the store, unless it holds what was read last. The earlier input stays until the new one is complete.

    `check` sees the rows before they are stored.
    """
    store.retry_failed()
    last = store.fact("source") or {}
    known = [SourcePart(*part) for part in last.get("state") or () if isinstance(part, list) and len(part) == len(SourcePart._fields)]
    state = source.state(known)
    if "columns" in last and last.get("limit") == source.limit and same_content(state, known or None):
        store.set_fact("source", {**last, "state": state})
        listener.unchanged(last.get("rows", 0))
        return
    content, rows, filtered, columns, talks = hashlib.sha256(), 0, 0, dict[str, None](), False
    read, judged, questions = listened_rows(source, listener), True, Questions()
    with store.new_input() as incoming:
        for row in check(source, read) if check else read:
            rows, filtered = rows + (not row.is_filtered), filtered + row.is_filtered
            content.update(row.identity)
            columns.update(dict.fromkeys(row.columns))
            talks = talks or (isinstance(row.result, Unthinking) and isinstance(row.result.whole, Conversation))
            if row.wanted and isinstance(row.result, RowError):
                incoming.add_rejected(row.position, row.source, row.line, row.result, row.turn)
                judged = judged and row.result.reason != NOT_JUDGED
            elif row.wanted and not isinstance(row.result, RowError):
                incoming.add_sample(row.position, row.source, row.line, row.result.sample, row.digest)
            if not isinstance(row.result, RowError):
                questions.add(row.result.sample.question)
        unchanged = same_content(state, source.state(state or ()))  # while it was read
        incoming.source = {
            "state": state if unchanged and judged else None,
            "limit": source.limit,
            "rows": rows,
            "content": content.hexdigest(),
            "columns": list(columns),
            "types": source.types() if columns else None,
            **({"questions": finding} if (finding := questions.finding()) else {}),
            **({"passed_conversations": True} if talks else {}),
            **({"filtered": filtered} if source.rules.where else {}),
        }


def _identity(result: Shaped | RowError, digest: str | None) -> bytes:
    """What tells a row from another at its place: its id, its content or error, and its other columns."""
    if isinstance(result, RowError):
        text = f"{result.row_id}\0{result}" + (f"\0{columns_key(result.stored())}" if isinstance(result, Unthinking) else "")
    else:
        columns = result.sample.meta
        text = f"{result.sample.id}\0{digest}" + (f"\0{columns_key(columns)}" if columns else "")
    turn = _turn_of(result)
    whole = f"\0{turn.conversation.digest}" if turn else ""
    return f"{text}{whole}\n".encode("utf-8", "backslashreplace")
