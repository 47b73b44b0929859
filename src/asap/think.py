"""Thinking and answer: the functions that split a text at the tags of `asap.think_tags`.

The rule, the same for data, replies and generations:

- Thinking is a prefix. It is open from the start if the prompt opened it, or if the text begins with an opening tag, after white
  space, special tokens and the name of the role. Of a text with an opening tag only that row's tags count from there on.
- A closing tag without an opening one closes what the prompt had opened.
- A text without a tag of the table may have tags or headings that are called thinking (`asap.thinking_names`): a thought that opens so
  before any code block is thinking, and no answer if it never ends. So is one that begins with a tag of unknown meaning.
- Tags that are quoted do not count (`asap.quotation`).
- The thinking ends at the last closing tag: what lies between two thoughts belongs to the thinking.
- A thought that opens later, as models think again after an answer, is thinking too. If it never ends, there is no answer.

What this does not do: judge the thinking, or split it into steps.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from asap.errors import RowError
from asap.quotation import Region
from asap.spans import Span
from asap.think_tags import HARMONY_WORDS, TAGS, THINK, Frame, Tag, TagTable, as_written, tag_at_start, tags_in, widened
from asap.thinking_names import announced, is_undecided, is_unfinished_json, named_at_start, named_tags

_REGIONS = 32  # answers of a text whose code blocks are looked for from their own start
_AROUND_ANSWER = re.compile(
    "|".join(
        [rf"\A\s*{re.escape(row.open_answer)}" for row in TAGS if row.open_answer]
        + [rf"{re.escape(row.close_answer)}\s*\Z" for row in TAGS if row.close_answer]
    )
)


_OPEN_ANSWER, _CLOSE_ANSWER = "<answer>", "</answer>"


class Thought(NamedTuple):
    """A response split into thinking and answer."""

    cot: str
    answer: str


class Parts(NamedTuple):
    """A generation split in two. `thinking` is None if the model did not think, `answer` if it did not finish thinking."""

    thinking: str | None
    answer: str | None


class _Found(NamedTuple):
    """The tags that count: the first that opens thinking, the last that closes it, and whether a thought is open at the end."""

    opening: Tag | None
    closing: Tag | None
    is_open: bool


def split_think(text: str, table: TagTable = TAGS) -> Thought:
    """Split a response at its think tags, any row of the table. Raises RowError where it does not hold one whole thought.

    A missing opening tag is accepted (chat templates often write it). With several tags the trace runs from
    the first opening to the last closing one, so nothing in between is lost.
    """
    cot, answer = think_spans(text, table)
    return Thought(text[cot.start : cot.end], text[answer.start : answer.end])


def think_spans(text: str, table: TagTable = TAGS) -> tuple[Span, Span]:
    """Where thinking and answer stand in a response, as `split_think` splits it. Raises RowError as it does."""
    opening, closing = _delimiters(text, table)
    start, end = closing.end, len(text)
    for found in _AROUND_ANSWER.finditer(text[closing.end :]):
        if found.start():
            end = closing.end + found.start()
        else:
            start = closing.end + found.end()
    inside = _without_answer_tags(text[start : max(start, end)])
    answer = text.index(inside, start)
    return _stripped(text, opening.end if opening else 0, closing.start), _stripped(text, answer, answer + len(inside))


def _stripped(text: str, start: int, end: int) -> Span:
    """A span without the line breaks at its start and end."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip("\r\n"))
    return Span(start, start + len(piece.strip("\r\n")))


def _without_answer_tags(answer: str) -> str:
    """An answer that is one `<answer>` as a whole, as in AM-DeepSeek-R1, without these tags; any other as it is."""
    inside = answer.strip()
    if inside.count(_OPEN_ANSWER) != 1 or not inside.startswith(_OPEN_ANSWER) or not inside.endswith(_CLOSE_ANSWER):
        return answer
    return inside[len(_OPEN_ANSWER) : -len(_CLOSE_ANSWER)]


