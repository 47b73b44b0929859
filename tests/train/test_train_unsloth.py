import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import transformers
from train_helpers import model_folder, row, steps_of, train_words, write_rows

from asap.cli import run
from asap.errors import InputError
from asap.install import install_command
from asap.lm.training_rows import TrainRow
from asap.train.unsloth import check_unchanged

SOME = ("max_steps=4", "effective_batch_size=4", "learning_rate=1e-3", "lr_scheduler_type=constant", "warmup_steps=0", "save_steps=2")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number, lines=1 + number % 3) for number in range(8)])


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(words) == 2
    [message] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("asap: ")]
    return message


def pretend(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name whose import ends as it does on machines that this one is not."""
    monkeypatch.delitem(sys.modules, "unsloth", raising=False)
    (tmp_path / "site" / "unsloth").mkdir(parents=True)
    (tmp_path / "site" / "unsloth" / "__init__.py").write_text(body, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def test_where_it_is_not_installed_the_line_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "unsloth", None)
    message = said(train_words("not-read.jsonl", tmp_path / "out", "--backend", "unsloth"), capsys)
    assert f"{install_command('unsloth')} in an environment of its own" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise NotImplementedError('no\\n accelerator, you need a GPU')", "cannot train on this machine: no accelerator, you need a GPU"),
        ("import a_package_that_is_gone", "cannot be imported (No module named 'a_package_that_is_gone'); install it with: pip install"),
    ],
)
def test_where_it_cannot_start_one_sentence_says_why(
    body: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(tmp_path, body, monkeypatch)
    assert expected in said(train_words("not-read.jsonl", tmp_path / "out", "--backend", "unsloth"), capsys)
    assert not (tmp_path / "out").exists()


def test_nothing_that_it_changes_is_imported_before_it() -> None:
    code = "import sys, asap.cli.train, asap.train.unsloth; sys.exit(str({'trl', 'transformers', 'peft'} & set(sys.modules) or ''))"
    told = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert told.stderr.strip() == ""


def test_it_trains_in_one_process_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = train_words("not-read.jsonl", tmp_path / "out", "--backend", "unsloth")
    assert "trains in one process" in said([*words, "--launch", "1x24gb"], capsys)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "trains in one process" in said(words, capsys)


def test_a_run_does_not_go_on_with_another_backend(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, changes = tmp_path / "out", ("max_steps=1",)
    assert run(train_words(source, out, changes=changes)) == 0
    settings = json.loads((out / "settings.json").read_text("utf-8"))
    assert settings["backend"] == "trl"
    (out / "settings.json").write_text(json.dumps({**settings, "backend": "unsloth"}), "utf-8")
    assert "backend is unsloth there and trl here" in said(train_words(source, out, changes=changes), capsys)


ROWS = [TrainRow(str(n), np.arange(n + 3, dtype=np.int32), np.array([-100, *range(1, n + 3)], np.int32), False) for n in range(3)]
ASKED = {"learning_rate": 1e-4, "optim": "adamw_torch_fused", "packing": False, "bf16": True, "padding_free": False}


def held(change: Callable[[list[dict[str, Any]], dict[str, Any]], object]) -> Any:
    """A trainer's arguments and rows after a change."""
    from datasets import Dataset

    rows = [{"input_ids": one.input_ids.tolist(), "labels": one.labels.tolist()} for one in ROWS]
    used = ASKED | {"optim": transformers.training_args.OptimizerNames.ADAMW_TORCH_FUSED} | dict.fromkeys(("seed", "max_steps"), 1)
    change(rows, used)
    names = ("lr_scheduler_type", "warmup_steps", "num_train_epochs", "weight_decay", "max_grad_norm", "per_device_train_batch_size")
    return SimpleNamespace(args=SimpleNamespace(**dict.fromkeys(names), **used), train_dataset=Dataset.from_list(rows))


def test_what_is_as_it_was_asked_for_is_let_through() -> None:
    check_unchanged(held(lambda rows, used: None), ASKED, ROWS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows, used: used.update(packing=True), "packing=True where False is asked for"),
        (lambda rows, used: used.update(optim="adamw_8bit"), "optim=adamw_8bit where adamw_torch_fused is asked for"),
        (lambda rows, used: used.update(bf16=False), "bf16=False where True is asked for"),
        (lambda rows, used: rows.pop(), "changed the rows"),
        (lambda rows, used: rows[2]["input_ids"].pop(), "changed the rows"),
        (lambda rows, used: rows[0]["labels"].__setitem__(0, 0), "changed the rows"),
        (lambda rows, used: rows.reverse(), "changed the rows"),
    ],
)
def test_what_was_changed_is_refused(change: Callable[[list[dict[str, Any]], dict[str, Any]], object], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        check_unchanged(held(change), ASKED, ROWS)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_models_own_loss_must_take_the_number_of_response_tokens(counts: bool, tmp_path: Path) -> None:
    from datasets import Dataset

    from asap.train.fit import _arguments
    from asap.train.trainer import ResponseTrainer

    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder("qwen"))
    model.accepts_loss_kwargs = counts
    options = {
        "model": model,
        "args": _arguments({"report_to": "none", "per_device_train_batch_size": 1}, tmp_path, 2),
        "train_dataset": Dataset.from_list([{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}]),
        "processing_class": transformers.AutoTokenizer.from_pretrained(model_folder("qwen")),
        "models_loss": True,
    }
    if not counts:
        with pytest.raises(InputError, match="does not divide by the response tokens of the whole batch"):
            ResponseTrainer(**options)
    else:
        assert not ResponseTrainer(**options).own_head


@pytest.fixture
def unsloth() -> Callable[[list[str]], None]:
    """Runs `asap` in a process of its own, as importing unsloth changes TRL and transformers."""
    if importlib.util.find_spec("unsloth") is None:
        pytest.skip("unsloth is not installed; it has an environment of its own, see docs/train.md")
    tried = subprocess.run([sys.executable, "-c", "import unsloth"], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"unsloth cannot train on this machine: {tried.stderr.splitlines()[-1]}")

    def asap(words: list[str]) -> None:
        subprocess.run([sys.executable, "-m", "asap", *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    return asap


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
def test_unsloth_has_the_losses_of_eq_3_and_goes_on(lora: bool, source: Path, tmp_path: Path, unsloth: Callable[[list[str]], None]) -> None:
    changes = (*SOME, f"use_peft={str(lora).lower()}", "gradient_checkpointing=true", "lora_r=4")
    assert run(train_words(source, tmp_path / "trl", changes=changes)) == 0
    expected = [step["loss"] for step in steps_of(tmp_path / "trl")]
    assert len(expected) == 4
    for at_once in (1, 4):
        out = tmp_path / f"unsloth-{at_once}"
        words = train_words(source, out, "--backend", "unsloth", changes=(*changes, f"per_device_train_batch_size={at_once}"))
        unsloth(words)
        assert [step["loss"] for step in steps_of(out)] == pytest.approx(expected, rel=1e-3)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["settings"]["backend"] == "unsloth"
    assert manifest["versions"]["unsloth"][0].isdigit()
    assert f"unsloth {manifest['versions']['unsloth']}" in (out / "README.md").read_text("utf-8")

    whole, weights = steps_of(out), (out / "model.safetensors").read_bytes()
    (out / "manifest.json").unlink()
    shutil.rmtree(out / "checkpoint-4")
    unsloth(words)
    keys = ("step", "loss", "grad_norm", "learning_rate", "tokens")
    assert [[step[key] for key in keys] for step in steps_of(out)] == [[step[key] for key in keys] for step in whole]
    assert (out / "model.safetensors").read_bytes() == weights
