"""One chat message of a conversation: where its text, its thinking and its tool calls stand.

Known are the messages and parts of the APIs of OpenAI (also its Responses), Anthropic, Mistral, Google, AWS and OpenRouter, those of
gpt-oss with channels, and ShareGPT's.
"""

from collections.abc import Mapping
from typing import Any

from asap.conversation import Line, Piece
from asap.dataset.chat import ANSWERED, ASKED, CONTENT_KEYS, ROLES, check_keys, is_only_call, speaker_of
from asap.errors import RowError
from asap.json_paths import Path, value_at
from asap.message_parts import REASONING_KEYS, THOUGHT_KEYS, first_of, part_of, text_of, thinking_in, wrong_type

_CALLS = ("tool_calls", "function_call")
_CALL_PARTS = ("tool_use", "server_tool_use", "tool_call", "tool-call", "function_call")
_RESULT_PARTS = ("tool_result", "tool_response", "tool-result", "function_call_output")


def is_call(message: Mapping[Any, Any]) -> bool:
    """Whether a message calls a tool, or gives a tool's result among its parts."""
    content = first_of(message, CONTENT_KEYS)[1]
    return (
        any(message.get(key) for key in _CALLS)
        or message.get("type") in _CALL_PARTS
        or is_only_call(message)
        or (isinstance(content, (list, tuple)) and any(_kind(part) in (*_CALL_PARTS, *_RESULT_PARTS) for part in content))
    )


def message_line(message: object, path: Path, place: str) -> Line:
    """A message as a line, its thinking inside tags not yet apart. Raises RowError for what cannot be read."""
    if not isinstance(message, Mapping):
        raise wrong_type(place, message, "a chat message (an object with role and content)")
    check_keys(message, place)
    role = speaker_of(message)
    if role is None:
        key, name = first_of(message, ("role", "from"))
        raise RowError("unknown_role", f"{place}.{key} is {name!r}; allowed: {', '.join(ROLES)}")
    line = Line(0, role, path)
    if message.get("type") in _CALL_PARTS:  # an item of the Responses API
        return line._replace(calls=(Piece(path),))
    if message.get("type") in _RESULT_PARTS:
        return line._replace(text=(_result(message, path),))
    key, content = first_of(message, CONTENT_KEYS)
    if is_only_call(message):
        return line._replace(calls=(Piece((*path, key)),))
    line = _with_content(line, content, (*path, key), f"{place}.{key}")
    if role != "assistant":
        return line
    line = line._replace(calls=(*_calls(message, path), *line.calls))
    line = _with_reasoning(line, message, path, place)
    if content is None and not line.thinking and not line.calls:
        raise wrong_type(f"{place}.{key}", content, "a string")
    return line


def pair_lines(message: Mapping[Any, Any], path: Path, place: str) -> list[Line]:
    """The question and the answer of an object that holds both, perhaps with thinking between them."""
    asked, question = first_of(message, ASKED)
    answered, answer = first_of(message, ANSWERED)
    text_of(question, f"{place}.{asked}")
    line = _with_content(Line(0, "assistant", (*path, answered)), answer, (*path, answered), f"{place}.{answered}")
    return [Line(0, "user", (*path, asked), (Piece((*path, asked)),)), _with_reasoning(line, message, path, place)]


def thought_pieces(message: Mapping[Any, Any], path: Path, place: str) -> list[Piece]:
    """Where the thinking stands of a message that is nothing else."""
    if "role" not in message and "from" not in message:
        return thinking_pieces(message, path, place)
    key, content = first_of(message, CONTENT_KEYS)
    line = _with_content(Line(0, "assistant", path), content, (*path, key), f"{place}.{key}")
    return [*line.thinking, *line.text]


def thinking_pieces(value: object, path: Path, place: str) -> list[Piece]:
    """Where the texts of thinking stand, which is a text, a part, or a list of these."""
    thinking_in(value, place)
    if isinstance(value, Mapping):
        key, inside = first_of(value, THOUGHT_KEYS)
        return thinking_pieces(inside, (*path, key), f"{place}.{key}")
    if isinstance(value, (list, tuple)):
        return [piece for index, one in enumerate(value) for piece in thinking_pieces(one, (*path, index), f"{place}[{index}]")]
    return [Piece(path)]


def _with_content(line: Line, content: object, path: Path, place: str) -> Line:
    """A line with the pieces of its content; text between two thoughts belongs to the thinking."""
    if content is None:
        return line
    if line.role == "tool" and not isinstance(content, str) and not _is_parts(content):
        return line._replace(text=(Piece(path),))
    if not isinstance(content, (list, tuple)):
        text_of(content, place)
        return line._replace(text=(Piece(path),) if content else ())
    text, thinking, calls, results = list[Piece](), list[Piece](), list[Piece](), list[Piece]()
    for index, part in enumerate(content):
        where: Path = (*path, index)
        if _kind(part) in _CALL_PARTS:
            calls.append(Piece(where))
        elif _kind(part) in _RESULT_PARTS:
            results.append(_result(part, where))
        elif part_of(part, f"{place}[{index}]").is_thinking:
            thinking, text = [*thinking, *text, *_thought(part, where, f"{place}[{index}]")], []
        else:
            text.append(Piece((*where, first_of(part, ("text", "content"))[0]) if isinstance(part, Mapping) else where))
    role = "tool" if line.role == "user" and results and not text else line.role
    return line._replace(role=role, text=(*results, *text), thinking=tuple(thinking), calls=tuple(calls))


def _thought(part: Mapping[Any, Any], path: Path, place: str) -> list[Piece]:
    inside = part.get("reasoningContent")
    if part.get("type") is None and isinstance(inside, Mapping):
        return thinking_pieces(inside, (*path, "reasoningContent"), f"{place}.reasoningContent")
    return thinking_pieces(part, path, place)


def _with_reasoning(line: Line, message: Mapping[Any, Any], path: Path, place: str) -> Line:
    """A line with the thinking beside its content. The same text in several places is one trace, and its copies."""
    found, texts = list[list[Piece]](), list[str]()
    if line.thinking:
        texts.append("\n\n".join(value_at(message, piece.path[len(path) :]) for piece in line.thinking))
    for key in REASONING_KEYS:
        if message.get(key) and (text := thinking_in(message[key], f"{place}.{key}")).strip():
            found.append(thinking_pieces(message[key], (*path, key), f"{place}.{key}"))
            texts.append(text)
    thinking, copies = (list(line.thinking), found) if line.thinking else (found[0], found[1:]) if found else ([], [])
    if len({text.strip() for text in texts}) > 1 or any(len(pieces) > 1 for pieces in copies):
        raise RowError("two_traces", f"{place} has a trace in one place and another one beside it")
    return line._replace(thinking=tuple(thinking), copies=tuple(piece for pieces in copies for piece in pieces))


def _calls(message: Mapping[Any, Any], path: Path) -> list[Piece]:
    found = list[Piece]()
    for key in _CALLS:
        calls = message.get(key)
        if isinstance(calls, (list, tuple)):
            found += [Piece((*path, key, index)) for index in range(len(calls))]
        elif calls:
            found.append(Piece((*path, key)))
    return found


def _result(part: Mapping[Any, Any], path: Path) -> Piece:
    """What a tool answered, in a part."""
    return Piece((*path, first_of(part, ("content", "output", "result"))[0]))


def _is_parts(content: object) -> bool:
    return isinstance(content, (list, tuple)) and all(isinstance(part, (str, Mapping)) and _kind(part) is not None for part in content)


def _kind(part: object) -> object:
    return part.get("type") if isinstance(part, Mapping) else "text"
