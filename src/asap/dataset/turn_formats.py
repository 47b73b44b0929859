"""Formats of conversations: the rows of training tools, and which turns carry the loss.

A message stays as it came where it is one that tools read: a role, and a text as content. Others become one, with `reasoning_content` and
`tool_calls`. Names as in TRL 1.16 (`messages`, `tools`, `prompt`, `completion`), axolotl's docs/dataset-formats/conversation.qmd (`train`,
by `message_field_training: train`), verl's multi-turn SFT data set (`messages`, `tools`; `trainable` as in its pull request 5472) and
rllm's data/sft_schema.py (parts of text and thinking, `trainable`). ShareGPT and LLaMA-Factory's alpaca rows have no flags.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from asap.conversation import Conversation, Line, Piece, arguments_of, name_of
from asap.dataset.columns import beside
from asap.dataset.formats import MEANT
from asap.dataset.turn_tags import tags_of_turn
from asap.errors import UsageError
from asap.json_paths import value_at
from asap.think_tags import IN_THINK, Frame

TrainTurns = Literal["all", "thinking", "last"]
"""Which turns carry the loss: all of the assistant's, those that think, or the last."""
FLAGS = ("trainable", "train", "training", "weight")
"""The keys of a message that say whether it is learnt."""
FLAGGED = ("axolotl", "verl", "rllm")
"""The formats whose messages say whether they are learnt."""
_WITH_FLAGS = ("trl", *FLAGGED)
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_FROM = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}
_CARRIED = ("name", "tool_call_id")


def check_train_turns(train: str | None, formats: Sequence[str]) -> None:
    """Raise UsageError for flags that no format, or not each of them, can hold."""
    if train is None:
        return
    if train not in get_args(TrainTurns):
        raise UsageError(f"--train-turns is {train!r}; allowed: {', '.join(get_args(TrainTurns))}")
    without = [name for name in formats if name not in _WITH_FLAGS]
    if not formats or (without and train != "all"):
        what = f"{', '.join(without)} rows have no flags for turns" if without else "no training format is written"
        raise UsageError(f"--train-turns {train} is for --format {', '.join(_WITH_FLAGS)}, and {what}")


def training_rows(
    conversation: Conversation, thoughts: Mapping[int, str], format: str, train: TrainTurns, tags: Frame | None = IN_THINK
) -> Iterator[dict[str, Any]]:
    """The rows of a conversation in a format, with other thinking in some turns, by the numbers of their messages.

    A format without a field for thinking has it in these tags, or with None in those of the row.
    """
    others = {name: conversation.row[name] for name in conversation.others}
    tools = {"tools": conversation.row[conversation.tools]} if conversation.tools else {}
    conversation = _as_written(learnable(conversation, format, train))
    for row in _ROWS[format](conversation, thoughts, train, tags) if conversation.lines else ():
        yield beside({**row, **({} if format == "llamafactory" else tools)}, others, MEANT)


def learnable(conversation: Conversation, format: str, train: TrainTurns) -> Conversation:
    """What a format holds of a conversation: all of it, but every turn of a row without flags is learnt, so that ends before the first one
    that must not be, up to an answer.
    """
    if format in FLAGGED or train != "all":
        return conversation
    turns = [line.number for line in conversation.lines if line.role == "assistant"]
    first = min({*turns} - {*_allowed(conversation, turns)}, default=None)
    if first is None:
        return conversation
    lines = [line for line in conversation.lines if line.number < first]
    last = max((place for place, line in enumerate(lines) if line.role == "assistant"), default=-1)
    return replace(conversation, lines=lines[: last + 1])


def trained(conversation: Conversation, train: TrainTurns) -> set[int]:
    """The numbers of the turns that carry the loss. One that its row excludes, or that cannot be pruned, never does."""
    turns = [line for line in conversation.lines if line.role == "assistant"]
    chosen = turns[-1:] if train == "last" else [line for line in turns if line.thinking or train == "all"]
    return {*_allowed(conversation, [line.number for line in chosen])}


def _allowed(conversation: Conversation, turns: Sequence[int]) -> list[int]:
    """Those of some turns that may be learnt."""
    rejected = {*conversation.rejected}
    return [
        number
        for number in turns
        if number not in rejected and not _is_excluded(value_at(conversation.row, conversation.line(number).path))
    ]


def _as_written(conversation: Conversation) -> Conversation:
    """The same with the whole text of the messages that do not think, such as empty think tags."""
    whole = (line if line.thinking else line._replace(text=[Piece(piece.path) for piece in line.text]) for line in conversation.lines)
    return replace(conversation, lines=list(whole))


def chat_of(conversation: Conversation, thoughts: Mapping[int, str]) -> list[tuple[Line, dict[str, Any]]]:
    """The messages as training tools read them."""
    return [(line, _message(conversation, line, thoughts)) for line in conversation.lines]


def _trl(conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, tags: Frame | None) -> Iterator[dict[str, Any]]:
    """One row with all messages, for `assistant_only_loss`; with fewer turns one of prompt and completion for each."""
    messages = [{name: value for name, value in message.items() if name not in FLAGS} for _, message in chat_of(conversation, thoughts)]
    if train == "all":
        yield {"messages": messages}
        return
    chosen = trained(conversation, train)
    for place, line in enumerate(conversation.lines):
        if line.number in chosen and place:
            yield {"prompt": messages[:place], "completion": messages[place : place + 1]}


def _flagged(flag: str, conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns) -> dict[str, Any]:
    chosen = trained(conversation, train)
    return {"messages": [{**message, flag: line.number in chosen} for line, message in chat_of(conversation, thoughts)]}