def own_frame(text: str, table: TagTable = TAGS) -> Frame:
    """The tags of a response that `split_think` splits, as they are spelled there and written again. Raises RowError as it does."""
    opening, closing = _delimiters(text, table)
    frame = as_written(closing.row, opening and text[opening.start : opening.end], text[closing.start : closing.end]).frame
    if _without_answer_tags(text[closing.end :]) == text[closing.end :]:
        return frame
    return frame._replace(between=f"{frame.between}{_OPEN_ANSWER}\n", after=f"\n{_CLOSE_ANSWER}{frame.after}")


def _delimiters(text: str, table: TagTable) -> tuple[Tag | None, Tag]:
    """The tags at which a response is split. Raises RowError."""
    found = _tags_that_count(text, False, table)
    opening, closing = found.opening, found.closing
    if found.is_open and opening is not None:  # the rows of a data set are seldom cut off: rather a fence is left open
        later = tags_in(text, (opening.row,), opening.end) if opening.row.close else ()  # none for a heading that no other follows
        rest = (tag for tag in later if not tag.opens and _is_alone(text, tag))
        closing = max(rest, key=lambda tag: tag.start, default=None)
    if closing is None:
        if opening is None:
            raise RowError("no_think", f"the response has no think part: neither {THINK.open} nor {THINK.close} was found")
        raise RowError("unclosed_think", f"{text[opening.start : opening.end]} at character {opening.start} is never closed")
    if opening is not None and text[: opening.start].strip() and tag_at_start(text, (opening.row,)) is None:
        before = text[: opening.start].strip()
        tag = text[opening.start : opening.end]
        raise RowError("text_before_think", f"{len(before)} characters stand before {tag}: {before[:60]!r}")
    return opening, closing


def _is_alone(text: str, tag: Tag) -> bool:
    """Whether a tag has its line for itself."""
    before, after = text[: tag.start].rpartition("\n")[2], text[tag.end :].partition("\n")[0]
    return not before.strip() and not after.strip()


def parts_of(generation: str, *, opened: bool = False, table: TagTable = TAGS) -> Parts:
    """The thinking and the answer of any text. `opened`: its prompt ends with an opened thought, whose tag is not in the text."""
    found = _tags_that_count(generation, opened, table)
    if found.is_open:
        return Parts(generation, None)
    if found.closing is None:
        return Parts(None, generation)
    answer = generation[_behind(generation, found.closing) :]
    ending = found.closing.row.close_answer
    if ending and answer.rstrip().endswith(ending):
        answer = answer.rstrip().removesuffix(ending)
    return Parts(generation[: found.closing.start], answer)


def without_later_thoughts(answer: str) -> str:
    """An answer without what stands between tags called thinking that open behind its first code block: drafts there are none of it."""
    first = answer.find("```")
    region, kept, start, inside = Region(answer, 0, is_answer=True), list[str](), 0, ""
    for tag in named_tags(answer, first) if first >= 0 else ():
        if not inside and tag.opens and region.uses(tag):
            kept.append(answer[start : tag.start])
            inside = tag.row.name
        elif inside == tag.row.name and not tag.opens:
            start, inside = tag.end, ""
    return "".join(kept if inside else [*kept, answer[start:]])


def _behind(text: str, closing: Tag) -> int:
    """The character behind a closing tag, and behind the tag that opens the answer if that is next."""
    rest = text[closing.end :].lstrip()
    opening = closing.row.open_answer
    return len(text) - len(rest) + len(opening) if opening and rest.startswith(opening) else closing.end


def answer_starts(generation: str, table: TagTable = TAGS) -> int | None:
    """The character behind the closing tag, where the answer of a text starts; None if it does not finish thinking."""
    found = _tags_that_count(generation, False, table)
    return None if found.is_open else found.closing.end if found.closing else 0


