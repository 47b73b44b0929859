import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tokenizers import Tokenizer
from train_helpers import encode_row, model_folder, row, steps_of, template, train_words, write_rows

from asap.cli import run
from asap.dataset import to_sample
from run_fixtures import read_decisions

ROWS = [row(number, lines=1 + number) for number in range(3)]


def emitted(tool: str, family: str, tmp_path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    source, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out"
    assert run(train_words(source, out, "--emit-config", tool, model=f"hf:{model_folder(family)}")) == 0
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text("utf-8").splitlines()]
    return rows, yaml.safe_load((out / f"{tool}.yaml").read_text("utf-8"))


def expected(family: str) -> Iterator[tuple[list[int], list[int]]]:
    for one in ROWS:
        made = encode_row(template(family), to_sample(one).sample)
        yield made.input_ids.tolist(), made.labels.tolist()


def labelled(tokenizer: Tokenizer, read_only: str, learnt: str) -> tuple[list[int], list[int]]:
    before, after = (tokenizer.encode(text, add_special_tokens=False).ids for text in (read_only, learnt))
    return before + after, [-100] * len(before) + after


@pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL's own, about names of transformers
@pytest.mark.parametrize("family", ["r1", "qwen", "llama3"])
def test_trl_makes_the_same_ids_and_labels_of_the_rows(family: str, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from asap.lm.hub import load_causal_lm, load_pretrained

    rows, config = emitted("trl", family, tmp_path)
    assert config["datasets"][0]["data_files"] == str(tmp_path / "out" / "train.jsonl")
    folder = str(model_folder(family))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "trl"), max_length=4096, bf16=False, use_cpu=True, report_to="none", gradient_checkpointing=False
    )
    trainer = SFTTrainer(
        load_causal_lm(folder), arguments, train_dataset=Dataset.from_list(rows), processing_class=load_pretrained("AutoTokenizer", folder)
    )
    made = [(one["input_ids"], one["labels"]) for one in trainer.train_dataset]
    assert made == list(expected(family))


@pytest.mark.parametrize("family", ["r1", "qwen", "llama3"])
def test_axolotl_segments_are_the_same_tokens(family: str, tmp_path: Path) -> None:
    rows, config = emitted("axolotl", family, tmp_path)
    assert config["datasets"][0]["type"] == "input_output"
    assert (config["sequence_len"], config["gradient_accumulation_steps"]) == (4096, 8)
    tokenizer = Tokenizer.from_file(str(model_folder(family) / "tokenizer.json"))
    made = []
    for one in rows:
        before, after = one["segments"]
        assert (before["label"], after["label"]) == (False, True)
        made.append(labelled(tokenizer, before["text"], after["text"]))
    assert made == list(expected(family))


def test_llamafactory_rows_are_the_same_text(tmp_path: Path) -> None:
    rows, config = emitted("llamafactory", "r1", tmp_path)
    assert (config["template"], config["dataset"], config["finetuning_type"]) == ("empty", "train", "full")
    assert json.loads((tmp_path / "out" / "dataset_info.json").read_text())["train"]["file_name"] == "train.jsonl"
    tokenizer = Tokenizer.from_file(str(model_folder("r1") / "tokenizer.json"))
    assert [labelled(tokenizer, one["instruction"], one["output"]) for one in rows] == list(expected("r1"))


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of asap prune in which half of each trace is cut."""
    folder = tmp_path_factory.mktemp("prune")
    source = write_rows(folder / "rows.jsonl", [row(number, lines=6) for number in range(3)])
    assert (
        run(
            [
                "prune",
                str(source),
                "--out",
                str(folder / "half"),
                "--method",
                "keep-head",
                "--ratio",
                "0.5",
                "--scorer",
                f"hf:{model_folder('qwen')}",
            ]
        )
        == 0
    )
    return folder / "half"


def test_pruned_steps_are_context_and_the_loss_counts_only_kept_ones(pruned: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "masked", tmp_path / "plain"
    assert run(train_words(pruned, out, "--mask-pruned", changes=("max_steps=1",))) == 0
    assert run(train_words(pruned, plain, changes=("max_steps=1",))) == 0
    masked, cut = ([json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()] for folder in (out, plain))
    for full, short in zip(masked, cut, strict=True):
        assert full["tokens"] > short["tokens"]  # the pruned steps are still read
        assert abs(full["response_tokens"] - short["response_tokens"]) <= 2  # but for the white space around the cut
    assert "without those of pruned steps" in (out / "README.md").read_text("utf-8")


def test_masked_rows_go_to_axolotl_and_to_trl_as_tokens(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kept steps are learnt, with the think tags and the answer; the others are read."""
    decisions, tokens = read_decisions(pruned), template("qwen").tokens.hf
    originals = {one["id"]: one for one in (row(number, lines=6) for number in range(3))}
    for tool in ("axolotl", "trl"):
        assert run(train_words(pruned, tmp_path / tool, "--mask-pruned", "--emit-config", tool)) == 0
        rows = [json.loads(line) for line in (tmp_path / tool / "train.jsonl").read_text().splitlines()]
        for one, decision in zip(rows, decisions, strict=True):
            original = originals[decision["id"]]
            kept = "\n\n".join(original["cot"][s["start"] : s["end"]] for s in decision["steps"] if s["kept"])
            learnt = tokens.decode([label for label in one["labels"] if label != -100])
            assert "".join(learnt.split()) == "".join(f"<think>{kept}</think>{original['answer']}<|im_end|>".split())
            assert f"<think>\n{original['cot']}\n</think>" in tokens.decode(one["input_ids"])
            assert {a for a, b in zip(one["input_ids"], one["labels"], strict=True) if b not in (a, -100)} == set()
            assert one.get("attention_mask") == ([1] * len(one["input_ids"]) if tool == "axolotl" else None)

    assert run(train_words(pruned, tmp_path / "split", "--mask-pruned", "--emit-config", "trl", "--split", "train")) == 2
    assert "--mask-pruned reads the rows that asap prune stored, so leave --columns, --subset and --split out" in capsys.readouterr().err


def test_llamafactory_cannot_mask(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train_words(pruned, tmp_path / "out", "--mask-pruned", "--emit-config", "llamafactory")) == 2
    assert "LLaMA-Factory lays the loss on whole responses" in capsys.readouterr().err


@pytest.mark.slow
def test_trl_trains_from_the_emitted_config_with_the_losses_of_asap(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, lines=1 + number % 3) for number in range(6)])
    changes = ("max_steps=3", "effective_batch_size=2", "bf16=false", "use_cpu=true", "learning_rate=1e-3", "warmup_steps=0")
    assert run(train_words(source, tmp_path / "asap", changes=changes)) == 0
    assert run(train_words(source, tmp_path / "trl", "--emit-config", "trl", changes=changes)) == 0
    command = [str(Path(sys.executable).parent / "trl"), "sft", "--config", str(tmp_path / "trl" / "trl.yaml")]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    state = json.loads((tmp_path / "trl" / "model" / "checkpoint-3" / "trainer_state.json").read_text())
    losses = [line["loss"] for line in state["log_history"] if "loss" in line]
    assert losses == pytest.approx([step["loss"] for step in steps_of(tmp_path / "asap")], rel=1e-4)
