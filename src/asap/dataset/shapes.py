"""Shapes: turns one row, in any of the common forms of reasoning data, into a Sample.

Which columns hold which part is known by their names (`asap.dataset.column_names`), or the user says it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from asap.dataset.advice import advised, with_option
from asap.dataset.chat import Turn, chat_turns, is_chat, messages_in, one_exchange, speaker_of
from asap.dataset.column_names import Part, Shape, find_shape, listed
from asap.dataset.columns import is_former
from asap.dataset.generations import is_one_text, listed_generations, text_in_column
from asap.dataset.layouts import in_usual_layout
from asap.dataset.raw import Row
from asap.dataset.rendered import check_plain, check_unopened
from asap.dataset.row_rules import DEFAULT_RULES, RowRules
from asap.errors import RowError, UsageError
from asap.sample import Sample, Unthinking, id_text, make_sample, may_be_id
from asap.spans import Span
from asap.think import Thought, split_think, think_spans
from asap.think_tags import HARMONY_WORDS, Frame, TagTable, closing_tag, tag_at_start


class Shaped(NamedTuple):
    """A sample, the name of the shape it was read from, and the row's columns without those that hold the response."""

    shape: str
    sample: Sample
    task: Row = MappingProxyType({})


COLUMN_KEYS = ("id", "question", "response", "cot", "answer", "messages", "system")
_COLUMN_PARTS: Mapping[str, Part] = {
    "messages": "chat",
    "question": "user",
    "response": "assistant",
    "cot": "reasoning",
    "answer": "assistant",
}
_ID_COLUMNS = ("id", "uuid")
_UNTHINKING = ("no_think", "empty_think")
_WRITTEN = ("assistant", "reasoning", "chat", "history", "system in chat")


def to_sample(row: Row, columns: Mapping[str, str] | None = None, rules: RowRules = DEFAULT_RULES) -> Shaped:
    """The row as a Sample (`asap.to_sample`)."""
    if columns:
        check_columns(columns)
    id_column = id_column_of(row, columns)
    row_id = None if id_column is None else row[id_column]
    try:
        row = in_usual_layout(row if columns else listed_generations(row), columns)
        shape = shape_of(row, columns, rules)
        sample = _read(shape, row, id_column, row_id, rules)
        _check_the_same(sample, shape, row, rules)
        rules.check_trace(sample.cot)
        parts = {**shape.needed, **shape.optional}
        repeated = {name for other in shape.also for name, part in other.needed.items() if part in ("chat", "reasoning")}
        task = {name: value for name, value in row.items() if parts.get(name) not in _WRITTEN and name not in repeated}
        return Shaped("columns" if columns else shape.name, sample, task)
    except RowError as error:
        if rules.pass_through and error.reason in _UNTHINKING:
            sample = _read(shape_of(row, columns, rules), row, id_column, row_id, rules, thinks=False)
            raise Unthinking(error.reason, error.detail, sample) from error
        if error.row_id is not None:
            raise
        raise error.of_row(_printable(row_id)) from error


def shape_of(row: Row, columns: Mapping[str, str] | None, rules: RowRules) -> Shape:
    """The shape of a row. Raises RowError if it has none."""
    shape = _named_shape(row, columns) if columns else find_shape(row, rules.table)
    _check_response(shape, row)
    return shape


