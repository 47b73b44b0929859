"""Rows of several turns, or with tools, as conversations: where their messages stand, and which of their turns think.

A row of one question and one answer is none, and is read by `asap.dataset.shapes` alone. Known are chats of any number of messages, also as
JSON text, TRL's prompt and completion, alpaca's `history`, and lists of questions with their answers.
"""

import json
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from asap.conversation import Conversation, Line, Piece, Speaker, TurnOf, piece_of
from asap.dataset.chat import is_chat, is_pair, is_thought, messages_in, speaker_of
from asap.dataset.column_names import Part, Shape
from asap.dataset.columns import plain
from asap.dataset.layouts import in_usual_layout
from asap.dataset.messages import is_call, message_line, pair_lines, thinking_pieces, thought_pieces
from asap.dataset.raw import Row
from asap.dataset.rendered import check_plain
from asap.dataset.row_rules import RowRules
from asap.dataset.shapes import Shaped, id_of, shape_of
from asap.dataset.turn_formats import FLAGS
from asap.dataset.turn_tags import in_tags
from asap.digest import content_digest
from asap.errors import RowError
from asap.json_paths import edited, value_at
from asap.message_parts import text_of, wrong_type
from asap.sample import Sample, Unthinking
from asap.think import split_think, think_spans
from asap.think_tags import HARMONY_WORDS, IN_THINK, TagTable, closing_tag, tag_at_start

TOOLS = ("tools", "functions")
_NOTHING = ("", "[]", "null", "{}")
_ORDER: Sequence[Part] = ("system", "history", "chat", "user", "input", "reasoning", "assistant")
"""In which the parts of a conversation stand."""
_Found = Line | list[Piece]
"""A message, or the pieces of a thought of the next one."""


class RejectedTurn(RowError):
    """A turn that cannot be pruned; the rest of its conversation can."""

    def __init__(self, reason: str, detail: str, row_id: str | None, turn: TurnOf) -> None:
        super().__init__(reason, detail, row_id)
        self.turn = turn

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail, self.row_id, self.turn)


class _Read(NamedTuple):
    """A message, and why its thinking cannot be read, if it cannot."""

    line: Line
    error: RowError | None = None


def turns_of(row: Row, columns: Mapping[str, str] | None, rules: RowRules) -> Iterator[Shaped | RowError] | None:
    """Each turn of a conversation that thinks, as a sample or the reason why it is none; None for any other row.

    One after the other: each has all the text before it.

    Raises RowError, with the row's id if known, for a conversation of which no turn can be used.
    """
    row = in_usual_layout(row, columns)
    try:
        shape = shape_of(row, columns, rules)
    except RowError:
        return None
    if not _is_conversation(shape, row):
        return None
    row_id = id_of(row, columns)
    try:
        return _turns(shape, row, row_id, rules)
    except RowError as error:
        raise error if error.row_id is not None else RowError(error.reason, error.detail, row_id) from error


def _turns(shape: Shape, row: Row, row_id: str | None, rules: RowRules) -> Iterator[Shaped | RowError]:
    if rules.logprobs:
        raise RowError("no_logprobs", "the turns of a conversation have no log-probabilities of their own")
    encoded = {column: text for column, _ in _columns(shape) if isinstance(text := row.get(column), str) and is_chat(text)}
    row = _as_json(shape, row, encoded)
    if rules.drop_system:
        encoded = {column: _text_without_system(text, row[column]) for column, text in encoded.items()}
        row = _without_system(shape, row)
    read = _messages(shape, row, rules.table)
    if not read:
        raise RowError("no_question", "the conversation has no message")
    tools = next((name for name in TOOLS if _is_given(row.get(name))), None)
    name = row_id or content_digest(json.dumps(row, ensure_ascii=True))[:16]
    conversation = Conversation(name, row, [one.line for one in read], tools, encoded)
    conversation = in_tags(conversation, rules.named_frame) if rules.named_frame else conversation
    thinking = [one for one in read if one.line.thinking or one.error]
    errors = {one.line.number: one.error or _unusable(conversation, one.line.number, rules) for one in thinking}
    conversation = replace(conversation, rejected=[number for number, error in errors.items() if error])
    if not thinking:
        turns = sum(one.line.role == "assistant" for one in read)
        detail = f"none of the conversation's {turns} assistant messages thinks"
        if turns and rules.pass_through:
            raise Unthinking("no_think", detail, conversation)
        raise RowError("no_think" if turns else "no_answer", detail, name)
    return (_turn(shape, TurnOf(conversation, number), error) for number, error in errors.items())


