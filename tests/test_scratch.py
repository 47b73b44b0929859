"""Temporary folders go with their process: at its end, or after a kill with the next one."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from asap.scratch import scratch_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_goes_at_the_end(temporary: Path) -> None:
    with scratch_folder("name") as folder:
        (folder / "file").write_text("x")
        assert folder.parent == temporary
        assert folder.name.startswith("name-")
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_one_and_what_a_living_one_has_stays(temporary: Path) -> None:
    killed, living = _hold(temporary, 1), _hold(temporary, 2)
    first = next(folder for folder in temporary.iterdir() if (folder / "1").exists())
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    (temporary / "name-of-others").mkdir()
    with scratch_folder("name") as folder:
        assert len([*temporary.iterdir()]) == 3, "the living one's, this one and that of others"
        assert not first.exists()
        assert folder.exists()
    os.kill(living, signal.SIGKILL)
    os.waitpid(living, 0)


def _hold(temporary: Path, number: int) -> int:
    """The process that holds a folder with a file of this name."""
    if process := os.fork():
        while not list(temporary.glob(f"name-*/{number}")):
            time.sleep(0.01)
        return process
    with scratch_folder("name") as folder:
        (folder / str(number)).touch()
        time.sleep(600)
    os._exit(0)
