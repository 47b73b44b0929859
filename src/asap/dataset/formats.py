"""Formats: turns a Sample into a row for a training tool. `to_sample` can read every format back.

The row's other columns (`Sample.meta`) stand beside those of the format (`asap.dataset.columns`). A sample without a trace, which passes
through, is written with its response as it stands.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from asap.conversation import Conversation
from asap.dataset.columns import beside
from asap.errors import UsageError
from asap.sample import Sample

RENDERED_BY_TOOLS = ("trl", "axolotl", "sharegpt", "verl", "rllm")
"""The formats whose chat messages the training tool renders with the model's chat template; LLaMA-Factory has templates of its own."""
MAY_LOSE_THINKING = (
    "chat messages, which the training tool renders with the model's chat template, and many templates drop thinking: DeepSeek's and "
    "R1-Distill's all of it, Qwen3's, GLM's and Nemotron's that of earlier turns, most others the reasoning_content of axolotl rows. "
    "--format-model MODEL writes the text itself"
)
"""What rows of these formats hold, and what to know of it."""
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
    answer = {"role": "assistant", "reasoning_content": sample.cot, "content": sample.answer} if sample.cot else sample.messages[-1]
    return {"messages": [*sample.prompt, answer]}


def llamafactory_row(sample: Sample) -> dict[str, Any]:
    """An alpaca row for LLaMA-Factory."""
    # always includes system: LLaMA-Factory fails on a column that dataset_info names and no row has
    return {"instruction": sample.question, "input": "", "output": sample.response, "system": sample.system or ""}


def sharegpt_row(sample: Sample) -> dict[str, Any]:
    """A ShareGPT conversation."""
    turns = [{"from": _SHAREGPT_ROLES[message["role"]], "value": message["content"]} for message in sample.messages]
    return {"conversations": turns}


def verl_row(sample: Sample) -> dict[str, Any]:
    """Chat messages of which the response is learnt, for verl's multi-turn data set."""
    return {"messages": [{**message, "trainable": message["role"] == "assistant"} for message in sample.messages]}


def rllm_row(sample: Sample) -> dict[str, Any]:
    """The same for rllm, with thinking and text as parts."""
    prompt = [{**message, "content": [{"type": "text", "text": message["content"]}], "trainable": False} for message in sample.prompt]
    text = {"type": "text", "text": sample.answer if sample.cot else sample.response}
    parts = [{"type": "thinking", "thinking": sample.cot}, text] if sample.cot else [text]
    return {"messages": [*prompt, {"role": "assistant", "content": parts, "trainable": True}]}


FORMATS: Mapping[str, Callable[[Sample], dict[str, Any]]] = {
    "trl": trl_row,
    "axolotl": axolotl_row,
    "llamafactory": llamafactory_row,
    "sharegpt": sharegpt_row,
    "verl": verl_row,
    "rllm": rllm_row,
}
_AMONG: Mapping[str, Callable[[Sample], dict[str, Any]]] = {
    "trl": lambda sample: {"messages": sample.messages},
    "llamafactory": lambda sample: {**llamafactory_row(sample), "history": []},
}
"""The rows that stand among those of conversations, where these have other columns."""


def format_of(name: str | None, *, among_conversations: bool = False) -> Callable[[Sample], dict[str, Any]]:
    """The function that makes rows of the named format, with the other columns; None means the rows of pruned.jsonl."""
    if name is not None and name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; allowed: {', '.join(FORMATS)}")
    if name is None:
        return lambda sample: beside(pruned_row(sample), sample.meta)
    own = _AMONG.get(name, FORMATS[name]) if among_conversations else FORMATS[name]
    return lambda sample: beside(own(sample), sample.meta, MEANT)


def conversation_row(conversation: Conversation, thoughts: Mapping[int, str]) -> dict[str, Any]:
    """The row of pruned.jsonl of a conversation: as it came, with other thinking in some turns, by the numbers of their messages."""
    row = conversation.with_thinking(thoughts)
    odd = {"id": row["id"]} if "id" in conversation.others else {}
    return beside({"id": conversation.id, **{name: value for name, value in row.items() if name != "id"}}, odd)


def dataset_info(file_name: str, *, with_history: bool = False) -> dict[str, Any]:
    """The entry in LLaMA-Factory's dataset_info.json for a file in the format `llamafactory`, named after the file's stem."""
    columns = {"prompt": "instruction", "query": "input", "response": "output", "system": "system"}
    columns |= {"history": "history"} if with_history else {}
    return {PurePath(file_name).stem: {"file_name": file_name, "columns": columns}}