def _turn(shape: Shape, turn: TurnOf, error: RowError | None) -> Shaped | RejectedTurn:
    """A turn as a sample, or the reason why it cannot be pruned."""
    if error is None:
        return Shaped(shape.name, Sample.of_turn(turn))
    return RejectedTurn(error.reason, error.detail, turn.id, turn)


def _unusable(conversation: Conversation, number: int, rules: RowRules) -> RowError | None:
    """Why a turn that thinks cannot be pruned, if it cannot; without all the text before it."""
    before = conversation.lines[conversation.lines[0].role == "system" :]
    if not any(line.number < number and conversation.said(line).strip() for line in before):
        return RowError("empty_question", "nothing stands before the turn")
    cot, answer = conversation.cot(number), conversation.answer(number)
    if not answer.strip():
        return RowError("empty_answer", "after its thinking the turn says nothing and calls no tool")
    try:
        check_plain("", answer)
        rules.check_trace(cot)
        in_answer = closing_tag(answer)
        if (in_answer or closing_tag(cot)) and split_think((rules.named_frame or IN_THINK).join(cot, answer), rules.table) != (cot, answer):
            part = "answer" if in_answer else "trace"
            raise RowError(f"think_in_{part}", f"the {part} holds a closing think tag, so the two could not be told apart again")
    except RowError as error:
        return error
    return None


def _as_json(shape: Shape, row: Row, encoded: Container[str]) -> dict[str, Any]:
    """A row as JSON holds it, with the messages of encoded columns as lists. Raises RowError for texts that are not valid Unicode."""
    try:
        row = {name: messages_in(value) if name in encoded else value for name, value in row.items()}
        messages = [row.get(column) for column, _ in _columns(shape)]
        json.dumps(messages, ensure_ascii=False, default=str).encode("utf-8")
        return {name: plain(value) for name, value in row.items()}
    except UnicodeEncodeError as error:
        raise RowError("lone_surrogate", "the conversation holds half a surrogate pair: not valid Unicode") from error
    except RecursionError as error:
        raise RowError("bad_value", "the values of a column are nested too deeply") from error


def _is_conversation(shape: Shape, row: Row) -> bool:
    """Whether a row has more than one exchange, or tools, or messages that say whether they are learnt."""
    messages = [message for _, message in _chat(shape, row) if isinstance(message, Mapping) and not is_thought(message)]
    history = next((column for column, part in _columns(shape) if part == "history"), None)
    if not messages or (history is not None and _listed(row.get(history))):
        return history is not None and bool(_listed(row.get(history)))
    if any(_is_given(row.get(name)) for name in TOOLS):
        return True
    roles = Counter(speaker_of(message) for message in messages if not is_pair(message))
    texts = Counter(part for column, part in _columns(shape) if isinstance(row.get(column), str) and not is_chat(row[column]))
    pairs = sum(map(is_pair, messages))
    most = max(roles["system"], roles["user"] + pairs + texts["user"], roles["assistant"] + pairs + texts["assistant"])
    return most > 1 or bool(roles["tool"]) or any(is_call(one) or any(one.get(key) is not None for key in FLAGS) for one in messages)


def _is_given(tools: object) -> bool:
    return bool(tools) and not (isinstance(tools, str) and tools.strip() in _NOTHING)


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _columns(shape: Shape) -> list[tuple[str, Part]]:
    """The columns of a conversation, in the order in which their messages stand."""
    columns = [(name, part) for name, part in {**shape.needed, **shape.optional}.items() if part in _ORDER]
    return sorted(columns, key=lambda column: _ORDER.index(column[1]))


def _is_chat_of(part: Part, value: object) -> bool:
    """Whether a column holds its part as messages."""
    return part == "chat" or (part in ("user", "assistant") and is_chat(value))


def _chat(shape: Shape, row: Row) -> Iterator[tuple[tuple[str, int], Any]]:
    """The chat messages of a row, with their paths."""
    for column, part in _columns(shape):
        if _is_chat_of(part, row.get(column)):
            yield from (((column, index), message) for index, message in enumerate(messages_in(row.get(column))))


def _without_system(shape: Shape, row: Row) -> dict[str, Any]:
    """A row without its system messages."""
    gone = {name for name, part in _columns(shape) if part == "system"}
    chats = {column for (column, _), _ in _chat(shape, row)}
    kept = {name: [one for one in messages_in(row[name]) if not _is_system(one)] for name in chats}
    return {name: kept.get(name, value) for name, value in row.items() if name not in gone}


def _text_without_system(text: str, messages: Sequence[Any]) -> str:
    """The JSON text of some messages without the system messages."""
    return edited(text, {(place,): None for place, message in enumerate(messages) if _is_system(message)})


def _is_system(message: object) -> bool:
    return isinstance(message, Mapping) and speaker_of(message) == "system"


