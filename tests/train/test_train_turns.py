"""Training on conversations: a row for each turn that thinks, with what its chat template shows before it and the loss on that turn."""

import json
from pathlib import Path
from typing import Any

import pytest
from train_helpers import FAST, encode_row, model_folder, template

from agent_rows import ASKED, CALL, CHECK, PLAN, RESULT, ROWS, SAID_12, TOOLS, thinks, user
from asap.cli import run
from asap.dataset import Shaped
from asap.dataset.conversations import turns_of
from asap.dataset.row_rules import RowRules
from asap.lm.training_rows import stretches
from asap.sample import Sample

CALLED = '<tool_call>\n{"name": "wc", "arguments": {"path": "notes.txt"}}\n</tool_call>'
AGENT = {"id": "a", "messages": [user(), {"role": "assistant", "content": thinks(PLAN, ""), "tool_calls": CALL}, RESULT, SAID_12]}


def samples(row: dict[str, Any]) -> list[Sample]:
    return [found.sample for found in turns_of(row, None, RowRules()) or [] if isinstance(found, Shaped)]


def texts(family: str, row: dict[str, Any]) -> list[tuple[str, str]]:
    """What is read and what is learnt of each turn."""
    found = []
    for sample in samples(row):
        pieces = list(stretches(template(family), encode_row(template(family), sample)))
        assert [learnt for learnt, _ in pieces] == [False, True]
        found.append((pieces[0][1], pieces[1][1]))
    return found


def test_each_turn_is_learnt_after_what_its_model_reads() -> None:
    """A template that knows no tools: their calls and results are text."""
    first, second = texts("smol", AGENT)
    asked = f"<|im_start|>user\n{ASKED}<|im_end|>\n"
    assert first == (f"{asked}<|im_start|>assistant\n", f"{thinks(PLAN, CALLED)}<|im_end|>")
    called = f"<|im_start|>assistant\n{thinks(PLAN, CALLED)}<|im_end|>\n"
    result = "<|im_start|>user\n<tool_response>\n12\n</tool_response><|im_end|>\n"
    assert second == (f"{asked}{called}{result}<|im_start|>assistant\n", f"{thinks(CHECK, 'It has 12 lines.')}<|im_end|>")


def test_tools_are_told_in_the_system_message_where_the_template_knows_none() -> None:
    [first, _] = texts("smol", {**AGENT, "tools": TOOLS, "messages": [{"role": "system", "content": "Be brief."}, *AGENT["messages"]]})
    assert first[0].startswith(f"<|im_start|>system\nTools:\n{json.dumps(TOOLS)}\n\nBe brief.<|im_end|>\n")


def test_the_template_gets_tools_and_their_results_if_it_knows_them() -> None:
    made = template("smol")
    own = made.tokens.hf.chat_template
    try:
        made.tokens.hf.chat_template = "{% if tools %}TOOLS {{ tools | tojson }}\n{% endif %}{# tool #}" + own
        first, second = texts("smol", {**AGENT, "tools": json.dumps(TOOLS)})
    finally:
        made.tokens.hf.chat_template = own
    assert first[0].startswith("TOOLS [{")
    assert "<|im_start|>tool\n12<|im_end|>\n" in second[0]


@pytest.mark.parametrize("emit", ["trl", "axolotl", "llamafactory"])
def test_other_tools_get_the_same_texts(emit: str, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps(AGENT) + "\n", "utf-8")
    settings = [word for value in FAST for word in ("--set", value)]
    words = ["train", str(source), "--model", f"hf:{model_folder('smol')}", "--out", str(tmp_path / "out"), "--emit-config", emit]
    assert run([*words, *settings]) == 0
    written = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text("utf-8").splitlines()]
    for row, (prompt, learnt) in zip(written, texts("smol", AGENT), strict=True):
        if emit == "axolotl":
            assert [segment["text"] for segment in row["segments"]] == [prompt, learnt]
        elif emit == "trl":
            assert (row["prompt"], row["completion"]) == (prompt, learnt)
        else:
            assert (row["instruction"], row["output"]) == (prompt, learnt)


def test_a_run_learns_the_turns_of_pruned_conversations(tmp_path: Path) -> None:
    """From an output folder, with the turn left out that its row excludes; also with the full traces masked."""
    excluded = {"id": "b", "messages": [user(), {**SAID_12, "train": False}, user(), {**SAID_12, "train": True}]}
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in (AGENT, excluded, ROWS["sharegpt"])), "utf-8")
    assert run(["prune", str(source), "--out", str(tmp_path / "out"), "--method", "keep-tail", "--ratio", "0.5"]) == 0
    settings = [word for value in (*FAST, "max_steps=1") for word in ("--set", value)]
    for name, masked in (("short", []), ("masked", ["--mask-pruned"])):
        out = tmp_path / name
        assert run(["train", str(tmp_path / "out"), "--model", f"hf:{model_folder('smol')}", "--out", str(out), *masked, *settings]) == 0
        rows = [json.loads(line)["id"] for line in (out / "rows.jsonl").read_text("utf-8").splitlines()]
        assert (rows[:3], len(rows)) == (["a@1", "a@3", "b@3"], 5)
        [rejected] = [json.loads(line) for line in (out / "rejected.jsonl").read_text("utf-8").splitlines()]
        assert (rejected["id"], rejected["reason"]) == ("b@1", "not_trained")


@pytest.mark.parametrize(("written", "tag"), [(None, "<thinking>"), ("keep", "<thinking>"), ("magistral", "[THINK]\n")])
def test_turns_are_learnt_in_the_tags_that_they_are_written_in(written: str | None, tag: str) -> None:
    said = {"role": "assistant", "content": f"<thinking>{CHECK}</thinking>12"}
    rules = RowRules(write_tags=written)
    found = turns_of({"messages": [user(), said, user(), said]}, None, rules) or []
    for sample in (one.sample for one in found if isinstance(one, Shaped)):
        assert rules.applied(sample).response.startswith(f"{tag}{CHECK}")
