"""Stage 1 without re-typing (`--coarse select`): an LLM sees numbered steps and names those that the anchor needs (paper §3.2).

The paper's LLM repeats the whole trace; naming numbers asks for the same judgement in tens of tokens, and keeps steps
verbatim by construction. A trace that does not fit in the context is shown in overlapping windows.

What this does not do: guess. It reads replies leniently as to form (JSON or a plain list, ranges in several spellings), but
numbers in a sentence are not a selection, and a single number that was not shown makes the reply invalid.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, ClassVar, Literal

from asap.lm.generate import Generation, Request
from asap.prune.coarse.align import Align
from asap.prune.coarse.llm_reply import InvalidReply, ReplyRules, enclosed, filled, finished_text, prompt_file, unfenced, unused_token
from asap.sample import Sample
from asap.spans import Span

OVERLAP = 2

_MARKER = re.compile(r"<[0-9]+>")
_KEY = re.compile(r"""["']keep["']\s*:\s*(?:\[([^][{}]*)\]|"([^"]*)")""", re.IGNORECASE)
_LABEL = re.compile(r"[ \t*_#-]*(?:the )?(?:steps to )?keep(?: steps)?[ \t*_]*:[ \t*_]*(?=\S)(.*)", re.IGNORECASE)
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+(?=[0-9\"'<#`])", re.MULTILINE)
_ITEM = re.compile(r"""["'`]?[<#]?(?:steps?\s+)?([0-9]+)(?:\s*(?:-|‐|‑|‒|–|—|−|to\b)\s*([0-9]+))?(?![0-9.])>?["'`]?""", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;]+(?:and\b\s*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Select:
    """Stage 1 by an LLM that names the steps to keep. Without a usable reply, `fallback` decides."""

    rules: ReplyRules = field(default_factory=ReplyRules)
    fallback: Align = field(default_factory=Align)

    name: ClassVar[Literal["select"]] = "select"


def select_request(
    sample: Sample, anchor: str, spans: Sequence[Span], first: int, last: int, *, temperature: float, max_tokens: int, draw: int
) -> Request:
    """The request to choose among the steps `spans[first:last]`. Their numbers are those of the whole trace, from 1."""
    marker = _marker(sample.cot)
    steps = (f"{marker.format(index + 1)}\n{sample.cot[spans[index].start : spans[index].end]}" for index in range(first, last))
    texts = {
        "question": enclosed("question", sample.question),
        "outline": enclosed("outline", anchor),
        "trace": enclosed("trace", "\n".join(steps)),
        "first": str(first + 1),
        "last": str(last),
        "count": str(len(spans)),
        "marker": marker.format(first + 1),
    }
    message = {"role": "user", "content": filled(prompt_file("select"), texts)}
    return Request([message], max_tokens, temperature, schema=select_schema(first, last), draw=draw, kind="select")


def select_schema(first: int, last: int) -> Mapping[str, Any]:
    """The JSON schema of a selection among `first` to `last - 1`: no more numbers than steps were shown, and none that was not."""
    number = between(first + 1, last)
    items = {"type": "string", "pattern": f"^{number}(-{number})?$"}
    return {
        "type": "object",
        "properties": {"keep": {"type": "array", "items": items, "minItems": 1, "maxItems": max(1, last - first)}},
        "required": ["keep"],
        "additionalProperties": False,
    }


def between(low: int, high: int) -> str:
    """A regular expression for the whole numbers from `low` to `high`, without leading zeros."""
    ends = [(max(low, 10**size if size else 0), min(high, 10 ** (size + 1) - 1)) for size in range(len(str(low)) - 1, len(str(high)))]
    return f"({'|'.join(_of_one_length(str(start), str(end)) for start, end in ends)})"


def _of_one_length(low: str, high: str) -> str:
    """The same for numbers of equally many digits."""
    if low == high:
        return low
    if low[0] == high[0]:
        return low[0] + f"({_of_one_length(low[1:], high[1:])})"
    first, last, rest, found = int(low[0]), int(high[0]), len(low) - 1, list[str]()
    if rest and low[1:] != "0" * rest:
        found.append(f"{first}({_of_one_length(low[1:], '9' * rest)})")
        first += 1
    if rest and high[1:] != "9" * rest:
        found.append(f"{last}({_of_one_length('0' * rest, high[1:])})")
        last -= 1
    if first <= last:
        found.append(f"[{first}-{last}]" + "[0-9]" * rest)
    return "|".join(found)


def read_selection(reply: Generation, first: int, last: int) -> list[int]:
    """The indices of the kept steps among `first` to `last - 1`, increasing. Raises InvalidReply for anything else.

    The numbers form a set: they may come in any order and repeat. A range from high to low is invalid.
    """
    kept: set[int] = set()
    for low, high in _ranges(_listed(finished_text(reply))):
        numbers = [int(digits) if len(digits) < 10 else 0 for digits in (low, high)]
        if not all(first < number <= last for number in numbers):
            raise InvalidReply("out_of_range", f"{_short(low, high)} is not within {first + 1} to {last}, the steps that were shown")
        if numbers[0] > numbers[1]:
            raise InvalidReply("reversed_range", f"the range {low}-{high} runs from high to low")
        kept.update(range(numbers[0] - 1, numbers[1]))
    if not kept:
        raise InvalidReply("nothing_kept", "the list of steps to keep is empty")
    return sorted(kept)


def windows(step_tokens: Sequence[int], room: int, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """The ranges of steps (first, last + 1) to show, one request each: a single one if all steps fit in `room` tokens.

    Otherwise windows of about equal size that cover every step; neighbours share up to `overlap` steps, no step is in three windows.
    `step_tokens`: the tokens of each step with its marker line. A step larger than `room` gets a window of its own, which does not
    fit: nothing smaller can be shown.
    """
    if not step_tokens:
        return []
    offsets = list(accumulate(step_tokens, initial=0))
    widest = _filled_windows(offsets, room, overlap)
    low, high = 0, room
    while low < high:  # the smallest room that needs no more windows evens them out
        middle = (low + high) // 2
        if len(_filled_windows(offsets, middle, overlap)) > len(widest):
            low = middle + 1
        else:
            high = middle
    return _filled_windows(offsets, high, overlap)


def merged(selections: Iterable[Iterable[int]]) -> list[int]:
    """The steps that any window keeps, increasing: a step shown twice is kept if either window keeps it."""
    return sorted({index for selection in selections for index in selection})


def _filled_windows(offsets: Sequence[int], room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows that each take as many steps as fit, from the first on. `offsets`: the tokens before each step, then the total."""
    count = len(offsets) - 1
    found: list[tuple[int, int]] = []
    first, before = 0, 0  # before: the end of the last window but one
    while True:
        last = first + 1
        while last < count and offsets[last + 1] - offsets[first] <= room:
            last += 1
        found.append((first, last))
        if last == count:
            return found
        first, before = max(first + 1, last - overlap, before), last
        while first < last and offsets[last + 1] - offsets[first] > room:
            first += 1


def _marker(cot: str) -> str:
    """The form of the line before each step: <12>, with a token before the number if the trace contains such lines itself."""
    return f"<{unused_token(cot)}:{{}}>" if _MARKER.search(cot) else "<{}>"


def _listed(text: str) -> str:
    """The part of a reply that lists the numbers: the value of "keep", the line "Keep: ...", or the whole reply."""
    named = [found[1] if found[1] is not None else found[2] for found in _KEY.finditer(text)]
    if not named:
        named = [found[1] for line in text.splitlines() if (found := _LABEL.fullmatch(line.rstrip().rstrip("*_.")))]
    if len(named) > 1:
        raise InvalidReply("ambiguous", f"the reply has {len(named)} lists of steps to keep; one is expected")
    if named:
        return _unbracketed(named[0])
    return _BULLET.sub("", _unbracketed(unfenced(text)))


def _unbracketed(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[1:-1].strip() if text[:1] + text[-1:] == "[]" else text


def _ranges(text: str) -> list[tuple[str, str]]:
    """The ranges in a list, as digits; a single number is a range of one."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        between = _BETWEEN.match(text, item.end()) if item else None
        if item is None or (between is None and item.end() < len(text)):
            raise InvalidReply("not_a_list", f"the reply is not a list of step numbers: {text[position : position + 60]!r}")
        found.append((item[1], item[2] or item[1]))
        position = between.end() if between else item.end()
    return found


def _short(low: str, high: str) -> str:
    low, high = (digits if len(digits) < 10 else f"{digits[:9]}…" for digits in (low, high))
    return low if low == high else f"{low}-{high}"