def _messages(shape: Shape, row: Row, table: TagTable) -> list[_Read]:
    """The messages of a row in order, numbered from 0; those that only hold a thought count. Raises RowError for what cannot be read."""
    read, thoughts = list[_Read](), list[Piece]()
    for number, found in enumerate(chain.from_iterable(_column(row, *column) for column in _columns(shape))):
        if isinstance(found, list):
            thoughts += found
            continue
        line = found._replace(number=number)
        if line.role == "assistant":
            line = line._replace(thinking=(*thoughts, *line.thinking))
            thoughts = []
        read.append(_split(line, row, table) if line.role == "assistant" else _Read(line))
    if not thoughts:
        return read
    if "reasoning" in shape.needed.values() and read and read[-1].line.role == "assistant" and not read[-1].line.thinking:
        return [*read[:-1], _split(read[-1].line._replace(thinking=tuple(thoughts)), row, table)]  # a column beside the chat
    raise RowError("empty_answer", "the conversation ends with a thought, and nothing is said after it")


def _column(row: Row, column: str, part: Part) -> Iterator[_Found]:
    """The messages in a column."""
    value = row.get(column)
    if part == "history":
        for place, pair in enumerate(_listed(value)):
            if len(_listed(pair)) != 2:
                raise wrong_type(f"{column}[{place}]", pair, "a pair of question and answer")
            yield _whole("user", column, place, 0)
            yield _whole("assistant", column, place, 1)
    elif _is_chat_of(part, value):
        for place, message in enumerate(messages_in(value)):
            yield from _of_message(message, (column, place), f"{column}[{place}]")
    elif part == "reasoning":
        yield thinking_pieces(value, (column,), column) if value else []
    elif part == "assistant" and len(_listed(value)) == 1:
        yield _whole("assistant", column, 0)
    elif value or (value is not None and part == "assistant"):
        text_of(value, column)
        yield _whole("system" if part == "system" else "assistant" if part == "assistant" else "user", column)


def _of_message(message: object, path: tuple[str, int], place: str) -> Iterator[_Found]:
    """The lines, or the thought, of a chat message."""
    if isinstance(message, Mapping) and is_pair(message):
        yield from pair_lines(message, path, place)
    elif isinstance(message, Mapping) and is_thought(message):
        yield thought_pieces(message, path, place)
    else:
        yield message_line(message, path, place)


def _whole(role: Speaker, *path: str | int) -> Line:
    return Line(0, role, path, (Piece(path),))


def _split(line: Line, row: Row, table: TagTable) -> _Read:
    """An assistant's message with its thinking apart, which stands beside its text or, between tags, inside."""
    beside = [piece for piece in (_trimmed(_untagged(piece, row, table), row) for piece in line.thinking) if piece]
    copies = [piece for piece in (_trimmed(_untagged(piece, row, table), row) for piece in line.copies) if piece]
    line = line._replace(thinking=tuple(beside), copies=tuple(copies))
    if not line.text:
        return _Read(line)
    first, *others = line.text
    text = value_at(row, first.path)
    try:
        cot, answer = think_spans(text_of(text, str(first.path)), table)
    except RowError as error:
        return _Read(line, None if error.reason == "no_think" or beside else error)
    inside, said = Piece(first.path, *cot), (Piece(first.path, *answer), *others)
    if not text[cot.start : cot.end].strip():
        return _Read(line._replace(text=said))
    if not beside:
        return _Read(line._replace(text=said, thinking=(inside,)))
    if len(beside) == 1 and piece_of(row, beside[0]).strip() == text[cot.start : cot.end].strip():
        return _Read(line._replace(text=said, thinking=(inside,), copies=(*copies, *beside)))
    unread = line._replace(thinking=())
    return _Read(unread, RowError("two_traces", "there is a trace beside the content and another one inside it, between think tags"))


def _trimmed(piece: Piece, row: Row) -> Piece | None:
    """A piece without the line breaks at its ends; None if nothing is visible."""
    text = piece_of(row, piece)
    start = piece.start + len(text) - len(text.lstrip("\r\n"))
    return Piece(piece.path, start, piece.start + len(text.rstrip("\r\n"))) if text.strip() else None


def _untagged(piece: Piece, row: Row, table: TagTable) -> Piece:
    """A piece of thinking without the think tags around it, if there are any."""
    text = piece_of(row, piece)
    if tag_at_start(text, [tags for tags in table if tags is not HARMONY_WORDS]) is None:
        return piece
    try:
        cot, answer = think_spans(text, table)
    except RowError:
        return piece
    return piece if text[answer.start : answer.end].strip() else Piece(piece.path, *cot)
