"""Programs in the wrappings that structured answers put around them: a value of JSON, the lines that a unified diff adds."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile

from asap.python_code import is_program, mended
from asap.thinking_names import means_thinking

_LONGEST = 200_000  # characters; what is longer is not unpacked
_FILE = re.compile(r"^\+\+\+ .*\n", re.MULTILINE)
_DIFF_START = re.compile(r"\A\+|^(?:diff --git |--- .*\n\+\+\+ |@@ )", re.MULTILINE)
_HUNK = re.compile(r"^@@ ", re.MULTILINE)
_HEADERS = ("diff --git ", "index ", "new file mode ", "--- ", "@@ ", "\\ No newline")


def packed_in(text: str) -> list[str]:
    """The programs, or Markdown with one, in the JSON or the diff that a text is, or holds among prose; none if it has neither."""
    return [] if len(text) > _LONGEST else [*_in_json(text)] or [*_in_diff(text)]


def is_json_object(text: str) -> bool:
    """Whether all of a text is an object of JSON, in whose values line breaks may stand as they are."""
    text = text.strip()
    if len(text) > _LONGEST or not (text.startswith("{") and text.endswith("}")):
        return False
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _in_json(text: str) -> Iterator[str]:
    start, end = min([place for sign in "{[" if (place := text.find(sign)) >= 0], default=-1), max(text.rfind("}"), text.rfind("]"))
    try:
        left: list[object] = [json.loads(text[start : end + 1], strict=False)] if 0 <= start < end else []
    except (ValueError, RecursionError):
        return
    while left:
        value = left.pop()
        if isinstance(value, (Mapping, list)):
            left += reversed([one for name, one in value.items() if not means_thinking(name)] if isinstance(value, Mapping) else value)
        elif isinstance(value, str) and ("```" in value or is_program(mended(value))):
            yield value


def _in_diff(text: str) -> Iterator[str]:
    """The files that a diff makes; none of one that takes or leaves lines away, since what these belong to is not known."""
    start = _DIFF_START.search(text)
    for part in _FILE.split(text[start.start() :]) if start else ():
        lines = [line for line in part.split("\n") if not line.startswith(_HEADERS)]
        body = [*takewhile(lambda line: not line or line[0] in "+- ", lines)]
        code = mended("\n".join(line[1:] for line in body))
        is_whole = len(_HUNK.findall(part)) < 2 and not any(line.startswith("-") for line in body)
        if is_whole and is_program(code):
            yield code