def id_of(row: Row, columns: Mapping[str, str] | None = None) -> str | None:
    """The id that a row has, if that can be one."""
    column = id_column_of(row, columns)
    return None if column is None else _printable(row[column])


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise UsageError unless the keys make a whole row: messages, or a question, and a response or both cot and answer."""
    allowed = f"allowed in columns: {', '.join(COLUMN_KEYS)} (needed are messages, or question, and response or cot and answer)"
    for key, name in columns.items():
        if key not in COLUMN_KEYS:
            raise UsageError(f"there is no column key {key!r}; {allowed}")
        if not isinstance(name, str) or not name:
            raise UsageError(f"the column key {key!r} has the value {name!r}, which is not a column's name; {allowed}")
    if len(set(columns.values())) < len(columns):
        raise UsageError(f"two column keys name the same column: {', '.join(f'{key}={name}' for key, name in columns.items())}")
    given = columns.keys() - {"id", "system"}
    if given not in ({"messages"}, {"messages", "cot"}, {"question", "response"}, {"question", "cot", "answer"}):
        raise UsageError(f"the columns {', '.join(columns)} do not make a row; {allowed}")


def _check_response(shape: Shape, row: Row) -> None:
    """Raise RowError if the response is a chat that has the question as well, as in rows of two answers to choose from."""
    if "user" not in shape.needed.values():
        return
    for name, part in shape.needed.items():
        chat = messages_in(row.get(name)) if part == "assistant" and is_chat(row.get(name)) else ()
        if next((one for one in map(speaker_of, chat) if one != "system"), None) == "user":
            raise advised("two_questions", f"{name} is a chat with its own question: name it alone, ", {"messages": name})


def _named_shape(row: Row, columns: Mapping[str, str]) -> Shape:
    needed = {name: _COLUMN_PARTS[key] for key, name in columns.items() if key in _COLUMN_PARTS}
    for key, name in columns.items():
        if name in needed and name not in row:
            raise advised("missing_column", f"the row has no column {name!r} (", {key: name}, end=f"); it has {listed(row)}")
    return Shape(needed, {columns.get("system", "system"): "system"})


def _check_the_same(sample: Sample, shape: Shape, row: Row, rules: RowRules) -> None:
    """Raise RowError if the other readings of a row find other thinking. One that is not possible says nothing."""
    found = dict[str, Shape]()
    for other in shape.also:
        with suppress(RowError):
            found.setdefault(_read(other, row, None, None, rules).cot.strip(), other)
    if found and sample.cot.strip() not in found:
        other = next(iter(found.values()))
        raise advised("two_traces", f"{shape.name} and {other.name} hold different thinking: name one with ", _named(shape), _named(other))


def _named(shape: Shape) -> dict[str, str]:
    """What names the columns of a shape."""
    unused = "response" if "reasoning" in shape.needed.values() else "answer"
    keys = {part: key for key, part in _COLUMN_PARTS.items() if key != unused}
    return {keys[part]: name for name, part in shape.needed.items() if part in keys}


def _read(shape: Shape, row: Row, id_column: str | None, row_id: object, rules: RowRules, *, thinks: bool = True) -> Sample:
    """The sample of a row; with `thinks` false its response is as it stands, empty thinking and all, and has no trace."""
    turns, texts = _parts(shape, row)
    system, user, assistant = one_exchange(turns)
    used = {*shape.needed, *(name for name, part in shape.optional.items() if part != "system in chat"), id_column}
    if system is None and texts["system"]:
        system = texts["system"][0]
    elif texts["system"]:  # the message in the conversation wins, and the column remains in meta
        used -= {name for name, part in shape.optional.items() if part == "system"}
    system = None if rules.drop_system else system
    if "system in chat" not in shape.optional.values():  # the rows of pruned.jsonl have no tags but those that are part of the trace
        assistant = _without_tags(assistant, rules.table)
    thought = _thought(assistant, rules.table) if thinks else Thought("", assistant.content)
    if rules.logprobs:  # of the whole trace: they would not fit the pruned one
        used |= {*rules.logprobs.names}
    meta = {name: value for name, value in row.items() if name not in used and not is_former(name, value, thought.cot)}
    check_plain(user.content, thought.answer)
    if assistant.reasoning is None and tag_at_start(assistant.content, rules.table) is None:
        check_unopened(user.content)
    sample = make_sample(user.content, thought.cot, thought.answer, row_id=row_id, system=system, meta=meta, thinks=thinks)
    if not thinks:
        return _as_it_stands(sample, assistant.content, rules.table)
    frame = rules.frame_of(sample.cot, sample.answer, assistant.content, _response_in(shape, row))
    sample = sample if frame == sample.frame else replace(sample, frame=frame)
    if rules.logprobs:
        sample = replace(sample, logprobs=rules.logprobs.of_row(row, sample.cot, sample.answer))
    in_answer = closing_tag(sample.answer)
    tag = in_answer or closing_tag(sample.cot)
    if tag and split_think(sample.response, rules.table) != (sample.cot, sample.answer):
        part = "answer" if in_answer else "trace"
        raise RowError(f"think_in_{part}", f"the {part} holds {tag}, so trace and answer could not be told apart again")
    return sample


def _as_it_stands(sample: Sample, response: str, table: TagTable) -> Sample:
    """A sample without a trace whose response is a text: of that the empty thinking, if any, is its frame."""
    try:
        _, answer = think_spans(response, table)
    except RowError:
        answer = Span(0, len(response))
    frame = Frame(response[: answer.start], "", response[answer.end :])
    sample = replace(sample, answer=response[answer.start : answer.end], frame=frame)
    if not sample.answer.strip():
        raise RowError("empty_answer", "the row neither thinks nor answers", sample.id)
    return sample


def _response_in(shape: Shape, row: Row) -> str | None:
    """The response in the conversation of a row that has trace and answer in columns, too."""
    chat = next((row.get(column) for column, part in shape.optional.items() if part == "system in chat"), None)
    last = chat[-1] if isinstance(chat, (list, tuple)) and chat else None
    content = last.get("content") if isinstance(last, Mapping) else None
    return content if isinstance(content, str) else None


def _parts(shape: Shape, row: Row) -> tuple[list[Turn], dict[Part, list[str]]]:
    """The turns of the conversation in order, and the texts by part."""
    texts: dict[Part, list[str]] = {"system": [], "user": [], "reasoning": [], "assistant": []}
    turns: list[Turn] = []
    beside = "reasoning" in shape.needed.values()
    for column, part in {**shape.needed, **shape.optional}.items():
        value = row.get(column)
        if value is None and column in shape.optional:
            continue
        if part == "history":
            _check_history(value)
        elif part == "system in chat":
            texts["system"] += [] if texts["system"] else _system_in(value)
        elif part == "chat" or _is_chat_of(part, value, beside=beside):
            turns += chat_turns(value, column)
        else:
            texts["user" if part == "input" else part].append(text_in_column(part, value, column))
    if texts["user"]:
        turns.insert(0, Turn("user", "\n".join(text for text in texts["user"] if text)))
    trace = texts["reasoning"][0] if texts["reasoning"] else None
    if texts["assistant"]:
        turns.append(Turn("assistant", texts["assistant"][0], trace))
    elif trace is not None and turns and turns[-1].role == "assistant" and turns[-1].reasoning is None:
        turns[-1] = turns[-1]._replace(reasoning=trace)
    return turns, texts


def _is_chat_of(part: Part, value: object, *, beside: bool) -> bool:
    """Whether a column holds its part as chat messages. `beside` a trace, the answer must be text."""
    if part == "user":
        return (isinstance(value, (list, tuple)) and not is_one_text(value)) or is_chat(value)
    return part == "assistant" and not beside and is_chat(value)


def _check_history(value: object) -> None:
    if value:
        raise RowError(
            "multi_turn", f"the column history holds {len(value) if isinstance(value, list) else 1} earlier turns; one is expected"
        )


def _system_in(value: object) -> list[str]:
    """The system message of a conversation that only repeats the other columns; empty if unreadable."""
    try:
        return [turn.content for turn in chat_turns(value, "messages") if turn.role == "system"][:1]
    except RowError:
        return []


def _thought(turn: Turn, table: TagTable) -> Thought:
    """The trace and the answer of an assistant turn, with the trace beside the content or inside it."""
    if turn.reasoning is None:
        return split_think(turn.content, table)
    beside = Thought(turn.reasoning, turn.content)
    try:
        inside = split_think(turn.content, table)
    except RowError as error:
        if error.reason == "no_think" or turn.reasoning.strip():
            return beside
        raise
    if turn.reasoning.strip() and turn.reasoning.strip() != inside.cot.strip():
        raise with_option(
            "two_traces", "there is a trace beside the content and another one inside it, between think tags: name one with --columns"
        )
    return inside


def _without_tags(turn: Turn, table: TagTable) -> Turn:
    """The same without the tags around a trace that stands beside the answer, and without the answer that it may have once more."""
    reasoning = turn.reasoning or ""
    if tag_at_start(reasoning, [tags for tags in table if tags is not HARMONY_WORDS]) is None:
        return turn
    try:
        inside = split_think(reasoning, table)
    except RowError:
        return turn
    if inside.answer.strip() not in ("", turn.content.strip()):
        raise with_option("two_answers", "the trace is a whole response, with think tags and an answer of its own: name it with --columns")
    return turn._replace(reasoning=inside.cot)


def id_column_of(row: Row, columns: Mapping[str, str] | None) -> str | None:
    """The column with the row's id; None if it has none. One that cannot be an id, and was not named as it, is another column."""
    if columns and row.get(columns.get("id", "")) is not None:
        return columns["id"]
    return next((name for name in _ID_COLUMNS if may_be_id(row.get(name))), None)


def _printable(row_id: object) -> str | None:
    text = id_text(row_id)
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
