"""The table of the tags between which models think, and how each row of it is found in a text.

Tags are found in any case, with blanks inside (`< Think >`) and with attributes (`<think duration="3">`). One row stands for gpt-oss'
Harmony channels as they are rendered, and one for what is left of them when the special tokens are dropped; its words are delimiters only
in a text that begins with them.

What this does not do: know tags by what they are called (`asap.thinking_names`), tell a tag that is used from one that is quoted
(`asap.quotation`), or split texts (`asap.think`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from asap.errors import UsageError
from asap.spans import Span


class Frame(NamedTuple):
    """What a response has before its trace, between trace and answer, and after the answer."""

    before: str
    between: str
    after: str = ""

    def join(self, cot: str, answer: str) -> str:
        """The response that `split_think` splits into these two."""
        return f"{self.before}{cot}{self.between}{answer}{self.after}"


@dataclass(frozen=True, slots=True)
class ThinkTags:
    """The tags around a model's thinking and, for some models, around the answer after it.

    `gap` is the white space between a tag and what it encloses. `opens` and `closes` are patterns for what is more than one tag.
    """

    name: str
    open: str
    close: str
    open_answer: str = ""
    close_answer: str = ""
    gap: str = "\n"
    opens: str = ""
    closes: str = ""

    @property
    def frame(self) -> Frame:
        """The tags with their white space, as they stand around a trace and its answer."""
        between = self.gap + self.close + self.gap[:1] * 2 + (self.open_answer + self.gap if self.open_answer else "")
        return Frame(self.open + self.gap, between, self.gap + self.close_answer if self.close_answer else "")

    @property
    def opening(self) -> str:
        """The pattern of what opens thinking."""
        return self.opens or _pattern(self.open)

    @property
    def closing(self) -> str:
        """The pattern of what closes it."""
        return self.closes or _pattern(self.close)


TagTable = Sequence[ThinkTags]
_LONGEST = 200  # characters of a tag
_FINAL = "<|channel|>final<|message|>"
THINK = ThinkTags("think", "<think>", "</think>")
IN_THINK = THINK.frame
OPENED, CLOSED = IN_THINK.before, IN_THINK.between
"""The text before a trace, and between a trace and its answer, in `<think>` tags."""
HARMONY_WORDS = ThinkTags(
    "harmony-words",
    "analysis",
    "assistantfinal",
    gap="",
    opens=r"(?-i:assistant(?:analysis|commentary))",
    closes="(?-i:assistantfinal)",
)
TAGS: TagTable = (
    THINK,
    ThinkTags("thinking", "<thinking>", "</thinking>"),
    ThinkTags("thought", "<thought>", "</thought>"),
    ThinkTags("reasoning", "<reasoning>", "</reasoning>"),
    ThinkTags("seed", "<seed:think>", "</seed:think>"),
    ThinkTags("minimax", "<mm:think>", "</mm:think>"),
    ThinkTags("kimi", "◁think▷", "◁/think▷"),
    ThinkTags("magistral", "[THINK]", "[/THINK]"),
    ThinkTags("begin_of_thought", "<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>", gap="\n\n"),
    ThinkTags("cohere", "<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", gap=""),
    ThinkTags("gemma", "<|channel>thought", "<channel|>", opens=r"<\|channel>\s*thought\b", closes=r"<channel\|>"),
    ThinkTags("apertus", "<|inner_prefix|>", "<|inner_suffix|>", gap=""),
    ThinkTags(
        "harmony",
        "<|channel|>analysis<|message|>",
        f"<|end|><|start|>assistant{_FINAL}",
        close_answer="<|return|>",
        gap="",
        opens=r"(?:<\|end\|>\s*)?(?:<\|start\|>assistant)?<\|channel\|>\s*(?:analysis|commentary)\b[^\n]{0,80}?<\|message\|>",
        closes=r"(?:<\|end\|>\s*)?(?:<\|start\|>assistant)?<\|channel\|>\s*final\b[^\n]{0,80}?<\|message\|>",
    ),
    HARMONY_WORDS,
)
ANYWHERE: TagTable = tuple(row for row in TAGS if row is not HARMONY_WORDS)
"""The rows whose tags are looked for anywhere in a text."""
# The English word "analysis" is followed by a blank, a mark or, in code, by "_" or "("; the channel by the text itself.
_WORDS_AT_START = r"(?-i:(?:assistant)?(?:analysis|commentary)(?:(?![ \t,.:;!?)=_(\[\-'])|(?=[\s\S]*?assistantfinal)))"
BEFORE = r"(?:\s|[\ufeff\u200b]|<[|｜][^<>|｜\n]{1,40}[|｜]>|</?s>|<bos>|<start_of_turn>|\[/INST\]|(?:assistant|model)\b:?)*?"
"""What may stand before the thinking: white space, special tokens and the name of the role."""
ATTRIBUTES = r"""(?:\s++[\w:-]++\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>]++))*+[ \t]*+"""
_XML = re.compile(r"<([\w:]+)>")
_DECORATION = re.compile(r"\s*(?:(?:#{1,6}|>)[ \t]*|(?P<bold>[*_]{1,3}))")
_ALONE = re.compile(r"[*_]*[ \t]*(?:\n|\Z)")
_NOT_MENTIONED = re.compile(r"[*_]*(?:[ \t]*(?:\n|\Z)|[ \t]*[^\sa-z*_,.;:!?)\]|-])")


class Tag(NamedTuple):
    """A tag at `text[start:end]` and the row of the table that it belongs to; it opens thinking, or closes it."""

    start: int
    end: int
    row: ThinkTags
    opens: bool


def tags_in(text: str, table: TagTable, start: int = 0) -> Iterator[Tag]:
    """The tags of these rows in a text, from a character on, used or quoted."""
    first, pattern = _tags(tuple(table))
    for place in first.finditer(text, start):  # three times as fast as the pattern alone
        found = pattern.match(text, place.start()) if place.start() >= start else None
        if found is not None:
            kind, start = found.lastgroup or "", found.end()
            yield Tag(found.start(), found.end(), table[int(kind[1:])], kind[0] == "o")


def tag_at_start(text: str, table: TagTable = TAGS) -> Tag | None:
    """The opening tag that a text begins with, after white space, special tokens and the name of the role, or in bold or as a heading."""
    found = match_at_start(text, _openings(tuple(table)))
    if found is None:
        return None
    kind = found.lastgroup or ""
    return Tag(*widened(text, Span(*found.span(kind))), table[int(kind[1:])], True)


def match_at_start(text: str, opening: re.Pattern[str]) -> re.Match[str] | None:
    """The opening tag that a text begins with, perhaps in bold, as a heading or quotation, but not if a sentence about it goes on."""
    found = opening.match(text)
    mark = None if found else _DECORATION.match(text)
    if mark is None or (inside := opening.match(text, mark.end())) is None:
        return found
    return inside if (_NOT_MENTIONED if mark["bold"] else _ALONE).match(text, inside.end()) else None


def widened(text: str, span: Span) -> Span:
    """A span with the marks of bold on both of its sides."""
    start, end = span
    while text[end : end + 1] in ("*", "_") and text[start - 1 : start] == text[end]:
        start, end = start - 1, end + 1
    return Span(start, end)


def opened_by(prompt: str) -> str:
    """The opening tag that a prompt ends with, so that the model begins inside its thinking; empty if there is none."""
    found = _tag_at_end(prompt)
    return prompt[found.start : found.end] if found else ""


def unopened(prompt: str) -> str:
    """A prompt without the opening tag at its end."""
    found = _tag_at_end(prompt)
    return prompt[: found.start] if found else prompt


def closing_tag(text: str) -> str | None:
    """The first closing tag in a text, used or quoted; None if it has none."""
    found = next((tag for tag in tags_in(text, ANYWHERE) if not tag.opens), None)
    return text[found.start : found.end] if found else None


def has_tag(text: str, table: TagTable = ANYWHERE) -> bool:
    """Whether a text contains an opening or a closing tag, used or quoted."""
    return next(tags_in(text, table), None) is not None


def as_written(row: ThinkTags, opening: str | None, closing: str) -> ThinkTags:
    """A row of the table with the tags as a text spells them, such as `<THINK>`."""
    if row.opens or row.closes:
        return row
    return replace(row, open=opening or row.open, close=closing)


def _tags_named(name: str, table: TagTable) -> ThinkTags:
    if "," in name:
        return own_tags(name, "--write-tags")
    found = next((row for row in table if row.name == name.lower()), None)
    if found is None:
        raise UsageError(f"there are no think tags {name!r}; write keep, {', '.join(row.name for row in table)}, or a pair OPEN,CLOSE")
    return found


def own_tags(pair: str, option: str = "--think-tags") -> ThinkTags:
    """The row for a pair OPEN,CLOSE. Raises UsageError for anything else."""
    opening, comma, closing = (part.strip() for part in pair.partition(","))
    if not (opening and comma and closing) or "," in closing or opening == closing or "\n" in pair:
        raise UsageError(f"{option} is {pair!r}; write the opening and the closing tag, for example '<zone>,</zone>'")
    return ThinkTags(pair, opening, closing)


def frame_named(name: str, table: TagTable = TAGS) -> Frame:
    """The tags of the row with a name, or of a pair OPEN,CLOSE, as they are written. Raises UsageError for anything else."""
    return _tags_named(name, table).frame


def ordered_tags(prompt: str) -> list[ThinkTags]:
    """The rows of which a prompt shows both the opening and the closing tag, as prompts do that order a format."""
    found = [(tag.row, tag.opens) for tag in tags_in(prompt, ANYWHERE)]
    return [row for row in ANYWHERE if (row, True) in found and (row, False) in found]


@lru_cache(maxsize=8)
def table_with(pair: str | None) -> TagTable:
    """The table, with a pair OPEN,CLOSE of one's own before its rows."""
    return TAGS if pair is None else (own_tags(pair), *TAGS)


