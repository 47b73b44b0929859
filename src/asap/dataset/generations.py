"""Several generations in one row: `--each-generation` makes a row of each. Also the only text of a column, alone or in a list of one.

Generations are a list of texts, a list of objects with a text and its properties, or numbered columns. Lists of the same length that say
something of each of them, such as `correctness_math_verify`, are taken apart with them.

What this does not do: choose a generation (`asap.dataset.where`), or split one (`asap.dataset.shapes`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import TypeGuard

from asap.dataset.advice import EACH_GENERATION, with_option
from asap.dataset.chat import has_answer, is_chat
from asap.dataset.column_names import ANSWERS, CHATS, QUESTIONS, RESPONSES, TRACES, Part, has_thinking, holds_several, plain_name
from asap.dataset.raw import Row
from asap.errors import RowError
from asap.message_parts import first_of, is_number, is_thinking_part, text_of, thinking_in
from asap.sample import id_text
from asap.think_tags import TagTable

_PARTS = (*RESPONSES, *ANSWERS, *TRACES)
_NUMBERED = re.compile(rf"({'|'.join(sorted(_PARTS, key=len, reverse=True))})_?(\d{{1,3}})", re.IGNORECASE)
_OF_EACH = re.compile(
    "finish|correct|complete|model|generat|judg|verdict|score|reward|grade|verif|pass|reason|logprob|token", re.IGNORECASE
)
"""What the name of a column holds whose texts or lists say something of each generation."""


def listed_generations(row: Row) -> Row:
    """A row whose numbered columns, such as r1_solution_1 and r1_solution_2, are one list; any other as it is."""
    found = {name: match for name in row if name[-1:].isdigit() and (match := _NUMBERED.fullmatch(name))}
    groups: dict[str, list[str]] = {}
    for name, match in sorted(found.items(), key=lambda pair: int(pair[1][2])):
        groups.setdefault(match[1], []).append(name)
    lists = {base: names for base, names in groups.items() if len(names) > 1 and row.get(base) is None}
    if not lists:
        return row
    gone = {name for names in lists.values() for name in names}
    kept = {name: value for name, value in row.items() if name not in gone}
    return {**kept, **{base: [row[name] for name in names if row[name] is not None] for base, names in lists.items()}}


def each_generation(row: Row, columns: Mapping[str, str], id_column: str | None, table: TagTable) -> Iterator[Row]:
    """A row for each generation of a row, with ID/1, ID/2, … as ids; the row itself if it holds no list of them.

    A conversation that holds one of the generations is left out of the rows that are made.
    """
    row = row if columns else listed_generations(row)
    names = [columns[key] for key in ("response", "answer", "cot") if key in columns] or _in_order(row)
    lists = {name: value for name in names if are_generations(value := row.get(name))}
    lists = {name: value for name, value in lists.items() if has_thinking(value, table)} or lists
    if not lists or _are_steps(lists, row, table):
        yield row
        return
    count = len(next(iter(lists.values())))
    apart = {name for name, value in row.items() if _length(value) == count and (name in lists or _is_of_each(name, value))}
    kept = {name: value for name, value in row.items() if columns or name.lower() not in CHATS or name in apart}
    if not columns and not any(name.lower() in QUESTIONS for name in row):
        kept = {**row, **{name: _without_answers(value) for name, value in row.items() if has_answer(value)}}
    row_id = None if id_column is None else id_text(row[id_column])
    for index in range(count):
        made = dict[str, object]()
        for name, value in kept.items():
            made |= _one_of(name, value[index], row, flat=name in lists) if name in apart else {name: value}  # type: ignore[index]
        yield made if row_id is None else {**made, str(id_column): f"{row_id}/{index + 1}"}


def _in_order(row: Row) -> list[str]:
    """The columns that may hold generations or their traces, in the order of the names."""
    spelled = {name.lower(): name for name in row}
    return [spelled[name] for name in _PARTS if name in spelled]


def are_generations(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a value is a list of texts, of objects that hold one, or of chats, which is no chat itself."""
    if not isinstance(value, (list, tuple)) or not value or is_chat(value):
        return False
    return all(one is None or isinstance(one, str) or _holds_one(one) for one in value)


def _holds_one(value: object) -> bool:
    """Whether an object holds a text, or a value is a chat with its answer."""
    return text_in(value)[1] is not None if isinstance(value, Mapping) else has_answer(value)


def _are_steps(lists: Mapping[str, Sequence[object]], row: Row, table: TagTable) -> bool:
    """Whether lists hold traces, or the steps of one, beside a single answer: no one can tell which."""
    if any(name.lower() not in TRACES or has_thinking(value, table) for name, value in lists.items()):
        return False
    return any(isinstance(row.get(name), str) for name in _in_order(row) if name not in lists)


def text_in(generation: Mapping[str, object]) -> tuple[str, object]:
    """The text of a generation that is an object, and its key."""
    return first_of(generation, ("text", *RESPONSES))


def _is_of_each(name: str, value: object) -> bool:
    """Whether a list says something of each generation: flags do, anything else if its name tells."""
    assert isinstance(value, (list, tuple))
    return not is_chat(value) and (all(one is None or isinstance(one, bool) for one in value) or _OF_EACH.search(name) is not None)


def _length(value: object) -> int:
    return len(value) if isinstance(value, (list, tuple)) else 0


def _one_of(name: str, value: object, row: Row, *, flat: bool) -> dict[str, object]:
    """The columns of one generation: its text, and its properties as columns if it is an object."""
    if not flat or not isinstance(value, Mapping):
        return {name: value}
    key, text = text_in(value)
    return {name: text, **{other: inside for other, inside in value.items() if other != key and other not in row}}


def _without_answers(chat: object) -> object:
    return [message for message in chat if not has_answer([message])] if isinstance(chat, (list, tuple)) else None


def text_in_column(part: Part, value: object, column: str) -> str:
    """The text of a part in a column. Raises RowError if there is none, or more than one."""
    if part == "reasoning":
        return _one_trace(value, column)
    if part == "assistant":
        value = _one_text(value, column)
        if is_number(value) and isfinite(value) and plain_name(column) not in RESPONSES:
            value = str(value)
    elif is_one_text(value):
        [value] = value  # type: ignore[misc]
    return text_of(value, column)


def is_one_text(value: object) -> bool:
    """Whether a value is a list of one text."""
    return isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], str)


def _one_text(value: object, column: str) -> object:
    """The text of a response: itself, or the only one of a list, alone or in an object with its properties."""
    if holds_several(value):
        raise with_option(
            "several_generations",
            f"{column} holds {len(value)} generations"  # type: ignore[arg-type]
            + (f": make a row of each with {EACH_GENERATION}" if are_generations(value) else ", none of them a text to take apart"),
        )
    if isinstance(value, (list, tuple)) and not value:
        raise RowError("no_answer", f"{column} is an empty list")
    if isinstance(value, (list, tuple)) and value and not is_chat(value):
        value = value[0]
        if isinstance(value, Mapping):
            value = text_in(value)[1]
    return value


def _one_trace(value: object, column: str) -> str:
    """The trace in a column: a text, parts of one, or a list that holds just one."""
    if isinstance(value, (list, tuple)) and len(value) > 1 and not all(is_thinking_part(one) for one in value):
        raise with_option(
            "two_traces",
            f"{column} holds {len(value)} texts; one trace is expected: join the steps of one with blank lines between them; "
            f"several traces need an answer each ({EACH_GENERATION})",
        )
    return thinking_in(value, column)
