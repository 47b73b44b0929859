"""A conversation of several turns, or one with tools: its row as it came, and where in it each message's text and thinking stand.

A row's texts are never copied: a `Piece` says where one stands, so that the row with other thinking is the row itself, spliced.
`Conversation.before` renders what stood before a turn as one text, by a rule that no chat template changes:

- One user message alone is its text. Otherwise each message is a line `User:`, `Assistant:`, `Tool:` or `System:` and its text below,
  with blank lines between; before all of them come the tools (`Tools:`), if the row has some. A system message at the start stays apart.
- Thinking of earlier turns counts where chat templates show it to the model: since the last user message, as in a loop of tool calls.
- A tool call is `<tool_call>`, its name and arguments as JSON, `</tool_call>`, each on a line of its own.

What this does not do: find messages in a row (`asap.dataset.conversations`), or prune.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from asap.digest import content_digest
from asap.json_paths import Edits, Path, changed, edited, edits_in, element, value_at
from asap.spans import JoinedTexts

Speaker = Literal["system", "user", "assistant", "tool"]

_TITLES: Mapping[Speaker, str] = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_NUMBER = attrgetter("number")
_ARGUMENTS = ("arguments", "input", "parameters")


class Piece(NamedTuple):
    """A value in a row, or the characters `start:end` of one that is a text (`end` None: all of them)."""

    path: Path
    start: int = 0
    end: int | None = None


class Line(NamedTuple):
    """A message: where it stands, its text, its thinking (none if it is empty or cannot be read), and its tool calls.

    `copies` hold the same thinking once more, as rows do that have it inside the content and beside it.
    """

    number: int
    role: Speaker
    path: Path
    text: Sequence[Piece] = ()
    thinking: Sequence[Piece] = ()
    copies: Sequence[Piece] = ()
    calls: Sequence[Piece] = ()


@dataclass(frozen=True)
class Conversation:
    """A row of several messages. `tools` is the column that holds the tools, if any."""

    id: str
    row: Mapping[str, Any]
    lines: Sequence[Line]
    tools: str | None = None
    encoded: Mapping[str, str] = field(default_factory=dict)
    """The columns whose messages came as JSON text, and these texts, in which only the thinking is written anew."""
    rejected: Sequence[int] = ()
    """The numbers of the turns that cannot be pruned, and that no model learns."""
    thoughts: Mapping[int, str] = field(default_factory=dict)
    """Thinking that is told instead of the row's, by the number of its turn."""

    @cached_property
    def digest(self) -> str:
        """The name of its content, in which the order of the columns counts: it is written again."""
        return content_digest(json.dumps({**self.row, **self.encoded}, ensure_ascii=True))

    @property
    def thinking(self) -> list[Line]:
        """The turns that think."""
        return [line for line in self.lines if line.thinking]

    @property
    def system(self) -> str | None:
        """The system message at the start."""
        return self.text(self.lines[0]) or None if self.lines[0].role == "system" else None

    @cached_property
    def others(self) -> list[str]:
        """The columns that hold no message, no tools and no id. A list, an object, true or false is no id."""
        odd = isinstance(self.row.get("id"), bool | list | Mapping)
        used = {line.path[0] for line in self.lines} | {piece.path[0] for line in self.lines for piece in line.thinking}
        return [name for name, value in self.row.items() if name not in {*used, self.tools, *([] if odd else ["id"])}]

    def keeping(self, names: Collection[str]) -> "Conversation":
        """The same without its other columns but these."""
        gone = {name for name in self.others if name not in names}
        return replace(self, row={name: value for name, value in self.row.items() if name not in gone})

    def count_before(self, number: int) -> int:
        """How many messages stand before a turn."""
        return bisect_left(self.lines, number, key=_NUMBER)

    def line(self, number: int) -> Line:
        """The message with a number."""
        return self.lines[self.count_before(number)]

    def cot(self, number: int) -> str:
        """The thinking of a turn."""
        if number in self.thoughts:
            return self.thoughts[number]
        return "\n\n".join(filter(None, (piece_of(self.row, piece) for piece in self.line(number).thinking)))

    def answer(self, number: int) -> str:
        """What a turn says and calls after its thinking."""
        return self.said(self.line(number)).strip("\r\n")

    def before(self, number: int) -> str:
        """What stands before a turn, as one text; empty if there is nothing but a system message."""
        first, stop = int(self.lines[0].role == "system"), self.count_before(number)
        if stop - first == 1 and self.lines[first].role == "user" and not self.tools:
            return self.text(self.lines[first])
        if stop <= first:
            return ""
        plain, full, behind_user = self._rendered
        since = max(behind_user[stop - 1], first)
        tools = [f"Tools:\n{_as_text(self.row[self.tools])}"] if self.tools else []
        return "\n\n".join(filter(None, [*tools, plain.between(first, since), full.between(since, stop)]))

    def spoken_before(self, number: int, at_most: int | None = None) -> "Spoken":
        """What stands before a turn as chat messages of text, for a chat template: the same thinking counts, tool calls are text.

        With `at_most` only the last messages.
        """
        stop = self.count_before(number)
        since, start = self._rendered[2][stop - 1], 0 if at_most is None else max(0, stop - at_most)
        shown = enumerate(self.lines[start:stop], start)
        messages = [{"role": line.role, "content": self._shown(line, place >= since)} for place, line in shown]
        return Spoken(messages, _parsed(self.row[self.tools]) if self.tools else None)

    def with_thinking(self, thoughts: Mapping[int, str]) -> dict[str, Any]:
        """The row with other thinking in some turns, by number; nothing else in it differs. A thought in several pieces becomes one."""
        changes: Edits = {}
        for line in self.lines:
            if line.number in thoughts:
                changes |= self._changes(line, thoughts[line.number])
        row = changed(self.row, {path: new for path, new in changes.items() if path[0] not in self.encoded})
        texts = {name: edited(text, edits_in(name, changes)) for name, text in self.encoded.items()}
        return {**row, **texts}

    def message(self, line: Line, thought: str) -> Any:
        """A message as it came, with other thinking, all of which stands in it."""
        changes = self._changes(line, thought) if line.thinking else {}
        return changed(value_at(self.row, line.path), {path[len(line.path) :]: new for path, new in changes.items()})

    def _changes(self, line: Line, thought: str) -> Edits:
        """The texts of a row that other thinking of a turn changes, by their paths; None for an element of a list that goes."""
        first, *others = line.thinking
        changes: Edits = {piece.path: self._spliced(piece, thought) for piece in (first, *line.copies)}
        for piece in others:
            whole = element(piece.path)
            if whole in (line.path, ()):
                changes[piece.path] = self._spliced(piece, "")
            else:
                changes[whole] = None
        return changes

    def stored(self) -> dict[str, Any]:
        """The conversation as JSON holds it."""
        row, encoded = {**self.row, **self.encoded}, [*self.encoded]
        return {"id": self.id, "row": row, "lines": self.lines, "tools": self.tools, "encoded": encoded, "rejected": self.rejected}

    @classmethod
    def of_stored(cls, content: Mapping[str, Any]) -> "Conversation":
        """The conversation that `stored` gave this content of."""
        lines = [
            Line(number, role, tuple(path), *(tuple(Piece(tuple(where), *span) for where, *span in pieces) for pieces in kinds))
            for number, role, path, *kinds in content["lines"]
        ]
        row = content["row"]
        encoded = {name: _as_text(row[name]) for name in content["encoded"]}  # an earlier version stored the messages
        row = {**row, **{name: json.loads(text) for name, text in encoded.items()}}
        return cls(content["id"], row, lines, content["tools"], encoded, content["rejected"])

    @cached_property
    def _rendered(self) -> tuple[JoinedTexts, JoinedTexts, list[int]]:
        """All messages as `before` has them, without thinking and with it, and the place behind the last user message up to each of them.

        Each message is rendered once, though it stands before all of the later turns.
        """
        plain, full, behind_user = list[str](), list[str](), list[int]()
        for place, line in enumerate(self.lines):
            said = self.said(line)
            plain.append(f"{_TITLES[line.role]}:\n{said}")
            full.append(f"{_TITLES[line.role]}:\n{self._thought(line)}{said}")
            behind_user.append(place + 1 if line.role == "user" else behind_user[-1] if behind_user else 0)
        return JoinedTexts.of(plain), JoinedTexts.of(full), behind_user

    def _shown(self, line: Line, with_thinking: bool) -> str:
        """A message as later turns read it."""
        return (self._thought(line) if with_thinking else "") + self.said(line)

    def _thought(self, line: Line) -> str:
        """The thinking of a message as later turns read it, before what the message says; empty if there is none."""
        return f"<think>\n{self.cot(line.number)}\n</think>\n\n" if line.thinking else ""

    def said(self, line: Line) -> str:
        """What a message says and calls, without its thinking."""
        calls = (f"<tool_call>\n{_call(self.call(line, piece))}\n</tool_call>" for piece in line.calls)
        return "\n".join(filter(None, [self.text(line), *calls]))

    def _spliced(self, piece: Piece, text: str) -> str:
        """The whole text that a piece is of, with another text in its place."""
        old = _as_text(value_at(self.row, piece.path))
        return old[: piece.start] + text + old[_end(piece, old) :]

    def call(self, line: Line, piece: Piece) -> Any:
        """A tool call as it came, or the value of its JSON text; one that is a whole message, to a tool as its recipient, as an object."""
        call, message = value_at(self.row, piece.path), value_at(self.row, line.path)
        recipient = message.get("recipient") if isinstance(message, Mapping) else None
        return {"name": recipient.removeprefix("functions."), "arguments": call} if isinstance(recipient, str) else _parsed(call)

    def text(self, line: Line) -> str:
        """What a message says, without its thinking and its calls."""
        return "".join(piece_of(self.row, piece) for piece in line.text)


