"""The recipes in examples/scale are what their schedulers read, and the commands in them run."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from run_fixtures import model_folder, prune, row, same_output, write_rows

RECIPES = Path(__file__).parent.parent / "examples" / "scale"
SLURM, KUBERNETES, EIGHT_GPUS = RECIPES / "slurm.sbatch", RECIPES / "kubernetes.yaml", RECIPES / "eight_gpus.sh"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Rows, a scorer, and an `asap` that is this one; `srun` runs the command."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, command in (("asap", f"{shlex.quote(sys.executable)} -m asap"), ("srun", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    write_rows(tmp_path / "traces.jsonl", [*(row(number) for number in range(6)), "no JSON", row(2)])
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SCORER": f"hf:{model_folder()}"}


def jobs() -> dict[str, dict[str, Any]]:
    """The documents of kubernetes.yaml by their label."""
    return {job["metadata"]["labels"]["part"]: job for job in yaml.safe_load_all(KUBERNETES.read_text("utf-8"))}


def command_of(job: Mapping[str, Any]) -> list[str]:
    [container] = job["spec"]["template"]["spec"]["containers"]
    return [*container["command"], *container["args"]]


def said(words: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_slurm_recipe_is_an_array_of_shards() -> None:
    lines = SLURM.read_text("utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    options = [(number, line) for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line) for _, line in options)
    assert all(number < first for number, _ in options)  # Slurm reads none after the first command
    [last] = re.findall(r"--array=0-(\d+)$", SLURM.read_text("utf-8"), re.MULTILINE)
    assert f"SHARDS:-{int(last) + 1}}}" in SLURM.read_text("utf-8")
    assert "#SBATCH --requeue" in lines


def test_the_kubernetes_recipe_is_an_indexed_job_and_one_that_merges() -> None:
    shards, merge = jobs()["shards"], jobs()["merge"]
    for job in (shards, merge):
        assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
        pod = job["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never"  # which podFailurePolicy needs
        [container] = pod["containers"]
        assert {"name", "image", "command"} <= container.keys()
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    spec = shards["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] <= spec["completions"]
    assert f"SHARDS:-{spec['completions']}}}" in " ".join(command_of(shards))
    [rule] = spec["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


@pytest.mark.parametrize("file", [SLURM, EIGHT_GPUS], ids=lambda file: file.name)
def test_the_scripts_are_bash(file: Path) -> None:
    assert "SHARDS" in (text := file.read_text("utf-8")) or all(f"cuda:{number}" in text for number in range(8))
    assert subprocess.run(["bash", "-n", file], capture_output=True, check=False).stderr == b""


def test_every_command_runs_as_it_is_but_for_its_dry_run(tmp_path: Path, environment: dict[str, str]) -> None:
    for words, variables in (
        (["bash", str(SLURM)], {"SLURM_ARRAY_TASK_ID": "7"}),
        (command_of(jobs()["shards"]), {"JOB_COMPLETION_INDEX": "0"}),
        (["bash", str(EIGHT_GPUS)], {"DEVICES": "cpu,cpu"}),
    ):
        assert "Nothing was written." in said([*words, "--dry-run"], tmp_path, {**environment, **variables})
    assert not (tmp_path / "shards").exists()


@pytest.mark.slow
def test_the_recipes_give_the_bytes_of_one_run(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = {**environment, "SHARDS": "2", "DEVICES": "cpu"}
    options = ["--ratio", "0.5"]
    whole = prune("traces.jsonl", tmp_path / "whole", *options)
    said(["bash", str(SLURM), *options], tmp_path, {**few, "SLURM_ARRAY_TASK_ID": "0"})
    said([*command_of(jobs()["shards"]), *options], tmp_path, {**few, "JOB_COMPLETION_INDEX": "1"})
    said(command_of(jobs()["merge"]), tmp_path, few)
    same_output(whole, tmp_path / "pruned")
    [merging] = re.findall(r"--wrap '(asap merge [^']*)'", SLURM.read_text("utf-8"))
    said(["bash", "-c", merging], tmp_path, few)
    same_output(whole, tmp_path / "pruned")
    (tmp_path / "pruned").rename(tmp_path / "merged")
    said(["bash", str(EIGHT_GPUS), *options], tmp_path, few)
    same_output(whole, tmp_path / "pruned")
