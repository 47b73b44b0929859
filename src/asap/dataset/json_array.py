"""A JSON file that holds one list of rows, read row by row.

What this does not do: read JSONL (`asap.dataset.jsonl`), or go on after a row that is not valid JSON.
"""

import codecs
import io
import json
import re
from collections.abc import Iterator

from asap.dataset.raw import LARGEST_ROW, RawRow, not_an_object
from asap.errors import InputError

_PIECE = 1 << 18
_BLANKS = re.compile(r"[ \t\r\n]*")
_CUT = 16  # characters of a literal, number or escape that a piece may end in


class _Text:
    """The text of a stream from a place on, as far as it has been read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.at, self.ended, self._piece = "", 0, False, _PIECE

    def more(self) -> None:
        """Read on; the pieces grow with what has to be kept."""
        if len(self.text) - self.at > LARGEST_ROW:
            raise ValueError(f"the next row has more than {LARGEST_ROW >> 20} MiB")
        data = self._stream.read(max(_PIECE, len(self.text) - self.at))
        self.ended = not data
        self.text, self.at = self.text[self.at :] + self._decoder.decode(data, self.ended), 0

    def next(self) -> str:
        """The next character that is no white space, empty at the end."""
        while True:
            self.at = _BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.more()

    def value(self) -> object:
        """The next JSON value. Raises ValueError."""
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self.ended or not (error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _CUT):
                    raise
            else:
                if end < len(self.text) or self.ended:  # a number may go on
                    self.at = end
                    return value
            self.more()


def array_rows(source: str, stream: io.BufferedReader) -> Iterator[RawRow]:
    """The rows of a JSON list, numbered from 1. Raises InputError where it is no valid JSON."""
    text, number = _Text(stream), 0
    try:
        text.next()
        text.at += 1  # the bracket
        while text.next() != "]":
            if number:
                _expect(text, ",")
                text.next()
            value = text.value()
            number += 1
            yield RawRow.good(source, number, value) if isinstance(value, dict) else not_an_object(source, number, "row", value)
        text.at += 1
        if text.next():
            raise ValueError("something stands after the end of the list")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: the list of rows is not valid JSON after row {number} ({_what(error)})") from error


def _expect(text: _Text, mark: str) -> None:
    found = text.next()
    if found != mark:
        raise ValueError(f"{found!r} where {mark!r} or the end of the list is expected" if found else "it ends in the middle")
    text.at += 1


def _what(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the values are nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