class Spoken(NamedTuple):
    """Chat messages of text, and the tools that the model is told of."""

    messages: list[dict[str, str]]
    tools: Any = None


class TurnOf(NamedTuple):
    """A turn of a conversation, by the number of its message."""

    conversation: Conversation
    number: int

    @property
    def id(self) -> str:
        """The id of the turn: that of its conversation, and its number."""
        return turn_id(self.conversation.id, self.number)

    @property
    def line(self) -> Line:
        """Its message."""
        return self.conversation.line(self.number)


def turn_id(name: str, number: int) -> str:
    """The id of a turn of the conversation with a name."""
    return f"{name}@{number}"


def _end(piece: Piece, text: str) -> int:
    return len(text) if piece.end is None else piece.end


def piece_of(row: Mapping[str, Any], piece: Piece) -> str:
    """The text of a piece; of a value that is no text, its JSON."""
    text = _as_text(value_at(row, piece.path))
    return text[piece.start : _end(piece, text)]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def name_of(call: object) -> str | None:
    """The name of the tool that is called, where the call says it."""
    inner = call.get("function") or call if isinstance(call, Mapping) else call
    return inner["name"] if isinstance(inner, Mapping) and isinstance(inner.get("name"), str) else None


def arguments_of(call: Mapping[str, Any]) -> Any:
    """The arguments of a call that has a name: a JSON value, or the text of one."""
    inner = call.get("function") or call
    return next((inner[key] for key in _ARGUMENTS if inner.get(key) is not None), {})


def _call(value: Any) -> str:
    """A tool call as JSON text: its name and its arguments, if that is what it has; else as it is."""
    name = name_of(value)
    if name is None:
        return _as_text(value)
    return json.dumps({"name": name, "arguments": _parsed(arguments_of(value))}, ensure_ascii=False)


def _parsed(value: Any) -> Any:
    """The value of a JSON text; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
