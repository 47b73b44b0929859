"""The texts of a trace on the review page: question, trace and answer; of a turn, the messages before it instead of a question."""

import json
from typing import Any

from asap.conversation import TurnOf
from asap.sample import Sample

_TITLE_CHARACTERS = 160
_MOST_MESSAGES = 50  # shown before a turn


def text_of_trace(sample: Sample, decisions: list[dict[str, Any] | None]) -> dict[str, Any]:
    """The texts of a trace, and what each run decided about its steps."""
    first = decisions[0]
    for other in decisions[1:]:
        if first and other and all(other[name] == first[name] for name in ("start", "end")):
            del other["start"], other["end"]
    texts = {"cot": sample.cot, "answer": sample.answer}
    if sample.turn:
        return {"question": "", "before": _before(sample.turn), **texts, "runs": decisions}
    return {"question": sample.question, **texts, **({"system": sample.system} if sample.system else {}), "runs": decisions}


def size_of(sample: Sample) -> int:
    """How many characters of its texts the page shows."""
    before = sum(len(text) for _, text in _before(sample.turn)) if sample.turn else len(sample.question)
    return before + len(sample.cot) + len(sample.answer)


def title_of(sample: Sample) -> str:
    """The start of the question; of a turn, that of the message before it."""
    text = sample.question
    if sample.turn:
        text = sample.turn.conversation.spoken_before(sample.turn.number, at_most=1).messages[-1]["content"]
    return " ".join(text[: 4 * _TITLE_CHARACTERS].split())[:_TITLE_CHARACTERS]


def _before(turn: TurnOf) -> list[tuple[str, str]]:
    """The roles and texts of what stands before a turn: the tools and the last messages, for a page with all of them grows with the square
    of the turns.
    """
    messages, tools = turn.conversation.spoken_before(turn.number, at_most=_MOST_MESSAGES)
    told = [("tools", json.dumps(tools, indent=2, ensure_ascii=False))] if tools else []
    left_out = turn.conversation.count_before(turn.number) - len(messages)
    if left_out:
        told.append(("earlier", f"{left_out:,} earlier messages are not on this page"))
    return [*told, *((message["role"], message["content"]) for message in messages)]