def _tag_at_end(text: str) -> Tag | None:
    end = len(text.rstrip())
    return next((tag for tag in tags_in(text, ANYWHERE, max(0, end - _LONGEST)) if tag.opens and tag.end == end), None)


def _pattern(tag: str) -> str:
    """The pattern of a tag: blanks may stand beside the words in it, and before its slash."""
    if xml := _XML.fullmatch(tag):
        return rf"<[ \t]*+{xml[1]}{ATTRIBUTES}>"
    pieces = (piece if index % 2 else re.escape(piece).replace("/", r"[ \t]*/") for index, piece in enumerate(re.split(r"([\w:]+)", tag)))
    return r"[ \t]*".join(pieces) if re.match(r"\W.*\W$", tag, re.DOTALL) else re.escape(tag)


@lru_cache(maxsize=64)
def _tags(table: Sequence[ThinkTags]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The pattern of what a tag may begin with, and that of tags."""
    both = (f"(?P<o{index}>{row.opening})|(?P<c{index}>{row.closing})" for index, row in enumerate(table))
    first = {re.escape(tag[0]) for row in table for tag in (row.open, row.close)}
    return re.compile(f"[{''.join(sorted(first))}]", re.IGNORECASE), re.compile("|".join(both), re.IGNORECASE)


@lru_cache(maxsize=64)
def _openings(table: Sequence[ThinkTags]) -> re.Pattern[str]:
    at_start = ((index, _WORDS_AT_START if row is HARMONY_WORDS else row.opening) for index, row in enumerate(table))
    return re.compile(BEFORE + "(?:" + "|".join(f"(?P<o{index}>{pattern})" for index, pattern in at_start) + ")", re.IGNORECASE)
