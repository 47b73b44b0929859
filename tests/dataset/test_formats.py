"""Formats: what a training tool gets, and that every format is read back as the sample it was made from."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asap.dataset import FORMATS, dataset_info, to_sample
from asap.dataset.formats import format_of, pruned_row
from asap.errors import RowError, UsageError
from asap.sample import Sample, make_sample
from asap.think import split_think
from asap.think_tags import closing_tag, tag_at_start

SAMPLE = Sample("r1", "Why?", "Because.\n\nOf this.", "So.", "Be brief.")
RESPONSE = "<think>\nBecause.\n\nOf this.\n</think>\n\nSo."
SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}

_CHARACTERS = st.characters(exclude_categories=["Cs"])
# tags, fences and line ends more often than chance would have them; the trace may hold closing tags, the answer may not,
# since in a text response the trace ends at the last one
_PIECES = ["<think>", "<thinking>", "\n\n", "\r\n", "```", "{", '"', "\\", "\0", "\u2028", "😀", " "]
TRACES = st.lists(st.sampled_from([*_PIECES, "</think>", "</thinking>"]) | st.text(_CHARACTERS, max_size=20), min_size=1).map("".join)
TEXTS = st.lists(st.sampled_from(_PIECES) | st.text(_CHARACTERS, max_size=20), min_size=1).map("".join)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    question, cot, answer = draw(TEXTS.filter(str.strip)), draw(TRACES.filter(str.strip)), draw(TEXTS.filter(str.strip)).strip("\r\n")
    sample = make_sample(question, cot, answer, system=draw(st.none() | TEXTS.filter(bool)))
    assume(_splits(sample))  # a row of which that is not true is refused, see below
    return sample


def _splits(sample: Sample) -> bool:
    try:
        return split_think(sample.response) == (sample.cot, sample.answer)
    except RowError:
        return False


def test_a_trace_that_could_not_be_told_from_its_answer_again_is_refused() -> None:
    row = {"question": "q", "cot": "a</think>```", "answer": "```"}
    with pytest.raises(RowError, match="the trace holds </think>, so trace and answer could not be told apart again"):
        to_sample(row)


@pytest.mark.parametrize("name", [None, *FORMATS])
@given(sample=samples())
def test_every_format_is_read_back_unchanged(name: str | None, sample: Sample) -> None:
    assume(name is None or (tag_at_start(sample.cot), closing_tag(sample.answer)) == (None, None))  # beside a trace: other readings
    line = json.dumps(format_of(name)(sample), ensure_ascii=False)
    line.encode()
    again = to_sample(json.loads(line)).sample
    assert (again.question, again.cot, again.answer, again.system) == (sample.question, sample.cot, sample.answer, sample.system)
    assert again.digest() == sample.digest()


def test_the_row_of_pruned_jsonl() -> None:
    row = pruned_row(SAMPLE)
    assert list(row) == ["id", "question", "cot", "answer", "messages"]
    assert row["messages"] == [SYSTEM, USER, {"role": "assistant", "content": RESPONSE}]


def test_trl_computes_the_loss_on_the_completion_only() -> None:
    assert FORMATS["trl"](SAMPLE) == {"prompt": [SYSTEM, USER], "completion": [{"role": "assistant", "content": RESPONSE}]}


def test_axolotl_has_the_trace_beside_the_answer() -> None:
    answer = {"role": "assistant", "reasoning_content": "Because.\n\nOf this.", "content": "So."}
    assert FORMATS["axolotl"](SAMPLE) == {"messages": [SYSTEM, USER, answer]}


def test_llamafactory_has_alpaca_columns_and_always_a_system_column() -> None:
    row = FORMATS["llamafactory"](SAMPLE)
    assert row == {"instruction": "Why?", "input": "", "output": RESPONSE, "system": "Be brief."}
    assert FORMATS["llamafactory"](Sample("r", "q", "c", "a"))["system"] == ""


def test_sharegpt_names_the_speakers() -> None:
    turns = FORMATS["sharegpt"](SAMPLE)["conversations"]
    assert [turn["from"] for turn in turns] == ["system", "human", "gpt"]
    assert turns[2]["value"] == RESPONSE


def test_dataset_info_names_only_columns_that_the_rows_have() -> None:
    info = dataset_info("out/llamafactory.jsonl")
    assert list(info) == ["llamafactory"]
    assert info["llamafactory"]["file_name"] == "out/llamafactory.jsonl"
    assert set(info["llamafactory"]["columns"].values()) == FORMATS["llamafactory"](SAMPLE).keys()


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'parquet'; allowed: trl, axolotl, llamafactory, sharegpt"):
        format_of("parquet")


def test_an_answer_with_a_trace_of_its_own_is_not_taken_over() -> None:
    row = FORMATS["axolotl"](Sample("r", "q", "c", "<think>d</think>a"))
    with pytest.raises(RowError, match="two_traces"):
        to_sample(row)