def _axolotl(conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, tags: Frame | None) -> Iterator[dict[str, Any]]:
    yield _flagged("train", conversation, thoughts, train)


def _verl(conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, tags: Frame | None) -> Iterator[dict[str, Any]]:
    yield _flagged("trainable", conversation, thoughts, train)


def _rllm(conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, tags: Frame | None) -> Iterator[dict[str, Any]]:
    """Thinking and text as parts, arguments as JSON text."""
    chosen, messages = trained(conversation, train), list[dict[str, Any]]()
    for line in conversation.lines:
        cot, text = thoughts.get(line.number, conversation.cot(line.number)), conversation.text(line)
        parts = [{"type": "thinking", "thinking": cot}] if line.thinking else []
        parts += [{"type": "text", "text": text}] if text or not parts else []
        message: dict[str, Any] = {"role": line.role, "content": parts, "trainable": line.number in chosen}
        if line.calls:
            message["tool_calls"] = [_call(conversation, line, place, as_text=True) for place in range(len(line.calls))]
        messages.append({**message, **_carried(conversation, line)})
    yield {"messages": messages}


def _sharegpt(conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, tags: Frame | None) -> Iterator[dict[str, Any]]:
    """The response with its thinking as one text, tool calls between tags in it."""
    yield {
        "conversations": [{"from": _FROM[line.role], "value": _response(conversation, line, thoughts, tags)} for line in conversation.lines]
    }


def _llamafactory(
    conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, tags: Frame | None
) -> Iterator[dict[str, Any]]:
    """An alpaca row whose response is the last turn. The pairs before it are its history; tools and their results are text."""
    tools = [f"Tools:\n{json.dumps(conversation.row[conversation.tools], ensure_ascii=False)}"] if conversation.tools else []
    system, pairs = [*filter(None, [conversation.system]), *tools], [["", ""]]
    for line in conversation.lines[conversation.lines[0].role == "system" :]:
        text = _response(conversation, line, thoughts, tags)
        if line.role != "assistant" and pairs[-1][1]:
            pairs.append(["", ""])
        side = int(line.role == "assistant")
        shown = f"<tool_response>\n{text}\n</tool_response>" if line.role == "tool" else text
        pairs[-1][side] = "\n\n".join(filter(None, [pairs[-1][side], shown]))
    if not pairs[-1][1]:
        del pairs[-1]  # nobody answers it
    question, response = pairs.pop()
    yield {"instruction": question, "input": "", "output": response, "system": "\n\n".join(system), "history": pairs}


_ROWS = {"trl": _trl, "axolotl": _axolotl, "llamafactory": _llamafactory, "sharegpt": _sharegpt, "verl": _verl, "rllm": _rllm}


def _message(conversation: Conversation, line: Line, thoughts: Mapping[int, str]) -> dict[str, Any]:
    """A message as it came, but for its thinking, if tools can read it so; else the same in their form."""
    cot, source = thoughts.get(line.number, conversation.cot(line.number)), value_at(conversation.row, line.path)
    if _is_readable(source) and all(piece.path[: len(line.path)] == line.path for piece in line.thinking):
        return dict(conversation.message(line, cot))
    message: dict[str, Any] = {"role": line.role, "content": conversation.text(line)}
    if line.thinking:
        message["reasoning_content"] = cot
    if line.calls:
        message["tool_calls"] = [_call(conversation, line, place) for place in range(len(line.calls))]
    return {**message, **_carried(conversation, line)}


def _is_readable(source: object) -> bool:
    if not isinstance(source, Mapping) or "channel" in source or "recipient" in source:
        return False
    return source.get("role") in _ROLES and "content" in source and isinstance(source["content"], str | None)


def _is_excluded(source: object) -> bool:
    return isinstance(source, Mapping) and any(source.get(key) in (False, 0) and source.get(key) is not None for key in FLAGS)


def _carried(conversation: Conversation, line: Line) -> dict[str, Any]:
    """The name of a message, and the call that it answers."""
    source = value_at(conversation.row, line.path)
    found = (
        {key: source[key] for key in _CARRIED if source.get(key) is not None} if isinstance(source, Mapping) and "role" in source else {}
    )
    parts = [value_at(conversation.row, piece.path[:-1]) for piece in line.text if line.role == "tool" and len(piece.path) > 1]
    answered = [part[key] for part in parts if isinstance(part, Mapping) for key in ("tool_use_id", "call_id") if part.get(key)]
    return {**({"tool_call_id": answered[0]} if answered else {}), **found}


def _call(conversation: Conversation, line: Line, place: int, *, as_text: bool = False) -> dict[str, Any]:
    """A tool call in OpenAI's form, which is left as it is if it has it, but for arguments that must be text."""
    call = conversation.call(line, line.calls[place])
    if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping) and not as_text:
        return dict(call)
    arguments = arguments_of(call) if name_of(call) else call
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    named = next((call[key] for key in ("id", "call_id") if isinstance(call, Mapping) and call.get(key)), None)
    function = {"name": name_of(call) or "", "arguments": text if as_text else arguments}
    return {"type": "function", **({"id": named} if named else {}), "function": function}


def _response(conversation: Conversation, line: Line, thoughts: Mapping[int, str], tags: Frame | None) -> str:
    said = conversation.said(line)
    if not line.thinking:
        return said
    cot = thoughts.get(line.number, conversation.cot(line.number))
    return (tags or tags_of_turn(conversation, line)).join(cot, said.strip("\r\n"))
