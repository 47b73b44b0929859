"""Stage 1 as in the paper (`--coarse rewrite`, §3.2): an LLM repeats the trace without the parts that the anchor does not need.

The reply must pass Algorithm 1: each of its steps is similar to an original step, in the original order. Its words are then
discarded: every step is snapped to the original step it matches, so the kept text is the original, verbatim.

What this does not do: distinguish a step from a near-copy with another meaning (only the original's words survive), or
detect that two steps were merged into one (it keeps only the more similar one).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from rapidfuzz import process
from rapidfuzz.distance import Indel

from asap.lm.generate import Generation, Request
from asap.prune.checks import check_fraction
from asap.prune.coarse.align import Align
from asap.prune.coarse.llm_reply import (
    Delimiters,
    InvalidReply,
    ReplyRules,
    delimiters,
    enclosed,
    filled,
    finished_text,
    prompt_file,
    unfenced,
)
from asap.prune.coarse.match import TAU, Match, gestalt, matches, snap
from asap.sample import Sample
from asap.spans import Span
from asap.steps import Splitter, StepSplit, split_steps

_SHOWN = 60  # characters of a step in a message
_NEAREST = 5  # steps to compare exactly for a message: the nearest by Indel similarity, an upper bound of Gestalt's


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Stage 1 by an LLM that writes the shorter trace, as in the paper. Without a usable reply, `fallback` decides."""

    tau: float = TAU
    """`rewrite`: how similar a step of the reply must be to an original one."""
    rules: ReplyRules = field(default_factory=ReplyRules)
    fallback: Align = field(default_factory=Align)

    name: ClassVar[Literal["rewrite"]] = "rewrite"

    def __post_init__(self) -> None:
        check_fraction("tau", self.tau)


def rewrite_request(sample: Sample, anchor: str, *, temperature: float, max_tokens: int, draw: int) -> Request:
    """The request for a sample's pruned trace. `draw` numbers the attempts: the same wording, for another reply."""
    lines = delimiters("trace", sample.cot)
    texts = {
        "question": enclosed("question", sample.question),
        "outline": enclosed("outline", anchor),
        "trace": enclosed("trace", sample.cot),
        "begin": lines.begin,
        "end": lines.end,
    }
    message = {"role": "user", "content": filled(prompt_file("rewrite"), texts)}
    return Request([message], max_tokens, temperature, draw=draw, kind="rewrite")


def read_rewrite(reply: Generation, cot: str, spans: Sequence[Span], *, split: StepSplit | Splitter, tau: float) -> list[Match]:
    """The steps of `cot` that a reply keeps, in order. Raises InvalidReply if Algorithm 1 or an earlier check fails.

    Steps are compared without their outer white space, and with every line ending as \\n. If the reply contains the trace's delimiters,
    only the text between them counts.
    """
    text = finished_text(reply)
    if "\r\n" not in cot:
        text = text.replace("\r\n", "\n")
    text = _inside(text, delimiters("trace", cot))
    original_steps = _compared(cot, spans)
    readings = [_compared(reading, split_steps(reading, split)) for reading in _readings(text, cot)]
    if not readings[0]:
        raise InvalidReply("empty", "the reply holds no step")
    found = next((found for coarse_steps in readings if (found := snap(original_steps, coarse_steps, tau))), None)
    if found is None:
        raise InvalidReply("no_match", _why_not(original_steps, readings[0], tau))
    return found


def _compared(text: str, spans: Sequence[Span]) -> list[str]:
    return [text[span.start : span.end].replace("\r\n", "\n").strip() for span in spans]


def _inside(text: str, lines: Delimiters) -> str:
    """The text between the delimiters; without one, it extends to that end of the reply."""
    begins = list(re.finditer(rf"^[ \t]*{re.escape(lines.begin)}", text, re.MULTILINE))
    ends = list(re.finditer(rf"{re.escape(lines.end)}[ \t\r]*$", text, re.MULTILINE))
    start = begins[0].end() if begins else 0
    end = ends[0].start() if ends else len(text)
    if len(begins) > 1 or len(ends) > 1 or end < start:
        raise InvalidReply("delimiters", f"the reply has {len(begins)} opening and {len(ends)} closing delimiters; one pair is expected")
    return text[start:end]


def _readings(text: str, cot: str) -> list[str]:
    """The ways to read the text: without an enclosing fence, then with it; only with it if the trace contains the whole text."""
    return [text] if text.strip() in cot else list(dict.fromkeys([unfenced(text), text]))


def _why_not(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float) -> str:
    """A sentence about the first step of a reply for which Algorithm 1 finds no original step."""
    number, start = 1, 0
    while (found := _next_match(original_steps, coarse_steps[number - 1], start, tau)) is not None:
        number, start = number + 1, found + 1
    step = coarse_steps[number - 1]
    shown = repr(step if len(step) <= _SHOWN else step[:_SHOWN] + "…")
    rest = original_steps[start:]
    if not rest:
        return f"step {number} of the reply, {shown}, comes after a step that matches the last one of the trace"
    near = process.extract(step, rest, scorer=Indel.normalized_similarity, limit=_NEAREST)
    similarity, place = max((gestalt(original, step), index) for original, _, index in near)
    earlier = _next_match(original_steps[:start], step, 0, tau)
    moved = "" if earlier is None else f" (step {earlier + 1} is similar enough, but comes before)"
    return (
        f"step {number} of the reply, {shown}, is like no step of the trace from {start + 1} on: the nearest, {start + place + 1},"
        f" is {int(similarity * 1000) / 1000:g} similar; {tau:g} is needed{moved}"
    )


def _next_match(original_steps: Sequence[str], step: str, start: int, tau: float) -> int | None:
    return next((index for index in range(start, len(original_steps)) if matches([original_steps[index]], [step], tau)), None)
