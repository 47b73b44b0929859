"""Chat messages as data sets hold them: OpenAI style or ShareGPT, with the trace beside the content, among its parts or inside it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from asap.conversation import Speaker
from asap.errors import RowError
from asap.message_parts import REASONING_KEYS, first_of, part_of, split_parts, text_of, thinking_in, wrong_type

Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
_TOOLS = ("tool", "function", "ipython", "environment", "observation", "tool_response")
_CALLERS = ("function_call", "tool_call")
ROLES = (*_ROLES, *_TOOLS, *_CALLERS)
"""The names of roles, in any case."""
_ITEMS: Mapping[object, Speaker] = {"function_call": "assistant", "function_call_output": "tool"}  # of the Responses API
_ROLE_KEYS = ("role", "from")
CONTENT_KEYS = ("content", "value")
"""The keys of a message that hold its content."""
ASKED = ("query", "question", "user", "human")
ANSWERED = ("answer", "response", "assistant", "bot")
"""The keys of an object that holds a question and its answer."""
_THOUGHT_CHANNELS = ("analysis", "commentary")  # of gpt-oss; it answers in the channel "final"


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


def is_chat(value: object) -> bool:
    """Whether a value is a list of chat messages, or the JSON text of one."""
    messages = messages_in(value)
    return bool(messages) and all(isinstance(message, Mapping) and _is_message(message) for message in messages)


def has_answer(value: object) -> bool:
    """Whether a value is a chat with an assistant message."""
    return is_chat(value) and any(is_pair(message) or speaker_of(message) == "assistant" for message in messages_in(value))


def has_question(value: object, questions: Sequence[object]) -> bool:
    """Whether a value is a chat with an answer and the question of a row, of which these are all."""
    if not has_answer(value):
        return False
    asked = {turn.content.strip() for turn in chat_turns(value, "") if turn.role == "user"}
    return bool(asked) and all(str(question).strip() in asked for question in questions)


def _is_message(message: Mapping[Any, Any]) -> bool:
    return bool(_role_of(message)) or is_pair(message) or is_thought(message) or message.get("type") in _ITEMS


def messages_in(value: object) -> Sequence[Any]:
    """The items of a list, or of the JSON text of one; empty for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("[") and value.rstrip().endswith("]"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return ()
    return value if isinstance(value, (list, tuple)) else ()


def _role_of(message: Mapping[str, object]) -> str:
    role = first_of(message, _ROLE_KEYS)[1]
    return role if isinstance(role, str) else ""


def is_pair(message: object) -> bool:
    """Whether an object holds a question and its answer, as in Dolci's `interactions`."""
    if not isinstance(message, Mapping) or _role_of(message):
        return False
    return first_of(message, ASKED)[1] is not None and first_of(message, ANSWERED)[1] is not None


def chat_turns(value: object, column: str) -> list[Turn]:
    """The messages of a column as turns. Raises RowError if the column holds anything else."""
    messages = messages_in(value)
    if not messages and not isinstance(value, (list, tuple)):
        raise wrong_type(column, value, "a list of chat messages")
    turns, thoughts = list[Turn](), list[str]()
    for index, message in enumerate(messages):
        place = f"{column}[{index}]"
        if is_pair(message):
            turns += _pair(message, place)
            continue
        if is_thought(message):
            thoughts.append(_thought(message, place))
            continue
        turn = _turn(message, place)
        if thoughts and turn.role == "assistant":
            turn, thoughts = turn._replace(reasoning="\n\n".join([*thoughts, *filter(None, [turn.reasoning])])), []
        turns.append(turn)
    return [*turns, Turn("assistant", "", "\n\n".join(thoughts))] if thoughts else turns


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


def _pair(message: Mapping[str, object], place: str) -> list[Turn]:
    """The two turns of an object that holds a question and its answer."""
    asked, question = first_of(message, ASKED)
    answer = {**message, "role": "assistant", "content": first_of(message, ANSWERED)[1]}
    return [Turn("user", text_of(question, f"{place}.{asked}")), _turn(answer, place)]


def speaker_of(message: Mapping[Any, Any]) -> Speaker | None:
    """Who writes a message, which may be a tool; None if its role is unknown."""
    name = first_of(message, _ROLE_KEYS)[1]
    if name is None:
        return _ITEMS.get(message.get("type"))
    role = name.strip().lower() if isinstance(name, str) else ""
    if role in _CALLERS:
        return "assistant"
    return "tool" if role in _TOOLS or role.startswith("functions.") else _ROLES.get(role)


def is_only_call(message: Mapping[Any, Any]) -> bool:
    """Whether the content of a message is a tool call: by its role, as in ShareGPT's, or to a tool as its recipient."""
    role = _role_of(message).strip().lower()
    return role in _CALLERS or recipient_of(message) is not None


def recipient_of(message: Mapping[Any, Any]) -> str | None:
    """The tool to which a message of gpt-oss is written."""
    recipient = message.get("recipient")
    return recipient if isinstance(recipient, str) and recipient not in ("", "all", "assistant", "user") else None


def _turn(message: object, place: str) -> Turn:
    if not isinstance(message, Mapping):
        raise wrong_type(place, message, "a chat message (an object with role and content)")
    check_keys(message, place)
    role_key, name = first_of(message, _ROLE_KEYS)
    role = _ROLES.get(text_of(name, f"{place}.{role_key}").strip().lower())
    if role is None:
        raise RowError("unknown_role", f"{place}.{role_key} is {name!r}; allowed: {', '.join(map(str, _ROLES))}")
    reasoning_key, reasoning = first_of(message, REASONING_KEYS)
    beside = None if reasoning is None else thinking_in(reasoning, f"{place}.{reasoning_key}")
    content_key, content = first_of(message, CONTENT_KEYS)
    if content is None and beside:  # cut off while thinking
        content = ""
    inside, text = _split(content, f"{place}.{content_key}")
    if inside and beside and beside.strip() != inside.strip():
        raise RowError("two_traces", f"{place} has a trace in {reasoning_key} and another one among the parts of {content_key}")
    return Turn(role, text, inside or beside)


def check_keys(message: Mapping[Any, Any], place: str) -> None:
    """Raise RowError if a message has no key that says who writes it."""
    if all(key not in message for key in _ROLE_KEYS) and message.get("type") not in _ITEMS:
        error = wrong_type(f"{place}.role", None, "a string")
        raise RowError(error.reason, f"{error.detail}; the message has only {', '.join(map(repr, message)) or 'nothing'}")


def _split(content: object, place: str) -> tuple[str, str]:
    """The thinking and the text of a content, which is a text or a list of parts."""
    if not isinstance(content, (list, tuple)):
        return "", text_of(content, place)
    return split_parts(part_of(part, f"{place}[{index}]") for index, part in enumerate(content))


def is_thought(message: object) -> bool:
    """Whether a message is only a thought of the next one: in a channel of its own, or an item of the Responses API."""
    if not isinstance(message, Mapping):
        return False
    if recipient_of(message) is not None:
        return False
    return message.get("channel") in _THOUGHT_CHANNELS or (message.get("type") == "reasoning" and "role" not in message)


def _thought(message: object, place: str) -> str:
    assert isinstance(message, Mapping)
    if "role" not in message and "from" not in message:
        return thinking_in(message, place)
    key, content = first_of(message, CONTENT_KEYS)
    return "\n\n".join(filter(None, _split(content, f"{place}.{key}")))
