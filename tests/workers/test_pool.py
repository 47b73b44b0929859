"""`--devices cpu,cpu`: processes that are killed, by a row or from outside, cost no row but the poisonous one, and leave nothing behind."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from workers_helpers import (
    check_that_a_killed_one_costs_nothing,
    detail_of_the_only_missing_row,
    gated_words,
    is_gone,
    method_folder,
    poisoned_rows,
    running,
    wait_for,
    workers_seen,
)

from asap.errors import UsageError
from asap.workers.devices import devices_of, threads_each
from run_fixtures import count_decisions, model_folder, prune, prune_words, read_rows, refusal, row, same_output, write_rows

POOL = ("--devices", "cpu,cpu")


@pytest.mark.parametrize(
    ("exits", "how"), [("", "killed by SIGKILL"), pytest.param("1", "BaseException: end", marks=pytest.mark.slow)], ids=["killed", "error"]
)
def test_a_row_that_kills_its_process_twice_is_rejected_and_all_others_are_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exits: str, how: str
) -> None:
    monkeypatch.setenv("ASAP_TESTS_EXIT", exits)
    source = poisoned_rows(tmp_path / "rows.jsonl")
    monkeypatch.syspath_prepend(str(method_folder(tmp_path / "code")))
    monkeypatch.setenv("ASAP_TESTS_SPARE", str(os.getpid()))  # poison does no harm in this process
    whole = prune(source, tmp_path / "whole", "--method", "deadly:deadly", "--device", "cpu")
    out = prune(source, tmp_path / "out", "--method", "deadly:deadly", *POOL)
    assert f"died twice ({how}" in detail_of_the_only_missing_row(whole, out)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--method", "random"], ["--method", "selective-context", "--phrases", "regex"]])
def test_two_processes_write_what_one_writes(tmp_path: Path, options: list[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*(row(number % 25) for number in range(40)), "no JSON", {"id": "no columns"}])
    same_output(prune(source, tmp_path / "one", *options), prune(source, tmp_path / "two", *POOL, *options))


@pytest.mark.slow
def test_rows_far_larger_than_a_pipe_hold_nobody_up(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=5000) for number in range(10)])
    assert source.stat().st_size > 10 * 100_000
    same_output(*(prune(source, tmp_path / f"out{devices}", "--method", "random", "--devices", devices) for devices in ("cpu", "cpu,cpu")))


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_costs_nothing(tmp_path: Path) -> None:
    check_that_a_killed_one_costs_nothing(tmp_path, write_rows(tmp_path / "rows.jsonl", map(row, range(60))), POOL)


@pytest.mark.slow
@pytest.mark.parametrize("signal_sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_leaves_no_worker_and_goes_on_later(tmp_path: Path, signal_sent: signal.Signals) -> None:
    source, code, out = write_rows(tmp_path / "rows.jsonl", map(row, range(60))), method_folder(tmp_path / "code"), tmp_path / "out"
    words = gated_words(source, out, *POOL)
    with running(words, code, wanted=99) as process:
        wait_for(lambda: len(workers_seen(code)) == 2, process)
        os.kill(process.pid, signal_sent)
        _, said = process.communicate()
    assert process.returncode == (130 if signal_sent == signal.SIGINT else -signal_sent)
    assert "Traceback" not in said
    while not all(map(is_gone, workers_seen(code))):  # how long that takes is the machine's affair
        time.sleep(0.05)
    done = count_decisions(out)
    with running(words, code, wanted=0) as process:
        _, said = process.communicate()
    assert process.returncode == 0
    assert f"{60 - done} traces to score" in said
    assert len(read_rows(out / "pruned.jsonl")) == 60


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_the_run_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(model_folder(), tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"no weights")
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    said = refusal(capsys, *prune_words(source, tmp_path / "out", "--scorer", f"hf:{folder}", *POOL), lines=None)
    assert f"{folder} cannot be loaded as a causal language model" in said


def test_devices_are_a_list() -> None:
    assert devices_of("cpu, cpu") == ["cpu", "cpu"]
    assert devices_of("auto", needs_model=False) == ["cpu"]
    assert devices_of("auto") == [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
    for wrong in ("abacus", "cpu,,cpu", "cuda:9999", "cuda:x", ""):
        with pytest.raises(UsageError, match=r"use auto, cpu, cuda, cuda:N or mps"):
            devices_of(wrong)


def test_processes_share_the_processor() -> None:
    torch.set_num_threads(4)
    try:
        assert [threads_each(["cpu"] * number) for number in (1, 2, 3, 9)] == [4, 2, 1, 1]
        assert threads_each(["cuda:0", "cuda:1"]) == 2
    finally:
        torch.set_num_threads(1)


def test_a_file_of_options_may_still_name_one_device(tmp_path: Path) -> None:
    (tmp_path / "asap.yaml").write_text("device: cpu\nratio: 0.5\nmethod: random\n")
    prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out", "--config", str(tmp_path / "asap.yaml"))
