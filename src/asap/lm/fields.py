"""The fields of a server's answer, each read as what it has to be or as nothing: an answer is data, and anybody may have written it.

Everything that servers say is read through these functions, so that no type, range, size or half of a surrogate pair goes any further.
"""

import json
import math
from typing import Any

MOST_TOKENS = 10_000_000
"""No model reads or writes so many at once."""
_LONGEST_WORD = 200


class AnswerTooLarge(Exception):
    """An answer is larger than any honest one; the message says how large it may be."""


def json_in(content: bytes | str) -> Any:
    """The JSON value in a body; None where there is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def object_in(value: object) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def list_in(value: object) -> list[Any]:
    """A JSON list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def clean_text(value: object) -> str:
    """A text without halves of surrogate pairs, which neither another prompt nor a file could carry; empty for anything else."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def word_in(value: object) -> str | None:
    """A name, version or code: a short text that can be printed; None for anything else."""
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD and value.isprintable() else None


def count_in(value: object, least: int = 0, most: int = MOST_TOKENS) -> int | None:
    """A whole number of this range; None for anything else, true and false among it."""
    return value if type(value) is int and least <= value <= most else None


def number_in(value: object) -> float | None:
    """A finite number; None for anything else, true and false among it."""
    if type(value) is int:
        return float(value) if abs(value) < 1 << 63 else None
    return value if type(value) is float and math.isfinite(value) else None


def scalar_in(value: object) -> str | float | bool | None:
    """What a setting may be: a word, a number, or true or false."""
    if isinstance(value, (bool, str)):
        return word_in(value) if isinstance(value, str) else value
    return count_in(value, -1) if isinstance(value, int) else number_in(value)
