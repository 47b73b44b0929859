"""What `asap train` leaves of a LoRA: an adapter that `asap evaluate` takes, alone or beside the model that it was merged into."""

import json
from pathlib import Path

import pytest
from train_helpers import model_folder, row, train_words, write_rows

from asap.cli import run
from asap.lm.adapter import weights_digest
from run_fixtures import read_rows

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft uses a name that transformers replaced

LORA = ("use_peft=true", "lora_r=4", "lora_alpha=8", "max_steps=4", "effective_batch_size=2", "learning_rate=1e-2", "warmup_steps=0")


def test_greedy_answers_of_an_adapter_are_those_of_the_merged_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, lines=1 + number % 3) for number in range(6)])
    whole, lean = tmp_path / "whole", tmp_path / "lean"
    assert run(train_words(source, whole, changes=LORA)) == 0
    capsys.readouterr()
    assert run(train_words(source, lean, "--adapter-only", changes=LORA)) == 0
    assert f"hf:{lean} is the trained model" in capsys.readouterr().out
    name = "adapter_model.safetensors"
    assert (lean / "adapter" / name).read_bytes() == (whole / "adapter" / name).read_bytes()
    assert not [path.name for path in lean.glob("*") if path.name.startswith(("model", "config", "tokenizer"))]
    assert json.loads((lean / "manifest.json").read_text())["base_weights"] == weights_digest(str(model_folder("qwen")))

    problems = write_rows(tmp_path / "problems.jsonl", [{**row(number), "answer": str(number)} for number in range(5)])
    asked = ["--benchmark", f"maths:{problems}", "--max-new-tokens", "32", "--generate-only", "--dtype", "float32", "--out"]
    for name, model in (("merged", f"hf:{whole}"), ("only", f"hf:{lean}"), ("base", f"hf:{model_folder('qwen')}")):
        assert run(["evaluate", "--model", model, *asked, str(tmp_path / name)]) == 0
    assert run(["evaluate", "--adapter", str(whole), "--adapter", f"also={lean}", *asked, str(tmp_path / "pass")]) == 0
    folders = [tmp_path / name for name in ("merged", "only", "pass/whole", "pass/also", "base")]
    merged, *others, base = ([row["generation"] for row in read_rows(folder / "attempts.jsonl")] for folder in folders)
    assert others == [merged] * 3
    assert base != merged


def test_an_adapter_only_is_of_a_lora(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    assert run(train_words(source, tmp_path / "out", "--adapter-only")) == 2
    assert "--adapter-only is about a LoRA, and this run trains all parameters; add --set use_peft=true" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
