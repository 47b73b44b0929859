"""The parts of a chat message's content, as APIs deliver them and data sets keep them: text, or thinking.

Known are the parts of the APIs of OpenAI, Anthropic, Mistral, Google, AWS and OpenRouter. Where a part has its thinking whole and as a
summary, the whole counts.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeGuard

from asap.errors import RowError

REASONING_KEYS = ("reasoning_content", "reasoning", "thinking", "think", "thought", "thoughts", "reasoning_details")
"""The keys of a message, or of a part, that hold its thinking."""
_TEXTS = (None, "text", "output_text", "input_text")
_THOUGHTS = ("thinking", "thought", "reasoning", "reasoning_text", "summary_text", "reasoning.text", "reasoning.summary")
_SUMMARIES = ("summary_text", "reasoning.summary")
_TEXT_KEYS = ("text", "content")
THOUGHT_KEYS = ("thinking", "reasoning", "text", "content", "summary", "reasoningText")
"""The keys of a part of thinking that hold its text."""


class PartOfContent(NamedTuple):
    """The text of a part, and whether it is thinking."""

    text: str
    is_thinking: bool


def part_of(part: object, place: str) -> PartOfContent:
    """One part of a content. Raises RowError for a part that is neither text nor thinking that can be read."""
    if not isinstance(part, Mapping):
        return PartOfContent(text_of(part, place), False)
    kind = part.get("type")
    if kind is None and isinstance(part.get("reasoningContent"), Mapping):
        return PartOfContent(thinking_in(part["reasoningContent"], f"{place}.reasoningContent"), True)
    if kind in _THOUGHTS or (kind in _TEXTS and part.get("thought") is True):
        return PartOfContent(thinking_in(part, place), True)
    if kind not in _TEXTS:
        raise RowError("not_text", f"{place} has the type {kind!r}; only text and thinking can be read")
    key, text = first_of(part, _TEXT_KEYS)
    return PartOfContent(text_of(text, f"{place}.{key}"), False)


def is_thinking_part(part: object) -> bool:
    """Whether a part says itself that it is thinking, or a piece of it."""
    return isinstance(part, Mapping) and part.get("type") in _THOUGHTS


def thinking_in(value: object, place: str) -> str:
    """The text of thinking: a text, a part, or a list of these."""
    if isinstance(value, Mapping):
        key, inside = first_of(value, THOUGHT_KEYS)
        return thinking_in(inside, f"{place}.{key}")
    if isinstance(value, (list, tuple)):
        gap = "\n\n" if any(isinstance(part, Mapping) and part.get("type") in _SUMMARIES for part in value) else ""
        return gap.join(thinking_in(part, f"{place}[{index}]") for index, part in enumerate(value))
    return text_of(value, place)


def split_parts(parts: Iterable[PartOfContent]) -> tuple[str, str]:
    """The thinking and the text of a content; text between two thoughts belongs to the thinking."""
    thinking, text = list[str](), ""
    for part in parts:
        if part.is_thinking:
            thinking += [piece for piece in (text, part.text) if piece]
            text = ""
        else:
            text += part.text
    return "\n\n".join(thinking), text


def first_of(message: Mapping[Any, object], keys: Iterable[str]) -> tuple[str, object]:
    """The first key with a non-empty value; else the first with an empty one; else the first key and None."""
    keys = list(keys)
    held = [(key, message[key]) for key in keys if message.get(key) is not None]
    return next((pair for pair in held if pair[1]), held[0] if held else (keys[0], None))


def text_of(value: object, place: str) -> str:
    """The value, if it is a string. Raises RowError otherwise."""
    if not isinstance(value, str):
        raise wrong_type(place, value, "a string")
    return value


def is_number(value: object) -> TypeGuard[int | float | Decimal]:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def wrong_type(place: str, value: object, expected: str) -> RowError:
    """The error for a value of the wrong type."""
    found = "null" if value is None else type(value).__name__
    return RowError("wrong_type", f"{place} is {found}; {expected} is expected")
