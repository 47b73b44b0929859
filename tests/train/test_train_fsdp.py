import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from train_helpers import model_folder, row, steps_of, train_words, write_rows

from asap.cli import run
from asap.lm.specs import model_folder as asap_model_folder

CHANGES = ("per_device_train_batch_size=1", "effective_batch_size=4", "num_train_epochs=2", "learning_rate=1e-3", "warmup_steps=0")
CHANGES += ("lr_scheduler_type=constant", "save_steps=100", "optim=adamw_torch", "weight_decay=0.0")


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [True, False])
def test_two_processes_train_as_one(sharded: bool, tmp_path: Path) -> None:
    """With FSDP2 (gloo) and with plain data parallelism the losses and the weights are those of one process."""
    one, two = both_ways(tmp_path, sharded=sharded, changes=CHANGES)
    first, second = (transformers.AutoModelForCausalLM.from_pretrained(folder) for folder in (one, two))
    for (name, weight), other in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(other, weight, rtol=1e-3, atol=1e-4, msg=name)
    assert not torch.equal(
        first.get_input_embeddings().weight,
        transformers.AutoModelForCausalLM.from_pretrained(model_folder("qwen")).get_input_embeddings().weight,
    )


@pytest.mark.slow
def test_the_bundled_model_is_trained_in_shards(tmp_path: Path) -> None:
    """FSDP2 over two processes (gloo): the losses of one process, and a model that loads and has moved the same way."""
    one, two = both_ways(tmp_path, sharded=True, changes=(*CHANGES, "learning_rate=1e-5"), model="bundled")
    start, first, second = (
        torch.cat([weight.detach().flatten() for weight in transformers.AutoModelForCausalLM.from_pretrained(folder).parameters()])
        for folder in (asap_model_folder("bundled"), one, two)
    )
    moved = (first - start).norm()
    assert moved > 0
    assert (second - first).norm() < 0.05 * moved  # Adam's first steps are signs: where a gradient is near zero they differ


def both_ways(folder: Path, *, sharded: bool, changes: tuple[str, ...], model: str | None = None) -> tuple[Path, Path]:
    """The same run by one process and by two; their losses, tokens and numbers of steps are compared here."""
    source = write_rows(folder / "rows.jsonl", [row(number, lines=1 + number % 4) for number in range(8)])
    one, two = folder / "one", folder / "two"
    assert run(train_words(source, one, changes=changes, model=model)) == 0
    script = [str(Path(__file__).parent / "fsdp_worker.py"), "sharded" if sharded else "whole"]
    own_state = ("accelerator_config={use_configured_state: true}",) if sharded else ()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29511", *script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    words = train_words(source, two, changes=(*changes, *own_state), model=model)
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("sharded") == (4 if sharded else 0)
    assert re.findall("process . encodes", done.stdout) == ["process 0 encodes"]
    assert len(steps_of(two)) == 4
    assert [step["loss"] for step in steps_of(two)] == pytest.approx([step["loss"] for step in steps_of(one)], rel=1e-4)
    assert [step["tokens"] for step in steps_of(two)] == [step["tokens"] for step in steps_of(one)]
    assert json.loads((two / "manifest.json").read_text())["processes"] == 2
    return one, two


@pytest.mark.slow
def test_rows_that_are_repeated_to_fill_the_last_step_are_told(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    changes = ("per_device_train_batch_size=1", "effective_batch_size=2", "num_train_epochs=1")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29512", "-m", "asap"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    words = train_words(source, tmp_path / "out", changes=changes)
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("note: the last step of an epoch repeats 1 of its first sequences") == 1
    tokens = [json.loads(line)["tokens"] for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert sum(step["tokens"] for step in steps_of(tmp_path / "out")) in [sum(tokens) + one for one in tokens]


@pytest.mark.slow
def test_launch_runs_the_same_command_under_accelerate(tmp_path: Path) -> None:
    source, config = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)]), tmp_path / "one.yaml"
    settings = (
        "compute_environment: LOCAL_MACHINE",
        "distributed_type: 'NO'",
        "mixed_precision: bf16",
        "num_processes: 1",
        "use_cpu: true",
    )
    config.write_text("\n".join(settings) + "\n")  # on CPUs accelerate starts several processes with MPI only
    words = train_words(source, tmp_path / "out", "--launch", str(config), changes=("max_steps=1", "effective_batch_size=4"))
    done = subprocess.run([sys.executable, "-m", "asap", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(steps_of(tmp_path / "out")) == 1
    refused = subprocess.run([sys.executable, "-m", "asap", *words, "--set", "seed=1"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "other settings" in refused.stderr
