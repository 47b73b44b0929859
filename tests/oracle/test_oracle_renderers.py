"""`renderers` (Prime Intellect's chat templates as code) as an independent oracle for training text, loss masks and think parsing.

Every difference found is named here: `OWN_FRAMES`, R1's template in `check_one`, and what the tests of parsing say.
"""

import json
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from train_helpers import encode_row, tokenizer_folder
from trainer_environments import renderers_package

from asap.dataset import Shaped, to_sample
from asap.dataset.conversations import turns_of
from asap.dataset.row_rules import RowRules
from asap.errors import RowError
from asap.lm.specs import load_tokens
from asap.lm.training_rows import IGNORED, TrainRow
from asap.lm.training_template import TrainingTemplate
from asap.sample import Sample
from asap.think import split_think
from asap.think_tags import Frame

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples" / "traces.jsonl"
TOOLS = [{"type": "function", "function": {"name": "wc", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}}]
_CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>")
_QWEN = (*_CHATML, "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_CALLS = tuple(
    f"<｜tool▁{name}｜>"
    for name in ("calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep", "outputs▁begin", "outputs▁end", "output▁begin", "output▁end")
)


class Family(NamedTuple):
    """A tiny tokenizer with the special tokens of a real one, the template that TRL ships for it, and what renders it."""

    tokenizer: str
    added: Sequence[str]
    template: str
    renderer: str


FAMILIES: Mapping[str, Family] = {
    "qwen3": Family("qwen", _QWEN, "qwen3", "Qwen3Renderer"),
    "qwen3.5": Family("qwen", (*_QWEN, *_VISION), "qwen3_5_think", "Qwen35Renderer"),
    "nemotron3": Family("qwen", _QWEN, "nemotron_3_nano", "Nemotron3Renderer"),
    "r1": Family("r1", _CALLS, "deepseek_r1_distill", "DeepSeekR1Renderer"),
}
OPENED_BY_THE_PROMPT = {"qwen3.5": "<think>\n", "nemotron3": "<think>\n", "r1": "<think>\n"}
"""What the prompt opens at inference. Both learn it: the row is the same for a serving template that does not open it."""
OWN_FRAMES = {"nemotron3": Frame("<think>\n", "\n</think>\n")}
"""The white space of templates that have another one than asap writes (`</think>` and a blank line, as R1 and Qwen3 do)."""


class Pair(NamedTuple):
    """One tokenizer, and the two that make training rows with it."""

    family: str
    ours: TrainingTemplate
    theirs: Any

    @property
    def build(self) -> Callable[..., Any]:
        import renderers

        return renderers.build_training_sample

    def expected(self, messages: Sequence[Mapping[str, Any]], tools: Any = None) -> tuple[list[int], list[bool]]:
        """The oracle's ids and mask of the last message, up to the last token that is learnt."""
        only_last = [False] * (len(messages) - 1) + [True]
        made = self.build(self.theirs, messages, tools=tools, message_loss_mask=only_last, ensure_final_stop=True)
        end = max(place for place, learnt in enumerate(made.loss_mask) if learnt) + 1
        return list(made.token_ids[:end]), [bool(value) for value in made.loss_mask[:end]]

    def is_same(self, row: TrainRow, messages: Sequence[Mapping[str, Any]], tools: Any = None) -> None:
        """Fail unless a row has the oracle's tokens and mask."""
        ids, mask = self.expected(messages, tools)
        decode = self.ours.tokens.hf.decode
        assert decode(row.input_ids.tolist()) == decode(ids)
        assert row.input_ids.tolist() == ids
        learnt = (row.labels != IGNORED).tolist()
        assert learnt == mask


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    renderers_package()
    import renderers
    import trl

    family = FAMILIES[request.param]
    tokens = load_tokens(f"hf:{tokenizer_folder(family.tokenizer)}")
    known, tokens.hf.unk_token = tokens.hf.get_vocab(), None
    tokens.hf.add_tokens([AddedToken(text, normalized=False, special=True) for text in family.added if text not in known])
    tokens.hf.chat_template = Path(trl.__file__).parent.joinpath("chat_templates", f"{family.template}.jinja").read_text("utf-8")
    return Pair(request.param, TrainingTemplate(tokens), getattr(renderers, family.renderer)(tokens.hf))


def learnt_messages(sample: Sample) -> list[dict[str, Any]]:
    return [*sample.prompt, {"role": "assistant", "reasoning_content": sample.cot, "content": sample.answer}]


def check_one(pair: Pair, sample: Sample) -> None:
    """One exchange. R1's template drops the thinking, and the oracle with it: only what is read is the same there."""
    sample = replace(sample, frame=OWN_FRAMES.get(pair.family, sample.frame))
    row = encode_row(pair.ours, sample)
    if pair.family != "r1":
        pair.is_same(row, learnt_messages(sample))
        return
    ids, mask = pair.expected([*sample.prompt, {"role": "assistant", "content": sample.response}])
    decode = pair.ours.tokens.hf.decode
    assert decode([one for one, learnt in zip(ids, mask, strict=True) if learnt]).strip() == f"{sample.answer}{pair.ours.eos}".strip()
    asked = pair.theirs.render_ids(sample.prompt, add_generation_prompt=True)
    assert row.input_ids[: len(asked)].tolist() == asked
    assert decode(asked).endswith("<think>\n")


def test_examples_are_the_same_tokens_and_masks(pair: Pair) -> None:
    with EXAMPLES.open(encoding="utf-8") as lines:
        samples = [to_sample(json.loads(line)).sample for line in lines]
    assert len(samples) == 12
    for sample in samples:
        check_one(pair, sample)


