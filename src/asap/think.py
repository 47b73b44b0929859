"""The tags around a model's thinking, in one table, and every function that splits, joins or searches text at them.

The functions recognise every row of the table in data and generations, but write the tags of the first row, and search replies and
prompts for those only (`strip_think`, `opened_by`, `unopened` and `closes_unopened`).

What this does not do: judge the thinking, or split it into steps.
"""

import re
from typing import NamedTuple

from asap.errors import RowError


class ThinkTags(NamedTuple):
    """The tags with which some models delimit their thinking and, in some cases, the answer after it."""

    open: str
    close: str
    open_answer: str = ""
    close_answer: str = ""


TAGS = (
    ThinkTags("<think>", "</think>"),
    ThinkTags("<thinking>", "</thinking>"),
    ThinkTags("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
)
OPEN, CLOSE = TAGS[0].open, TAGS[0].close
OPENED, CLOSED = f"{OPEN}\n", f"\n{CLOSE}\n\n"
"""The text written before a trace, and between a trace and its answer."""


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_OPEN = _any_of(*(re.escape(tags.open) for tags in TAGS))
_CLOSE = _any_of(*(re.escape(tags.close) for tags in TAGS))
_AROUND_ANSWER = _any_of(
    *(rf"^\s*{re.escape(tags.open_answer)}" for tags in TAGS if tags.open_answer),
    *(rf"{re.escape(tags.close_answer)}\s*$" for tags in TAGS if tags.close_answer),
)


class Thought(NamedTuple):
    """A response split into thinking and answer."""

    cot: str
    answer: str


class Parts(NamedTuple):
    """A generation split in two. `thinking` is None if the model did not think, `answer` if it did not finish thinking."""

    thinking: str | None
    answer: str | None


def join_think(cot: str, answer: str) -> str:
    """The response that `split_think` splits into these two."""
    return f"{OPENED}{cot}{CLOSED}{answer}"


def split_think(text: str) -> Thought:
    """Split a response at its think tags; the tags may be <think>, <thinking> or <|begin_of_thought|>.

    A missing opening tag is accepted (chat templates often write it). With several tags the trace runs from
    the first opening to the last closing one, so nothing in between is lost. Raises RowError otherwise.
    """
    opening = _OPEN.search(text)
    closings = list(_CLOSE.finditer(text, opening.end() if opening else 0))
    if not closings:
        if opening is None:
            raise RowError("no_think", f"the response has no think part: neither {OPEN} nor {CLOSE} was found")
        raise RowError("unclosed_think", f"{opening.group()} at character {opening.start()} is never closed")
    closing = closings[-1]
    if opening is not None and text[: opening.start()].strip():
        before = text[: opening.start()].strip()
        raise RowError("text_before_think", f"{len(before)} characters stand before {opening.group()}: {before[:60]!r}")
    return Thought(
        cot=text[opening.end() if opening else 0 : closing.start()].strip("\r\n"),
        answer=_AROUND_ANSWER.sub("", text[closing.end() :]).strip("\r\n"),
    )


def parts_of(generation: str) -> Parts:
    """The thinking and the answer of any text; the answer follows the last closing tag, unless a thought opens after it."""
    closings = list(_CLOSE.finditer(generation))
    after = closings[-1].end() if closings else 0
    if _OPEN.search(generation, after):
        return Parts(generation, None)
    return Parts(generation[: closings[-1].start()], generation[after:]) if closings else Parts(None, generation)


def strip_think(text: str, *, opened: bool | None) -> str:
    """A reply without the thinking at its start; empty if that never ends.

    `opened`: whether the prompt has opened the thinking. If unknown (None), a closing tag without an opening one implies it.
    """
    if opened is None:
        opened = closes_unopened(text)
    return text.partition(CLOSE)[2].lstrip() if opened or text.lstrip().startswith(OPEN) else text


def opened_by(prompt: str) -> bool:
    """Whether a prompt ends with an opening tag, so that the model begins inside its thinking."""
    return prompt.rstrip().endswith(OPEN)


def unopened(prompt: str) -> str:
    """A prompt without the opening tag at its end."""
    return prompt.rstrip().removesuffix(OPEN) if opened_by(prompt) else prompt


def closes_unopened(text: str) -> bool:
    """Whether a text closes thinking that it does not open, which means that its prompt did."""
    thought, closing, _ = text.partition(CLOSE)
    return bool(closing) and OPEN not in thought


def closing_tag(text: str) -> str | None:
    """The first closing tag in a text; None if it has none."""
    found = _CLOSE.search(text)
    return found[0] if found else None


def has_tag(text: str) -> bool:
    """Whether a text contains an opening or a closing tag."""
    return bool(_OPEN.search(text) or _CLOSE.search(text))
