"""Other layouts of the same row, as lists of messages and texts: messages by column, a response as an object, a chat in a list of one.

What this does not do: tell which columns are read (`asap.dataset.column_names`).
"""

from collections.abc import Mapping
from typing import Any

from asap.dataset.chat import is_chat
from asap.dataset.column_names import ANSWERS, CHATS, LESSER_QUESTIONS, QUESTIONS, RESPONSES, plain_name
from asap.dataset.raw import Row
from asap.message_parts import REASONING_KEYS, first_of

_CHATS = {*CHATS, *QUESTIONS, *LESSER_QUESTIONS, *RESPONSES}
_RESPONSES = {*RESPONSES, *ANSWERS}
_TEXTS = ("content", "text", "answer", "response", "output")
_ROLES = ("role", "from")


def in_usual_layout(row: Row, columns: Mapping[str, str] | None = None) -> Row:
    """The row as the table of names reads it. Other fields of a response that is an object become columns, as those of generations do."""
    chats = {columns[key] for key in ("messages", "question", "response", "answer") if key in columns} if columns else None
    responses = {columns[key] for key in ("response", "answer") if key in columns} if columns else None
    found = dict[str, Any]()
    for name, value in row.items():
        if isinstance(value, str) or not isinstance(value, Mapping | list | tuple):
            continue
        if (plain_name(name) in _CHATS) if chats is None else name in chats:
            value = _as_messages(value)
        if (plain_name(name) in _RESPONSES) if responses is None else name in responses:
            found |= _response(name, value, row)
        elif value is not row[name]:
            found[name] = value
    return {**row, **found} if found else row


def _as_messages(value: Any) -> Any:
    """Messages that are given by column, or that stand alone in a list, as a list of messages; any other value as it is."""
    if isinstance(value, list | tuple) and len(value) == 1 and not is_chat(value):
        inside = _as_messages(value[0])
        return inside if is_chat(inside) and not isinstance(inside, str) else value
    if not isinstance(value, Mapping) or not any(isinstance(value.get(key), list | tuple) for key in _ROLES):
        return value
    lengths = {len(items) if isinstance(items, list | tuple) else None for items in value.values() if items is not None}
    if len(lengths) != 1 or None in lengths:
        return value
    given = {key: items for key, items in value.items() if items is not None}
    return [dict(zip(given, message, strict=True)) for message in zip(*given.values(), strict=True)]


def _response(name: str, value: Any, row: Row) -> dict[str, Any]:
    """The columns of a response that is an object, alone or in a list; none if it is not."""
    one = value[0] if isinstance(value, list | tuple) and len(value) == 1 and not is_chat(value) else value
    choices = one.get("choices") if isinstance(one, Mapping) else None
    if isinstance(choices, list | tuple) and len(choices) == 1 and isinstance(choices[0], Mapping):
        one = choices[0].get("message")
    if not isinstance(one, Mapping):
        return {} if value is row[name] else {name: value}
    if any(isinstance(one.get(key), str) for key in _ROLES):
        return {name: [one]}
    key, text = first_of(one, (*_TEXTS, *(known for known in RESPONSES if known not in _TEXTS)))
    if not isinstance(text, str):
        return {}
    trace, thinking = first_of(one, REASONING_KEYS)
    others = {other: inside for other, inside in one.items() if other not in (key, trace, *row)}
    said = [{"role": "assistant", "content": text, trace: thinking}] if thinking else text
    return {**others, name: said}
