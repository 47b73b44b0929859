"""How a row becomes training text: the model's own prompt, then `<think>…</think>answer` and the end-of-sequence token.

It never uses a chat template's assistant turn: R1-Distill's deletes the thinking, others change its white space. At inference the
model reads the same text up to `<think>`, so training and serving agree.
"""

import json
import re
from functools import cached_property
from itertools import takewhile
from typing import Any

from asap.digest import content_digest
from asap.errors import InputError
from asap.lm.prompt_style import PromptStyle, default_context, render_context
from asap.lm.tokens import TokenCounter
from asap.sample import Sample
from asap.think_tags import CLOSED, OPENED


def _knows(template: str, word: str) -> bool:
    """Whether a chat template does something with tools, or with messages of their role."""
    return re.search(rf"\b{word}\b", template) is not None


def _as_user(message: dict[str, str]) -> dict[str, str]:
    """A tool's result as a message of the user."""
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}


def _with_one_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages with those of the system at their start as one."""
    system = list(takewhile(lambda message: message["role"] == "system", messages))
    if len(system) < 2:
        return messages
    return [{"role": "system", "content": "\n\n".join(message["content"] for message in system)}, *messages[len(system) :]]


class TrainingTemplate:
    """The training text of one tokenizer. `eos` ends the answer; the model learns to stop with it."""

    def __init__(self, tokens: TokenCounter) -> None:
        if tokens.hf.eos_token is None or tokens.hf.eos_token_id is None:
            raise InputError(f"the tokenizer of {tokens.name} names no eos_token, so the model could not learn where to stop")
        self.tokens = tokens
        self.style = default_context(tokens)
        self.eos: str = tokens.hf.eos_token
        self.eos_id: int = tokens.hf.eos_token_id

    def prompt(self, sample: Sample) -> str:
        """The text before `<think>`. Raises RowError if the chat template refuses the row."""
        return render_context(self.tokens, *self._spoken(sample)).removesuffix(OPENED)

    def _spoken(self, sample: Sample) -> tuple[list[dict[str, str]], PromptStyle, Any]:
        """What stands before a response, as this tokenizer's template can show it: tools and their results as text where it knows none."""
        messages, tools = sample.spoken
        own = self.tokens.hf.chat_template or ""
        if not _knows(own, "tool"):
            messages = [_as_user(message) for message in messages]
        if tools and not _knows(own, "tools"):
            messages, tools = [{"role": "system", "content": f"Tools:\n{json.dumps(tools, ensure_ascii=False)}"}, *messages], None
        return _with_one_system(messages), self.style, tools

    def text(self, prompt: str, sample: Sample) -> str:
        """The whole text of a row, with one end-of-sequence token, which may also be the tag after the answer."""
        return prompt + self.completion(sample)

    def completion(self, sample: Sample) -> str:
        """The text that is learnt."""
        return (sample.response.removesuffix(self.eos) if sample.frame.after else sample.response) + self.eos

    def with_bos(self, prompt: str) -> str:
        """The prompt with the BOS that the tokenizer adds by itself, for tools that add none."""
        bos = self.tokens.hf.bos_token
        return bos + prompt if self.tokens.bos_id is not None and not prompt.startswith(bos) else prompt

    @cached_property
    def hash(self) -> str:
        """A digest of everything that determines a row's text, apart from the row itself."""
        return content_digest(self.style, self.tokens.hf.chat_template, OPENED, CLOSED, self.eos)[:16]
