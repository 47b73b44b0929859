"""Chat messages as data sets hold them: OpenAI style or ShareGPT, with the trace beside the content or inside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from asap.errors import RowError

Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[object, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value")
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_PART_KEYS = ("text", "content")


class Turn(NamedTuple):
    """One message; `reasoning` is the trace if it is beside the content."""

    role: Role
    content: str
    reasoning: str | None = None


class Exchange(NamedTuple):
    """A conversation of one question and one answer."""

    system: str | None
    user: Turn
    assistant: Turn


def chat_turns(value: object, column: str) -> list[Turn]:
    """The messages of a column as turns. Raises RowError if the column holds anything else."""
    if not isinstance(value, (list, tuple)):
        raise wrong_type(column, value, "a list of chat messages")
    return [_turn(message, f"{column}[{index}]") for index, message in enumerate(value)]


def one_exchange(turns: Sequence[Turn]) -> Exchange:
    """The only question and answer of a conversation. Raises RowError if it has more or fewer."""
    counts = Counter(turn.role for turn in turns)
    found = f"{counts['user']} user, {counts['assistant']} assistant and {counts['system']} system messages"
    if not counts["user"]:
        raise RowError("no_question", f"the conversation has no user message: {found}")
    if not counts["assistant"]:
        raise RowError("no_answer", f"the conversation has no assistant message: {found}")
    if max(counts.values()) > 1:
        raise RowError("multi_turn", f"the conversation has {found}; one question and one answer are expected")
    by_role = {turn.role: turn for turn in turns}
    if turns.index(by_role["assistant"]) < turns.index(by_role["user"]):
        raise RowError("wrong_order", "the assistant message stands before the user message")
    return Exchange(by_role["system"].content if "system" in by_role else None, by_role["user"], by_role["assistant"])


def text_of(value: object, place: str) -> str:
    """The value, if it is a string. Raises RowError otherwise."""
    if not isinstance(value, str):
        raise wrong_type(place, value, "a string")
    return value


def wrong_type(place: str, value: object, expected: str) -> RowError:
    """The error for a value of the wrong type."""
    found = "null" if value is None else type(value).__name__
    return RowError("wrong_type", f"{place} is {found}; {expected} is expected")


def _turn(message: object, place: str) -> Turn:
    if not isinstance(message, Mapping):
        raise wrong_type(place, message, "a chat message (an object with role and content)")
    role_key, name = _first(message, _ROLE_KEYS)
    role = _ROLES.get(text_of(name, f"{place}.{role_key}"))
    if role is None:
        raise RowError("unknown_role", f"{place}.{role_key} is {name!r}; allowed: {', '.join(map(str, _ROLES))}")
    content_key, content = _first(message, _CONTENT_KEYS)
    reasoning_key, reasoning = _first(message, _REASONING_KEYS)
    return Turn(
        role,
        _joined(content, f"{place}.{content_key}"),
        None if reasoning is None else _joined(reasoning, f"{place}.{reasoning_key}"),
    )


def _first(message: Mapping[object, object], keys: Sequence[str]) -> tuple[str, object]:
    """The first key with a non-empty value; else the first with an empty one; else the first key and None."""
    held = [(key, message[key]) for key in keys if message.get(key) is not None]
    return next((pair for pair in held if pair[1]), held[0] if held else (keys[0], None))


def _joined(value: object, place: str) -> str:
    """The text, or the joined texts of a list of parts."""
    if not isinstance(value, (list, tuple)):
        return text_of(value, place)
    return "".join(_part(part, f"{place}[{index}]") for index, part in enumerate(value))


def _part(part: object, place: str) -> str:
    if not isinstance(part, Mapping):
        return text_of(part, place)
    kind = part.get("type")
    if kind not in (None, "text"):
        raise RowError("not_text", f"{place} has the type {kind!r}; only text can be read")
    key, text = _first(part, _PART_KEYS)
    return text_of(text, f"{place}.{key}")
