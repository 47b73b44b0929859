"""Formats: turns a Sample into a row for a training tool. `to_sample` can read every format back.

The row's other columns (`Sample.meta`) stand beside those of the format (`asap.dataset.columns`).
"""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from asap.conversation import Conversation
from asap.dataset.columns import beside
from asap.errors import UsageError
from asap.sample import Sample

MEANT = (
    "messages",
    "text",
    "images",
    "input_ids",
    "attention_mask",
    "position_ids",
    "labels",
    "seq_lengths",
    "completion_mask",
    "assistant_masks",
)
"""Columns in which training tools look for something of their own: none of the source's has such a name in a training row."""
_SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}


def pruned_row(sample: Sample) -> dict[str, Any]:
    """The row of pruned.jsonl."""
    return {
        "id": sample.id,
        "question": sample.question,
        "cot": sample.cot,
        "answer": sample.answer,
        "messages": sample.messages,
    }


def trl_row(sample: Sample) -> dict[str, Any]:
    """TRL's conversational prompt-completion row, whose loss covers only the completion."""
    return {"prompt": sample.prompt, "completion": [{"role": "assistant", "content": sample.response}]}


def axolotl_row(sample: Sample) -> dict[str, Any]:
    """Chat messages with the trace beside the answer, for axolotl's `chat_template`."""
    answer = {"role": "assistant", "reasoning_content": sample.cot, "content": sample.answer}
    return {"messages": [*sample.prompt, answer]}


def llamafactory_row(sample: Sample) -> dict[str, Any]:
    """An alpaca row for LLaMA-Factory."""
    # always includes system: LLaMA-Factory fails on a column that dataset_info names and no row has
    return {"instruction": sample.question, "input": "", "output": sample.response, "system": sample.system or ""}


def sharegpt_row(sample: Sample) -> dict[str, Any]:
    """A ShareGPT conversation."""
    turns = [{"from": _SHAREGPT_ROLES[message["role"]], "value": message["content"]} for message in sample.messages]
    return {"conversations": turns}


FORMATS: Mapping[str, Callable[[Sample], dict[str, Any]]] = {
    "trl": trl_row,
    "axolotl": axolotl_row,
    "llamafactory": llamafactory_row,
    "sharegpt": sharegpt_row,
}


def format_of(name: str | None) -> Callable[[Sample], dict[str, Any]]:
    """The function that makes rows of the named format, with the other columns; None means the rows of pruned.jsonl."""
    if name is not None and name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; allowed: {', '.join(FORMATS)}")
    own, taken = (pruned_row, ()) if name is None else (FORMATS[name], MEANT)
    return lambda sample: beside(own(sample), sample.meta, taken)


def conversation_row(conversation: Conversation, thoughts: Mapping[int, str], format: str | None = None) -> dict[str, Any]:
    """The row of a conversation with other thinking in some turns, by the numbers of their messages, in the form that it came in."""
    row = conversation.with_thinking(thoughts)
    return {"id": conversation.id, **{name: value for name, value in row.items() if name != "id"}}


def dataset_info(file_name: str) -> dict[str, Any]:
    """The entry in LLaMA-Factory's dataset_info.json for a file in the format `llamafactory`, named after the file's stem."""
    columns = {"prompt": "instruction", "query": "input", "response": "output", "system": "system"}
    return {PurePath(file_name).stem: {"file_name": file_name, "columns": columns}}