_WORDS = st.text(st.sampled_from([*string.ascii_letters, *" .,`é{}[]\"\\'/-_1"]), min_size=1, max_size=30)
TEXT = st.lists(_WORDS.map(str.strip).filter(bool), min_size=1, max_size=3).map("\n\n".join)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(question=TEXT, cot=TEXT, answer=TEXT, system=st.none() | TEXT)
def test_one_exchange_is_the_same_tokens_and_mask(pair: Pair, question: str, cot: str, answer: str, system: str | None) -> None:
    check_one(pair, Sample("x", question, cot, answer, system))


def _call(path: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "wc", "arguments": {"path": path}}}


@st.composite
def conversations(draw: st.DrawFn, calls: int) -> list[dict[str, Any]]:
    """User and assistant in turns, with up to so many calls of a tool before each answer."""
    messages = [{"role": "system", "content": draw(TEXT)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(TEXT)})
        for _ in range(draw(st.integers(0, calls))):
            said = {"role": "assistant", "content": draw(TEXT), "tool_calls": [_call(draw(st.sampled_from(["a.txt", "b"])))]}
            messages += [{**said, "reasoning_content": draw(TEXT)}, {"role": "tool", "content": draw(TEXT)}]
        messages.append({"role": "assistant", "content": draw(TEXT), "reasoning_content": draw(TEXT)})
    return messages


@SETTINGS
@given(data=st.data())
def test_each_turn_is_the_same_tokens_and_mask(pair: Pair, data: st.DataObject) -> None:
    """What stands before a turn is what its template shows: thinking since the last user message, tool calls and their results.

    With calls for Qwen3 alone: others write them in a form of their own, and asap writes JSON.
    """
    if pair.family == "r1":
        pytest.skip("R1's template drops all thinking, so that the oracle has no row to compare")
    messages = data.draw(conversations(2 if pair.family == "qwen3" else 0))
    tools = TOOLS if pair.family == "qwen3" and data.draw(st.booleans()) else None
    row = {"id": "c", "messages": messages, **({"tools": tools} if tools else {})}
    found = [one.sample for one in turns_of(row, None, RowRules()) or [] if isinstance(one, Shaped)]
    thinking = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    assert [sample.turn.number for sample in found if sample.turn] == (thinking if len(thinking) > 1 or tools else [])
    for sample, place in zip(found, thinking, strict=False):
        frame = OWN_FRAMES.get(pair.family, sample.frame)
        told = messages[: place + 1]
        if pair.family == "nemotron3":  # of thinking that it is told and drops, its template leaves a line break; asap does not tell it
            told = [*({name: value for name, value in one.items() if name != "reasoning_content"} for one in told[:-1]), told[-1]]
        pair.is_same(encode_row(pair.ours, replace(sample, frame=frame)), told, tools)


def parsed(pair: Pair, sample: Sample, response: str) -> tuple[str | None, str]:
    """What the oracle takes for the thinking and the answer of a response, with the line breaks between them gone."""
    prompt = pair.theirs.render_ids(sample.prompt, add_generation_prompt=True)
    opened = OPENED_BY_THE_PROMPT.get(pair.family, "")
    ids = pair.ours.tokens.encode(response.removeprefix(opened)).ids.tolist()
    found = pair.theirs.parse_response([*ids, pair.ours.eos_id], prompt_ids=prompt)
    return found.reasoning_content and found.reasoning_content.strip("\r\n"), found.content.strip("\r\n")


@SETTINGS
@given(cot=TEXT, answer=TEXT)
@example(cot="It writes </answer> and <tool>.", answer="Done.")
def test_thinking_and_answer_are_told_apart_alike(pair: Pair, cot: str, answer: str) -> None:
    sample = Sample("x", "?", cot, answer)
    assert split_think(sample.response) == (cot, answer)
    reasoning, content = parsed(pair, sample, sample.response)
    assert (str(reasoning).strip(), content.strip()) == (cot.strip(), answer.strip())


def test_examples_are_told_apart_alike(pair: Pair) -> None:
    with EXAMPLES.open(encoding="utf-8") as lines:
        for sample in (to_sample(json.loads(line)).sample for line in lines):
            reasoning, content = parsed(pair, sample, sample.response)
            assert (str(reasoning).strip(), content.strip()) == (sample.cot.strip(), sample.answer.strip())


QUOTED = "The parser looks for `</think>` in the text.\n\nSo I split there."
TWICE = "First thought.\n</think>\n\nA draft.\n\n<think>\nSecond thought."


@pytest.mark.parametrize(
    ("cot", "why"),
    [
        (QUOTED, "a closing tag in inline code is a quotation to asap, and ends the thinking for the oracle"),
        (TWICE, "asap's thinking runs to the last closing tag, so no draft becomes the answer; the oracle's to the first"),
    ],
)
def test_where_the_oracle_ends_the_thinking_earlier(pair: Pair, cot: str, why: str) -> None:
    """Its rule is that of a stream, whose first closing tag is final; asap reads whole texts. Nothing else is told apart otherwise."""
    sample = Sample("x", "?", cot, "Done.")
    assert split_think(sample.response) == (cot, "Done."), why
    reasoning, _ = parsed(pair, sample, sample.response)
    assert cot.startswith(str(reasoning).strip()), why
    assert reasoning != cot


def test_thinking_that_never_ends_has_no_answer(pair: Pair) -> None:
    with pytest.raises(RowError):
        split_think("<think>\nIt goes on.")
    assert parsed(pair, Sample("x", "?", "c", "a"), "<think>\nIt goes on.") == ("It goes on.", "")
