"""The text before a trace that is scored: the question, then an opened think tag.

`chat` renders the model's own template; `raw` is the question, a line break and `<think>` (the paper's scripts).
"""

from typing import Any, Literal

from asap.digest import content_digest
from asap.errors import RowError, UsageError
from asap.lm.tokens import TokenCounter
from asap.think_tags import OPENED, unopened

PromptStyle = Literal["chat", "raw"]


def default_context(tokens: TokenCounter) -> PromptStyle:
    """`chat` where the tokenizer has a template, `raw` otherwise."""
    return "chat" if tokens.hf.chat_template else "raw"


def render_context(tokens: TokenCounter, prompt: list[dict[str, str]], style: PromptStyle, tools: Any = None) -> str:
    """The text before the trace. `prompt` holds the chat messages before the response, `tools` what a chat template shows of tools."""
    if style == "raw":
        return "\n\n".join(message["content"] for message in prompt) + "\n" + OPENED
    if not tokens.hf.chat_template:
        raise UsageError(f"--context chat needs a chat template and {tokens.name} has none; use --context raw")
    import jinja2

    try:
        rendered = tokens.hf.apply_chat_template(prompt, tools=tools, add_generation_prompt=True, tokenize=False)
    except jinja2.TemplateError as error:  # some templates refuse a system message
        raise RowError("template_failed", f"the chat template of {tokens.name} refuses this row: {error}") from error
    return unopened(str(rendered)) + OPENED


def template_hash(tokens: TokenCounter, style: PromptStyle) -> str | None:
    """Digest of the chat template in use; None for `raw`."""
    return content_digest(tokens.hf.chat_template)[:16] if style == "chat" else None
