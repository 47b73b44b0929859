"""Token log-probabilities in the columns of a row, in the forms in which servers and data sets give them, laid on the row's trace.

One column may hold all (OpenAI's `logprobs`, vLLM's and SGLang's lists), or one the tokens (ids or texts) and another the numbers. The
tokens are those of a whole response, with special tokens around trace and answer or without, or with the prompt before it.
What this does not do: score (`asap.lm.scorer_shipped`), or guess where tokens and text differ; such rows are rejected by name.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf, nan
from typing import NamedTuple

from asap.errors import RowError, UsageError
from asap.token_logprobs import LEAST_LOGPROB, TokenLogprobs
from asap.vocabulary import byte_level, sentencepiece

Token = int | str | bytes
_TOKENS = ("tokens", "token", "token_ids", "token_id", "ids")
_NUMBERS = ("token_logprobs", "logprobs", "logprob")
_HALF = "\ufffd"
_SLACK = 1e-4  # rounding may lift a probability a little above 1


class LogprobColumns(NamedTuple):
    """One column with tokens and numbers, or that of the tokens and that of the numbers; `bytes_of` gives the bytes of a token id."""

    names: Sequence[str]
    bytes_of: Callable[[int], bytes | None] | None = None

    def of_row(self, row: Mapping[str, object], cot: str, answer: str) -> TokenLogprobs:
        """The log-probabilities of the tokens of a row's trace. Raises RowError where they are missing, wrong, or of another text."""
        found = self._entries(row)
        tokens = [token for token, _ in found]
        numbers = [_checked(number, place) for place, (_, number) in enumerate(found)]
        spellings = self._spellings(tokens)
        for spelled in spellings:
            if (at := _trace_at(b"".join(spelled), cot, answer)) is not None:
                return _laid(spelled, numbers, at, len(cot.encode()))
        raise RowError("logprobs_of_other_text", _difference(b"".join(spellings[0]), cot, answer))

    def _entries(self, row: Mapping[str, object]) -> list[tuple[Token, float]]:
        columns = [_decoded(row.get(name)) for name in self.names]
        for name, value in zip(self.names, columns, strict=True):
            if value is None or (isinstance(value, (list, tuple, Mapping)) and not value):
                raise RowError("no_logprobs", f"the row has nothing in the column {name!r}")
        [first, *rest] = columns
        if rest:
            return self._paired(first, rest[0], *self.names)
        if isinstance(first, Mapping) and isinstance(first.get("content"), (list, tuple)):
            first = first["content"]
        if isinstance(first, Mapping):
            names = [next((name for name in known if name in first), "") for known in (_TOKENS, _NUMBERS)]
            if all(names):
                return self._paired(*(first[name] for name in names), *(f"{self.names[0]}.{name}" for name in names))
        if not isinstance(first, (list, tuple)):
            raise RowError("bad_logprobs", f"{self.names[0]} is {_shown(first)}; a list of tokens with their logprobs is expected")
        return [self._entry(value, f"{self.names[0]}[{place}]") for place, value in enumerate(first)]

    def _paired(self, tokens: object, numbers: object, *places: str) -> list[tuple[Token, float]]:
        """The tokens of one list with the numbers of another."""
        for value, place in zip((tokens, numbers), places, strict=True):
            if not isinstance(value, (list, tuple)):
                raise RowError("bad_logprobs", f"{place} is {_shown(value)}; a list is expected")
        assert isinstance(tokens, list | tuple)
        assert isinstance(numbers, list | tuple)
        if len(tokens) != len(numbers):
            raise RowError("logprobs_lengths", f"{len(tokens)} tokens in {places[0]} and {len(numbers)} numbers in {places[1]}")
        return [
            (_token(token, f"{places[0]}[{at}]"), _number_of(value, token, f"{places[1]}[{at}]"))
            for at, (token, value) in enumerate(zip(tokens, numbers, strict=True))
        ]

    def _entry(self, value: object, place: str) -> tuple[Token, float]:
        """A token and its number in one item: OpenAI's object, vLLM's object by token id, or SGLang's triple."""
        if value is None:  # vLLM's first of a prompt
            return b"", nan
        if isinstance(value, (list, tuple)) and len(value) in (2, 3):
            number, token_id, text = [*value, None][:3]
            return _token(token_id if text is None or self.bytes_of else text, place), _number(number, place)
        if isinstance(value, Mapping) and "logprob" in value:
            known = [value[name] for name in ("bytes", *_TOKENS, "decoded_token") if value.get(name) is not None]
            return _token(known[0] if known else None, place), _number(value["logprob"], place)
        if isinstance(value, Mapping) and value:
            token_id, inner = next(iter(value.items()))  # the token that was written stands before the others
            text = inner.get("decoded_token") if isinstance(inner, Mapping) else None
            numeric = isinstance(token_id, str) and token_id.isdecimal()
            token = int(token_id) if numeric and (self.bytes_of or text is None) else text
            return _token(token, place), _number_of(inner, None, place)
        raise RowError("bad_logprobs", f"{place} is {_shown(value)}; a token with its logprob is expected")

    def _spellings(self, tokens: Sequence[Token]) -> list[list[bytes]]:
        """The bytes of the tokens; several readings where texts may also be entries of a vocabulary."""
        texts = "".join(token for token in tokens if isinstance(token, str))
        readings: list[Callable[[str], bytes]] = [lambda text: text.encode("utf-8", "surrogatepass")]
        if "Ġ" in texts or "Ċ" in texts:
            readings.append(lambda text: text.encode("utf-8", "surrogatepass") if (found := byte_level(text)) is None else found)
        if "▁" in texts:
            readings.append(sentencepiece)
        return [[self._bytes(token, read) for token in tokens] for read in readings]

    def _bytes(self, token: Token, read: Callable[[str], bytes]) -> bytes:
        if isinstance(token, str):
            return read(token)
        if isinstance(token, bytes):
            return token
        if self.bytes_of is None:
            raise UsageError(
                f"{' and '.join(self.names)} hold token ids: name the tokenizer of the model that wrote them with --tokenizer "
                "(Hub id or folder)"
            )
        found = self.bytes_of(token)
        if found is None:
            raise RowError(
                "unknown_token", f"the tokenizer has no token {token}; --tokenizer must be that of the model which wrote the row"
            )
        return found


