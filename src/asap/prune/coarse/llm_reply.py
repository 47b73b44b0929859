"""How stage 1's requests delimit a text, and which replies of the LLM are invalid (paper §3.2).

A request puts each text between two lines that occur nowhere in it. A reply is untrusted: it may be cut off, wrapped in
a code fence, or empty. None of its text is ever kept; it only determines which original steps are kept.

What this does not do: read which steps a reply keeps (`rewrite`, `select`), ask a model, or ask again.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count
from typing import NamedTuple

from asap.errors import AsapError, UsageError
from asap.fences import blocks
from asap.lm.generate import Generation
from asap.prune.checks import check_fraction, check_least
from asap.spans import Span

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_DELIMITER_LINE = re.compile(r"[ \t]*</?[a-z]+_[0-9a-f]{8}>[ \t\r]*")


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """How often to ask an LLM to prune a trace, and which replies are usable."""

    attempts: int = 5
    """Replies asked for until one is usable; then `align` decides about the trace."""
    temperature: float | None = None
    """Of pruning replies. [default: rewrite 2.0 as on DeepSeek's API; select 0.0, then 1.0 when asked again]"""
    min_kept: float = 0.1
    """A reply that keeps a smaller share of the trace is not usable."""
    max_kept: float = 1.0
    """Nor is one that keeps a larger share."""
    min_reach: float = 0.5
    """Nor one that keeps no step behind this share of the steps."""
    thinking_tokens: int = 0
    """Room in each reply for an LLM that thinks before it answers."""

    def __post_init__(self) -> None:
        check_least("attempts", self.attempts, 1)
        check_least("thinking_tokens", self.thinking_tokens, 0)
        for name in ("min_kept", "max_kept", "min_reach"):
            check_fraction(name, getattr(self, name))
        if self.min_kept > self.max_kept:
            raise UsageError(f"min_kept is {self.min_kept:g}, more than max_kept, {self.max_kept:g}")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise UsageError(f"temperature is {self.temperature:g}; a number from 0 to 2 is expected")


class InvalidReply(AsapError):
    """An unusable reply; another one may be usable. `reason` is a short code, `detail` a sentence.

    Any reply: `cut_off`, `content_filter`, `unfinished`, `empty`. A rewrite: `delimiters`, `no_match`. A selection:
    `not_a_list`, `ambiguous`, `nothing_kept`, `out_of_range`, `reversed_range`. The kept steps: `too_little`, `too_much`, `head_only`.
    (`anchor_too_long` among the failures of a selection is none: the context of the LLM had no room for all of it.)
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["InvalidReply"], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


class Coverage(NamedTuple):
    """The kept part of a trace: `share` of its steps' characters; `reach`, the share of its steps up to the last kept one."""

    share: float
    reach: float


class Delimiters(NamedTuple):
    """The lines before and after a text."""

    begin: str
    end: str


def coverage(kept: Sequence[int], spans: Sequence[Span]) -> Coverage:
    """The coverage of a trace by the kept steps, given by index."""
    sizes = [span.end - span.start for span in spans]
    return Coverage(sum(sizes[index] for index in kept) / max(sum(sizes), 1), (kept[-1] + 1) / len(spans) if kept else 0.0)


def check_share(kept: Sequence[int], spans: Sequence[Span], *, floor: float, ceiling: float, reach: float) -> None:
    """Raise InvalidReply if too little or too much of a trace is kept, or only its head. All limits are shares, 0 to 1."""
    found = coverage(kept, spans)
    if found.share < floor:
        raise InvalidReply("too_little", f"{found.share:.1%} of the trace's characters are kept; at least {floor:.1%} is expected")
    if found.share > ceiling:
        raise InvalidReply("too_much", f"{found.share:.1%} of the trace's characters are kept; at most {ceiling:.1%} is expected")
    if found.reach < reach:
        last = f"step {kept[-1] + 1} of {len(spans)}" if kept else f"none of {len(spans)} steps"
        raise InvalidReply("head_only", f"the last step that is kept is {last}; one after {reach:.1%} of the steps is expected")


def finished_text(reply: Generation) -> str:
    """The text of a reply that the model finished. Raises InvalidReply for an unfinished or empty one."""
    if reply.finish_reason == "length":
        raise InvalidReply("cut_off", f"the reply was cut off after {reply.completion_tokens} tokens")
    if reply.finish_reason == "content_filter":
        raise InvalidReply("content_filter", "the server's content filter ended the reply")
    if reply.finish_reason != "stop":
        raise InvalidReply("unfinished", f"the server ended the reply with finish_reason {reply.finish_reason!r}; 'stop' is expected")
    if not reply.text.strip():
        raise InvalidReply("empty", "the reply is empty")
    return reply.text


@cache
def prompt_file(name: str) -> str:
    """The wording of a request, with its placeholders in braces."""
    return files("asap.prune.coarse").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with each placeholder replaced. Braces in the values are preserved."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def delimiters(name: str, text: str) -> Delimiters:
    """The delimiter lines for a text: the same for the same text, with a token that the text does not contain."""
    return Delimiters(*(f"<{slash}{name}_{unused_token(text)}>" for slash in ("", "/")))


def unused_token(text: str) -> str:
    """Eight hex digits that do not occur in a text; the same for the same text."""
    data = text.encode("utf-8", "surrogatepass")
    return next(token for salt in count() if (token := hashlib.sha256(b"%d:" % salt + data).hexdigest()[:8]) not in text)


def enclosed(name: str, text: str) -> str:
    """A text between its delimiter lines."""
    lines = delimiters(name, text)
    return f"{lines.begin}\n{text}\n{lines.end}"


def without_delimiters(text: str) -> str:
    """A text without outer blank lines, and without leading and trailing lines that look like our delimiters."""
    lines = text.split("\n")
    while lines and (not lines[0].strip() or _DELIMITER_LINE.fullmatch(lines[0])):
        del lines[0]
    while lines and (not lines[-1].strip() or _DELIMITER_LINE.fullmatch(lines[-1])):
        del lines[-1]
    return "\n".join(lines)


def unfenced(text: str) -> str:
    """A text without an enclosing code fence; unchanged if it has none, or only begins and ends with separate fenced blocks."""
    whole = text.strip()
    found = blocks(whole)
    return found[0].code if found and (found[0].start, found[0].end) == (0, len(whole)) else text
