"""Rendered chat templates: texts that are meant for a model, where a question or an answer is expected.

A trainer writes its own template around them, so a row with another one inside teaches the wrong text. Such rows are rejected, not mended:
where a template ends and the text begins only its author knows.
"""

import re

from asap.errors import RowError
from asap.think_tags import opened_by

_BEGINNING = re.compile(
    r"\s*(?:<\|(?:im_start|start_header_id|begin_of_text|endoftext|start|user|system|START_OF_TURN_TOKEN)\|>|<｜(?:begin▁of▁sentence|User)｜>"
    r"|(?:<bos>\s*)?<start_of_turn>|(?:<s>\s*)?\[INST\])"
)
_END = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|end_of_text|endoftext|end|return|END_OF_TURN_TOKEN)\|>|<｜end▁of▁sentence｜>|<end_of_turn>|</s>)\s*\Z"
)
_REMEDY = "a chat template is already written into the text; take columns of plain text or of messages, or remove it"


def check_plain(question: str, answer: str) -> None:
    """Raise RowError if a chat template is rendered into the question or the answer."""
    check_beginning("the question", question)
    found = _END.search(answer)
    if found and not (found[0].startswith("</s>") and "<s>" in answer):
        raise RowError("rendered_template", f"the answer ends with {found[0].strip()}: {_REMEDY}")


def check_unopened(question: str) -> None:
    """Raise RowError if a question, whose response begins inside the thinking, ends with the tag that opens it."""
    opening = opened_by(question)
    if opening:
        raise RowError("rendered_template", f"the question ends with {opening}, as a prompt does: {_REMEDY}")


def check_beginning(what: str, value: object) -> None:
    """Raise RowError if a value, which is named, is a text that begins as rendered chats do."""
    if isinstance(value, str) and (found := _BEGINNING.match(value)):
        raise RowError("rendered_template", f"{what} begins with {found[0].strip()}: {_REMEDY}")
