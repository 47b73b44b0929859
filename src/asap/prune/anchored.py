"""The prompt that shows the answer beside the question. A step that is likelier after it serves the answer."""

from functools import cache
from importlib.resources import files

from asap.sample import Sample


@cache
def align_prompt() -> str:
    """The text of the prompt, with the placeholders {question} and {anchor}."""
    return files("asap.prune").joinpath("anchored.txt").read_text(encoding="utf-8").rstrip("\n")


def anchored_prompt(sample: Sample) -> list[dict[str, str]]:
    """The chat messages before the response, with the answer shown beside the question."""
    *before, question = sample.prompt
    before_question, after_question = align_prompt().split("{question}")
    before_anchor, after_anchor = after_question.split("{anchor}")
    shown = before_question + question["content"] + before_anchor + sample.answer + after_anchor
    return [*before, {**question, "content": shown}]
