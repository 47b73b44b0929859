"""A request's prompt as token ids, in the model's own chat template."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jinja2

from asap.lm.generate import RequestRefused
from asap.lm.tokens import TokenCounter
from asap.think_tags import opened_by


class Prompt(NamedTuple):
    """Token ids that a model reads. `opened`: the tag of a thought that they open at their end; empty without one."""

    ids: list[int]
    opened: str


def render_prompt(tokens: TokenCounter, messages: Sequence[Mapping[str, str]]) -> Prompt:
    """The messages in the model's template, with exactly one BOS where the model wants one. Raises RequestRefused if it refuses them."""
    try:
        text = str(tokens.hf.apply_chat_template([dict(message) for message in messages], add_generation_prompt=True, tokenize=False))
    except jinja2.TemplateError as error:  # some templates refuse a system message
        raise RequestRefused("bad_request", f"the chat template of {tokens.name} refuses the prompt: {error}") from error
    ids = tokens.input_ids(text)
    while tokens.bos_id is not None and ids[1:2] == [tokens.bos_id]:  # a template that wrote it too
        del ids[1]
    return Prompt(ids, opened_by(text))