def _tags_that_count(text: str, opened: bool, table: TagTable) -> _Found:
    """The tags that count in a text. `opened`: it begins inside of a thought."""
    anywhere = [row for row in table if row is not HARMONY_WORDS]
    opening = tag_at_start(text, anywhere if opened else table)
    start = opening.end if opening else 0
    found = _counted(text, opened, opening, tags_in(text, (opening.row,) if opening else anywhere, start))
    if opening or found.closing is not None:
        return found
    return _named(text, opened, found)


def _named(text: str, opened: bool, found: _Found) -> _Found:
    """The tags that count, by what they are called, in a text that neither begins with a tag of the table nor holds one that closes."""
    if not opened:
        if opening := named_at_start(text):
            return _counted(text, False, opening, named_tags(text, opening.end))
        if found.opening:
            return found
        if headings := announced(text):
            return _Found(*headings, is_open=headings[1] is None)
    named = _counted(text, opened, None, _outside_answers(text, opened))
    if named.opening or named.closing or opened:
        return named
    return _Found(None, None, is_undecided(text) or is_unfinished_json(text))


def _outside_answers(text: str, opened: bool) -> Iterator[Tag]:
    """The tags that are called thinking, without pairs that open within a thought or after code."""
    code = min([place for fence in ("```", "~~~") if (place := text.find(fence)) >= 0], default=len(text))
    inside = set[str]()
    for tag in named_tags(text):
        if tag.opens and (opened or tag.start > code):
            inside.add(tag.row.name)
        if tag.row.name not in inside:
            yield tag


def _counted(text: str, opened: bool, opening: Tag | None, tags: Iterable[Tag]) -> _Found:
    """Of the tags behind the one that opens a text, if there is one, those that are used and of one row."""
    closing, is_open, ends = None, opened or opening is not None, 0
    region = Region(text, opening.end if opening else 0, is_answer=False)
    for found in tags:
        tag = found if found.opens or region.is_answer else _with_bold(text, found)
        row = opening.row if opening else closing.row if closing else tag.row
        if tag.row.name != row.name or not region.uses(tag):
            continue
        if tag.opens:
            opening = opening or tag
            is_open = True
        else:
            closing, is_open, ends = tag, False, ends + 1
            if ends < _REGIONS:
                region = Region(text, _behind(text, tag), is_answer=True)
    return _Found(opening, closing, is_open)


def _with_bold(text: str, tag: Tag) -> Tag:
    """A tag with the marks of bold around it, if it has its line for itself then."""
    wide = tag._replace(**widened(text, Span(tag.start, tag.end))._asdict())
    return wide if wide != tag and _is_alone(text, wide) else tag


def strip_think(text: str, *, opened: bool | None, table: TagTable = TAGS) -> str:
    """A reply without the thinking at its start; empty if that never ends.

    `opened`: whether the prompt has opened the thinking. If unknown (None), a closing tag without an opening one implies it.
    """
    if opened is None:
        opened = closes_unopened(text, table) is not None
    if not (opened or tag_at_start(text, table) or named_at_start(text) or announced(text)):
        return text
    return (parts_of(text, opened=opened, table=table).answer or "").lstrip()


def closes_unopened(text: str, table: TagTable = TAGS) -> str | None:
    """The opening tag of the thinking that a text closes without opening it, which means that its prompt did; None if it does not."""
    found = _tags_that_count(text, False, table)
    if found.closing is None or (found.opening is not None and found.opening.start < found.closing.start):
        return None
    return found.closing.row.open


def opens_itself(text: str, table: TagTable = TAGS) -> bool:
    """Whether a text opens thinking, at its start or later."""
    return _tags_that_count(text, False, table).opening is not None


def head_of(text: str, table: TagTable = TAGS) -> str:
    """The opening tag, with a line break, that a text begins with at its first character; empty if there is none."""
    found = tag_at_start(text, table)
    return text[: found.end + 1] if found and found.start == 0 and text[found.end : found.end + 1] == "\n" else ""
