"""`--engine ray` on a real Ray: the bytes of one process, whatever dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workers_helpers import (
    check_that_a_killed_one_costs_nothing,
    detail_of_the_only_missing_row,
    environment,
    gated_words,
    is_gone,
    method_folder,
    poisoned_rows,
    running,
    wait_for,
    workers_seen,
)

from asap.errors import UsageError
from asap.install import install_command
from asap.workers.ray_actors import Shares, shares_of
from run_fixtures import count_decisions, prune, prune_words, read_rows, refusal, row, same_output, write_rows

RAY = ("--engine", "ray", "--devices", "cpu,cpu")


@pytest.mark.usefixtures("own_ray")
def test_an_actor_writes_what_this_process_writes(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*map(row, range(5)), row(1), "no JSON"])
    with running(prune_words(source, tmp_path / "ray", "--engine", "ray", "--devices", "cpu"), tmp_path, wanted=0) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert "deciding in 1 Ray actor on cpu" in said
    same_output(prune(source, tmp_path / "whole"), tmp_path / "ray")


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
def test_a_row_that_kills_its_actor_twice_is_rejected_and_all_others_are_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, code = poisoned_rows(tmp_path / "rows.jsonl"), method_folder(tmp_path / "code")
    with running(prune_words(source, tmp_path / "out", "--method", "deadly:deadly", *RAY), code, wanted=0) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert "deciding in 2 Ray actors on cpu" in said
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.setenv("ASAP_TESTS_SPARE", str(os.getpid()))  # poison does no harm in this process
    whole = prune(source, tmp_path / "whole", "--method", "deadly:deadly")
    detail_of_the_only_missing_row(whole, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
def test_a_killed_actor_costs_nothing_and_the_bytes_are_those_of_one_process(tmp_path: Path) -> None:
    rows = [*(row(number % 25) for number in range(40)), "no JSON"]
    check_that_a_killed_one_costs_nothing(tmp_path, write_rows(tmp_path / "rows.jsonl", rows), RAY)


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
@pytest.mark.parametrize("signal_sent", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_takes_its_ray_along_and_goes_on_later(tmp_path: Path, signal_sent: signal.Signals) -> None:
    source, code, out = write_rows(tmp_path / "rows.jsonl", map(row, range(40))), method_folder(tmp_path / "code"), tmp_path / "out"
    with running(gated_words(source, out, *RAY), code, wanted=99) as process:
        wait_for(lambda: len(workers_seen(code)) == 2, process)
        os.kill(process.pid, signal_sent)
        _, said = process.communicate()
    assert process.returncode == (130 if signal_sent == signal.SIGINT else -signal_sent)
    assert "Traceback" not in said
    while not all(map(is_gone, workers_seen(code))):  # how long that takes is Ray's affair
        time.sleep(0.05)
    done = count_decisions(out)
    with running(gated_words(source, out, *RAY), code, wanted=0) as process:
        _, said = process.communicate()
    assert process.returncode == 0
    assert f"{40 - done} traces to score" in said
    assert len(read_rows(out / "pruned.jsonl")) == 40


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
def test_a_node_that_goes_takes_no_row_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # the cluster stays on the loopback, so the run must look for it there
    source, code, out = write_rows(tmp_path / "rows.jsonl", map(row, range(40))), method_folder(tmp_path / "code"), tmp_path / "out"
    program = [sys.executable, str(Path(__file__).parent / "two_nodes.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(program, env=environment(code, wanted=3), text=True, **pipes) as cluster:  # type: ignore[call-overload]
        address = cluster.stdout.readline().strip()
        with running(gated_words(source, out, *RAY, "--ray-address", address), code, wanted=3) as process:
            wait_for(lambda: len(workers_seen(code)) == 2, process)
            cluster.stdin.write("\n")
            cluster.stdin.flush()
            assert cluster.stdout.readline() == "replaced\n"
            _, said = process.communicate()
        cluster.stdin.close()
    assert process.returncode == 0, said
    assert read_rows(out / "rejected.jsonl") == []
    assert len(read_rows(out / "pruned.jsonl")) == 40
    assert len(workers_seen(code)) == 3


def test_actors_get_their_share_of_the_cluster() -> None:
    laptop, gpus = [{"CPU": 10.0}], [{"CPU": 96.0, "GPU": 8.0}, {"CPU": 96.0, "GPU": 8.0}, {"CPU": 4.0}]
    assert shares_of(laptop, "auto") == Shares(2, "cpu", 4, 0.0)
    assert shares_of([{"CPU": 2.0}], "auto") == Shares(1, "cpu", 2, 0.0)
    assert shares_of([{"CPU": 2.0}] * 3, "auto") == Shares(3, "cpu", 2, 0.0)
    assert shares_of(gpus, "auto") == Shares(16, "cuda", 1, 1.0)
    assert shares_of(gpus, "auto", needs_model=False) == Shares(49, "cpu", 4, 0.0)
    assert shares_of(gpus, "cuda,cuda") == Shares(2, "cuda", 1, 1.0)
    assert shares_of([{"CPU": 8.0, "GPU": 1.0}], "cuda,cuda") == Shares(2, "cuda", 1, 0.5)
    assert shares_of(laptop, "cpu,cpu,cpu") == Shares(3, "cpu", 3, 0.0)
    assert shares_of([{"CPU": 3.0}] * 2, "cpu,cpu,cpu") == Shares(3, "cpu", 1, 0.0)
    assert shares_of([{"CPU": 1.0}], "cpu,cpu") == Shares(2, "cpu", 0.5, 0.0)
    for wrong, why in (
        ("cuda:0,cuda:1", "Ray chooses the places"),
        ("cpu,cuda", "Ray chooses"),
        ("cuda", "has no GPU"),
        ("", "Ray chooses"),
    ):
        with pytest.raises(UsageError, match=why):
            shares_of(laptop, wrong)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = prune_words(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out")
    assert refusal(capsys, *words, "--ray-address", "auto").endswith("--ray-address is for --engine ray; add it, or leave the address out")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert install_command("ray") in refusal(capsys, *words, "--engine", "ray")


def test_a_cluster_that_is_not_there_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = prune_words(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out", "--engine", "ray", "--ray-address")
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"no Ray cluster answers at {address} (" in refusal(capsys, *words, address)
    for wrong in ("ray://head:10001", "head", "head:x", ""):
        assert "write host:port of the cluster's head" in refusal(capsys, *words, wrong)


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
def test_a_ray_of_ones_own_listens_on_this_machine_only(tmp_path: Path) -> None:
    code = """
from asap.prune.settings import AsapSettings
from asap.workers.blueprint import Blueprint
from asap.workers.ray_actors import ray_crew
with ray_crew(Blueprint(AsapSettings(method="random")), "cpu", None) as crew:
    import ray  # after it was kept to the loopback
    print([node["NodeManagerAddress"] for node in ray.nodes()], crew.where)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("['127.0.0.1'] 1 Ray actor on cpu")
