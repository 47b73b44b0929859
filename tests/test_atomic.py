"""Files appear whole, and of what a killed process left half-written nothing stays."""

import os
import signal
import time
from pathlib import Path

import pytest

from asap.atomic import remove_partials, replacing


def _kill_while_writing(target: Path) -> None:
    number = _begin_writing(target)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)


def _begin_writing(target: Path) -> int:
    """The process that writes half of a file and waits."""
    if number := os.fork():
        while not target.with_name(f".{target.name}.{number}.tmp").exists() or not target.with_name("half").exists():
            time.sleep(0.01)
        target.with_name("half").unlink()
        return number
    with replacing(target) as file:
        file.write("half")
        target.with_name("half").touch()
        time.sleep(600)
    os._exit(0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["README.md", "a [b]*.jsonl"])
def test_what_a_kill_left_of_a_file_goes_with_its_next_writing(tmp_path: Path, name: str) -> None:
    _kill_while_writing(tmp_path / name)
    _kill_while_writing(tmp_path / "other")
    assert len(names(tmp_path)) == 2
    with replacing(tmp_path / name) as file:
        file.write("whole")
    assert (tmp_path / name).read_text() == "whole"
    assert len(names(tmp_path)) == 2, "that of the other file stays"
    remove_partials(tmp_path)
    assert names(tmp_path) == {name}


def test_what_another_process_writes_stays(tmp_path: Path) -> None:
    living = _begin_writing(tmp_path / "x")
    with replacing(tmp_path / "x") as file:
        file.write("mine")
    remove_partials(tmp_path)
    assert names(tmp_path) == {"x", f".x.{living}.tmp"}
    os.kill(living, signal.SIGKILL)
    os.waitpid(living, 0)