def _decoded(value: object) -> object:
    """A column's value; a JSON text is read."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _token(value: object, place: str) -> Token:
    if isinstance(value, (str, bytes)) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(one, int) and 0 <= one < 256 for one in value):
        return bytes(value)  # OpenAI's `bytes`
    raise RowError("bad_logprobs", f"{place} is {_shown(value)}; a token's id, text or bytes are expected")


def _number_of(value: object, token: object, place: str) -> float:
    """The number in an item beside its token: itself, in an object, or in an object by token id."""
    if isinstance(value, Mapping) and "logprob" not in value:  # by token id, as vLLM has it
        value = value.get(str(token), value)
    if isinstance(value, Mapping):
        value = value.get("logprob", value)
    elif isinstance(value, (list, tuple)) and value:
        value = value[0]
    return _number(value, place)


def _number(value: object, place: str) -> float:
    if value is None:
        return nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value) if value == value else inf
        except OverflowError:
            return inf
    raise RowError("bad_logprobs", f"{place} is {_shown(value)}; a number is expected")


def _checked(number: float, place: int) -> float:
    """The number, at most 0; NaN where there was none."""
    if number == number and not LEAST_LOGPROB <= number <= _SLACK:
        raise RowError("bad_logprobs", f"the number of token {place} is {number:g}; the logarithm of a probability, at most 0, is expected")
    return number if number != number else min(number, 0.0)


def _trace_at(text: bytes, cot: str, answer: str) -> int | None:
    """Where the trace begins in the text of the tokens, before the answer, which ends it; None if they are not both there."""
    behind = text.rfind(answer.encode())
    at = text.rfind(cot.encode(), 0, behind) if behind >= 0 else -1
    return None if at < 0 else at


def _laid(tokens: Sequence[bytes], numbers: Sequence[float], at: int, length: int) -> TokenLogprobs:
    ends, values = list[int](), list[float]()
    borders = pairwise(accumulate(map(len, tokens), initial=-at))
    for place, ((start, end), number) in enumerate(zip(borders, numbers, strict=True)):
        if start < end and end > 0 and start < length:
            if number != number:
                raise RowError("bad_logprobs", f"token {place}, which belongs to the trace, has no number")
            ends.append(min(end, length))
            values.append(number)
    if len(values) > 1 and len({*values}) == 1:
        raise RowError("bad_logprobs", f"every token of the trace has the number {values[0]:g}, which says nothing about any")
    return TokenLogprobs.of(ends, values)


def _difference(text: bytes, cot: str, answer: str) -> str:
    """How the text of the tokens differs from trace and answer."""
    if cot.encode() in text:
        return "the tokens hold the trace, and not the answer behind it"
    agreed = bisect_left(range(1, len(cot) + 1), True, key=lambda length: cot[:length].encode() not in text)
    halves = f"; halves of characters are lost in token texts ({_HALF}): give the ids and --tokenizer" if _HALF.encode() in text else ""
    if not agreed:
        return f"the tokens' text, {_shown(text.decode('utf-8', 'replace'))}, holds nothing of the trace{halves}"
    return f"the tokens hold the trace's first {agreed} characters, and then not {_shown(cot[agreed : agreed + 20])}{halves}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
