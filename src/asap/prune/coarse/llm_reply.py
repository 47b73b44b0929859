"""How the requests of stage 1 enclose a text, and which replies of the LLM are invalid (paper §3.2).

A request shows each text between two lines that occur in it nowhere else. A reply is untrusted: it may be cut off, wrapped in
a code fence, or empty. Nothing of it is ever kept as text, it only says which steps of the original stay.

What this does not do: read which steps a reply keeps (`rewrite`, `select`), ask a model, or ask again.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import count
from typing import NamedTuple

from asap.errors import AsapError
from asap.lm.generate import Generation
from asap.steps import Span

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_DELIMITER_LINE = re.compile(r"[ \t]*</?[a-z]+_[0-9a-f]{8}>[ \t\r]*")
_FENCE = re.compile(r"([ \t]*)(?:>[ \t]*)*(`{3,}|~{3,})([^\r\n]*)")


class InvalidReply(AsapError):
    """A reply that cannot be used; another one may be. `reason` is a short code, `detail` a sentence.

    Any reply: `cut_off`, `content_filter`, `unfinished`, `empty`. A rewrite: `delimiters`, `no_match`. A selection:
    `not_a_list`, `ambiguous`, `nothing_kept`, `out_of_range`, `reversed_range`. What was kept: `too_little`, `too_much`, `head_only`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["InvalidReply"], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


class Coverage(NamedTuple):
    """How much of a trace is kept: `share` of its steps' characters; `reach`, the share of its steps up to the last kept one."""

    share: float
    reach: float


class Delimiters(NamedTuple):
    """The lines before and after a text."""

    begin: str
    end: str


class Fenced(NamedTuple):
    """A closed code block that stands in no other: `text[start:end]` with its fences, its info string, and what is inside."""

    start: int
    end: int
    info: str
    code: str


def coverage(kept: Sequence[int], spans: Sequence[Span]) -> Coverage:
    """How much of a trace the kept steps are, by index."""
    sizes = [span.end - span.start for span in spans]
    return Coverage(sum(sizes[index] for index in kept) / max(sum(sizes), 1), (kept[-1] + 1) / len(spans) if kept else 0.0)


def check_share(kept: Sequence[int], spans: Sequence[Span], *, floor: float, ceiling: float, reach: float) -> None:
    """Raise InvalidReply where too little or too much of a trace is kept, or only its head. All limits are shares, 0 to 1."""
    found = coverage(kept, spans)
    if found.share < floor:
        raise InvalidReply("too_little", f"{found.share:.1%} of the trace's characters are kept; at least {floor:.1%} is expected")
    if found.share > ceiling:
        raise InvalidReply("too_much", f"{found.share:.1%} of the trace's characters are kept; at most {ceiling:.1%} is expected")
    if found.reach < reach:
        last = f"step {kept[-1] + 1} of {len(spans)}" if kept else f"none of {len(spans)} steps"
        raise InvalidReply("head_only", f"the last step that is kept is {last}; one after {reach:.1%} of the steps is expected")


def finished_text(reply: Generation) -> str:
    """The text of a reply that the model ended by itself. Raises InvalidReply for any other, and for an empty one."""
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
    """The template with each placeholder replaced. Braces in the values stay what they are."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def delimiters(name: str, text: str) -> Delimiters:
    """The lines between which a text is shown: the same for the same text, and with a token that is not in it."""
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
    """A text without outer blank lines, and without lines at either end that look like any of our delimiters."""
    lines = text.split("\n")
    while lines and (not lines[0].strip() or _DELIMITER_LINE.fullmatch(lines[0])):
        del lines[0]
    while lines and (not lines[-1].strip() or _DELIMITER_LINE.fullmatch(lines[-1])):
        del lines[-1]
    return "\n".join(lines)


def unfenced(text: str) -> str:
    """A text without a code fence around all of it; unchanged where it has none, or only begins and ends with fenced blocks."""
    whole = text.strip()
    blocks = fenced_blocks(whole)
    return blocks[0].code if blocks and (blocks[0].start, blocks[0].end) == (0, len(whole)) else text


def fenced_blocks(text: str) -> list[Fenced]:
    """The closed code blocks of a text, outermost only, in order.

    A bare fence closes the innermost open block of its kind that it is long enough for, else it opens one; a fence with an info
    string opens a block, also inside another one, so a block that is never closed does not swallow the next one. Lines of
    `code` lose the indentation of their block's opening fence.
    """
    found: list[Fenced] = []
    opened: list[tuple[int, int, str, str, str]] = []  # start, start of the code, indentation, fence, info
    for start, end, indent, fence, info in _fences(text):
        closes = not info and opened and fence.startswith(opened[-1][3])
        if closes:
            begin, code_start, outer_indent, _, outer_info = opened.pop()
            while found and found[-1].start > begin:
                found.pop()
            code = re.sub(rf"(?m)^[ \t]{{0,{len(outer_indent)}}}", "", text[code_start:start])
            found.append(Fenced(begin, end, outer_info, code))
        elif not opened or fence.startswith(opened[-1][3]):
            opened.append((start, end + 1, indent, fence, info))
    return found


def _fences(text: str) -> Iterator[tuple[int, int, str, str, str]]:
    """Start and end of each line that may be a fence, its indentation, the fence itself and its info string."""
    position = 0
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if match and not (match[2][0] == "`" and "`" in match[3]):  # else inline code
            yield position, position + len(line), match[1], match[2], match[3].strip()
        position += len(line) + 1
