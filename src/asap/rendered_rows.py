"""Training rows rendered for a named model (`--format-model`): the text that `asap train` learns, so no template can drop thinking.

A row is a pair of texts: what the model reads, and what it learns, from the think tag to the end-of-sequence token. A conversation is one
pair for each turn that carries the loss, after what the model's own template shows before it. Each pair is encoded first, and what training
would reject (a token that ends the text early, a row that the template refuses) is an error instead of a row.

What this does not do: write chat messages, which the tool that trains renders itself (`asap.dataset.formats`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from asap.conversation import Conversation, TurnOf
from asap.dataset.columns import beside
from asap.dataset.formats import MEANT
from asap.dataset.row_rules import RowRules
from asap.dataset.turn_formats import TrainTurns, trained
from asap.errors import RowError, UsageError
from asap.lm.specs import load_tokens
from asap.lm.training_rows import encode_rows
from asap.lm.training_template import TrainingTemplate
from asap.sample import Sample
from asap.think_tags import Frame

_UNTAGGED = Frame("", "")
_TRIED = Sample("tried", "What is 2 + 2?", "Two and two are counted.\n\nThat makes four.", "It is 4.")


class Pair(NamedTuple):
    """What a model reads and what it learns, and the other columns of the row that they are of."""

    prompt: str
    completion: str
    others: Mapping[str, Any]


def _trl(template: TrainingTemplate, pair: Pair) -> dict[str, Any]:
    """TRL's prompt and completion as text. Its tokenizer adds the BOS."""
    bos = template.tokens.hf.bos_token if template.tokens.bos_id is not None else ""
    return {"prompt": pair.prompt.removeprefix(bos), "completion": pair.completion}


def _axolotl(template: TrainingTemplate, pair: Pair) -> dict[str, Any]:
    """Segments for axolotl's `input_output`."""
    return {"segments": [{"label": False, "text": template.with_bos(pair.prompt)}, {"label": True, "text": pair.completion}]}


def _llamafactory(template: TrainingTemplate, pair: Pair) -> dict[str, Any]:
    """An alpaca row for LLaMA-Factory's template `empty`."""
    return {"instruction": template.with_bos(pair.prompt), "input": "", "output": pair.completion, "system": ""}


def _verl(template: TrainingTemplate, pair: Pair) -> dict[str, Any]:
    """Messages for verl, with a chat template that only joins them (docs/train.md)."""
    asked, learnt = {"role": "user", "content": template.with_bos(pair.prompt)}, {"role": "assistant", "content": pair.completion}
    return {"messages": [asked, learnt]}


RENDERED: Mapping[str, Callable[[TrainingTemplate, Pair], dict[str, Any]]] = {
    "trl": _trl,
    "axolotl": _axolotl,
    "llamafactory": _llamafactory,
    "verl": _verl,
}
"""How the formats that can hold rendered text do so."""


def check_rendered(formats: Sequence[str]) -> None:
    """Raise UsageError for formats that cannot be rendered for a model, or if there is none to render."""
    if others := [name for name in formats if name not in RENDERED]:
        raise UsageError(
            f"--format-model: {', '.join(others)} rows are rendered by the tool that reads them, so asap cannot render them for a model; "
            f"write {', '.join(RENDERED)} rows, or leave --format-model out"
        )
    if not formats:
        raise UsageError(f"--format-model needs a --format that can be rendered for a model: {', '.join(RENDERED)}")


def template_of(model: str) -> TrainingTemplate:
    """The training template of a model spec, tried on a row. Raises InputError if rows cannot be rendered with it."""
    if model.startswith("openai:"):
        raise UsageError(
            f"--format-model {model}: a server's chat template cannot be read; name bundled, hf:<hub id or folder> or gguf:<file>"
        )
    template = TrainingTemplate(load_tokens(model))
    [made] = encode_rows(template, [(_TRIED, ())])
    if isinstance(made, RowError):
        raise UsageError(f"--format-model {model} cannot be rendered for: {made.detail}")
    return template


def pairs_of(
    template: TrainingTemplate, whole: Sample | Conversation, thoughts: Mapping[int, str], train: TrainTurns, rules: RowRules
) -> Iterator[Pair | RowError]:
    """The texts of a row, of a conversation with other thinking in some turns, or the reasons why training could not take them."""
    turns, others = (
        (_turns(whole, thoughts, train, rules), {name: whole.row[name] for name in whole.others})
        if isinstance(whole, Conversation)
        else ([whole], whole.meta)
    )
    for sample in turns:
        [made] = encode_rows(template, [(sample, ())])
        yield made if isinstance(made, RowError) else Pair(template.prompt(sample), template.completion(sample), others)


def rendered_row(template: TrainingTemplate, format: str, pair: Pair) -> dict[str, Any]:
    """The row of a pair of texts in a format, with the other columns beside."""
    return beside(RENDERED[format](template, pair), pair.others, MEANT)


def _turns(conversation: Conversation, thoughts: Mapping[int, str], train: TrainTurns, rules: RowRules) -> Iterator[Sample]:
    """The turns of a conversation that carry the loss."""
    told = replace(conversation, thoughts=thoughts)
    for number in sorted(trained(conversation, train)):
        sample = Sample.of_turn(TurnOf(told, number))
        yield rules.applied(sample) if sample.cot else replace(sample, frame=_UNTAGGED)
