"""The tags of turns: those inside of contents, which `--write-tags` replaces. Thinking in fields and parts has none."""

from dataclasses import replace

from asap.conversation import Conversation, Line, Piece, piece_of
from asap.json_paths import Edits, changed, edited, edits_in, value_at
from asap.think_tags import IN_THINK, Frame


def in_tags(conversation: Conversation, frame: Frame) -> Conversation:
    """The conversation with these tags in its contents."""
    written, edits = list[Line](), Edits()
    for line in conversation.lines:
        if not _is_inside(line):
            written.append(line)
            continue
        cot, answer = (piece_of(conversation.row, piece) for piece in (line.thinking[-1], line.text[0]))
        path, start, between = line.text[0].path, len(frame.before), len(frame.before) + len(cot) + len(frame.between)
        edits[path] = frame.join(cot, answer)
        thinking = (*line.thinking[:-1], Piece(path, start, start + len(cot)))
        written.append(line._replace(thinking=thinking, text=(Piece(path, between, between + len(answer)), *line.text[1:])))
    encoded = {name: edited(text, edits_in(name, edits)) for name, text in conversation.encoded.items()}
    return replace(conversation, row=changed(conversation.row, edits), lines=written, encoded=encoded)


def tags_of_turn(conversation: Conversation, line: Line) -> Frame:
    """The tags that a turn's content has; `<think>` where its thinking stands elsewhere."""
    if not _is_inside(line):
        return IN_THINK
    (path, start, end), said = line.thinking[-1], line.text[0]
    text = value_at(conversation.row, path)
    return Frame(text[:start], text[end : said.start], "" if said.end is None else text[said.end :])


def _is_inside(line: Line) -> bool:
    """Whether a turn's thinking and what it says stand in one text."""
    return bool(line.thinking and line.text) and line.thinking[-1].path == line.text[0].path
