"""The cache of converted models: shared, damaged, half-written, read-only, without a home, killed, and asked for by two at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asap.errors import InputError
from asap.lm import cache
from asap.lm.cache import cache_folder, file_sha256
from asap.lm.model_cache import MISSING, SUMS, damage_in, made_once
from asap.lm.scorer_transformers import HFScorer
from asap.sandbox.bwrap import find_bwrap

Folders = Callable[..., Path]
LARGE = (1 << 24) + 1


def make(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights " * 1000)
    (folder / "model.safetensors").chmod(0o600)


def make_and_wait(folder: Path) -> None:
    make(folder)
    time.sleep(600)


def make_slowly(folder: Path) -> None:
    with (folder.parent / "made").open("a") as made:
        made.write("once\n")
    make(folder)
    time.sleep(0.2)


def begin(folder: Path, work: Callable[[Path], None]) -> int:
    """The number of a process that makes a folder; it only touches files, so a fork of this one will do."""
    if number := os.fork():
        return number
    try:
        made_once(folder, work)
        os._exit(0)
    finally:
        os._exit(1)


def begin_and_wait_for_weights(folder: Path) -> int:
    number = begin(folder, make_and_wait)
    while not list(folder.parent.glob(".converting-*/model.safetensors")):
        assert os.waitpid(number, os.WNOHANG) == (0, 0)
        time.sleep(0.01)
    return number


def kill(number: int) -> None:
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_a_folder_is_made_once_whole_and_as_readable_as_the_umask_says(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.umask(0o022)
    try:
        folder = made_once(models / "m", make)
    finally:
        os.umask(before)
    assert names(folder) == {"config.json", "model.safetensors", SUMS}
    assert names(models) == {"m", ".lock"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert folder.stat().st_mode & 0o777 == 0o755
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=folder, check=True)
    assert made_once(folder, pytest.fail) == folder
    assert capsys.readouterr().err == ""


def flip_in_the_middle(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(4000)
        file.write(b"X")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "model.safetensors has changed": flip_in_the_middle,
    "model.safetensors has changed ": lambda folder: os.truncate(folder / "model.safetensors", 100),
    "model.safetensors has changed  ": lambda folder: os.truncate(folder / "model.safetensors", 0),
    "config.json is missing": lambda folder: (folder / "config.json").unlink(),
    "adapter_config.json is not part of it": lambda folder: (folder / "adapter_config.json").write_text("{}"),
    f"it has no {SUMS}": lambda folder: (folder / SUMS).unlink(),
    "config.json is not part of it": lambda folder: (folder / SUMS).write_text(""),
    "\ufffd is missing": lambda folder: (folder / SUMS).write_bytes(b"0  \xff\n"),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_whatever_is_damaged_is_seen_said_and_made_anew(models: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    folder = made_once(models / "m", make)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    DAMAGES[said](folder)
    assert damage_in(folder) == said.strip()
    assert made_once(folder, make) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert capsys.readouterr().err == f"note: the converted model {folder} is damaged ({said.strip()}); it is made anew\n"
    assert names(models) == {"m", ".lock"}


def test_a_conversion_that_fails_leaves_nothing_behind(models: Path) -> None:
    def fail(folder: Path) -> None:
        make(folder)
        raise InputError("no such model")

    with pytest.raises(InputError, match="no such model"):
        made_once(models / "m", fail)
    assert names(models) == {".lock"}
    assert damage_in(models / "m") == MISSING


def test_what_a_killed_conversion_left_is_removed_by_the_next_one(models: Path) -> None:
    kill(begin_and_wait_for_weights(models / "m"))
    assert list(models.glob(".converting-*"))
    made_once(models / "m", make)
    assert names(models) == {"m", ".lock"}
    (models / ".converting-of-long-ago").mkdir()
    made_once(models / "m", pytest.fail)
    assert names(models) == {"m", ".lock"}


def test_two_that_convert_at_once_convert_once_and_disturb_nobody(models: Path) -> None:
    several = [begin(models / "m", make_slowly) for _ in range(3)]
    assert [os.waitpid(number, 0)[1] for number in several] == [0, 0, 0]
    assert (models / "made").read_text() == "once\n"
    assert damage_in(models / "m") is None


def test_the_scratch_folder_of_a_living_conversion_stays(models: Path) -> None:
    made_once(models / "other", make)
    living = begin_and_wait_for_weights(models / "m")
    made_once(models / "other", pytest.fail)
    assert len(list(models.glob(".converting-*"))) == 1
    kill(living)


AS_ANOTHER = """
import sys
from pathlib import Path
from asap.errors import InputError
from asap.lm.model_cache import made_once
def make(folder): (folder / "config.json").write_text("{}")
try:
    print("used", made_once(Path(sys.argv[1]), make))
except InputError as error:
    print("refused", error)
"""


def as_another_user(folder: Path, *options: str) -> str:
    """What a user who may read what everybody may says of a folder."""
    bwrap = find_bwrap()
    if bwrap is None:
        pytest.skip("ANOTHER USER'S CACHE IS NOT TRIED: bwrap is not installed")
    command = [bwrap, "--unshare-user", "--uid", "4242", "--gid", "4242", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", *options]
    done = subprocess.run([*command, sys.executable, "-c", AS_ANOTHER, str(folder)], capture_output=True, text=True, check=False)
    if "bwrap:" in done.stderr:
        pytest.skip(f"ANOTHER USER'S CACHE IS NOT TRIED: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_cache_that_cannot_be_written_is_used_where_it_is_whole(models: Path) -> None:
    folder = made_once(models / "m", make)
    read_only = ["--ro-bind", str(models), str(models)]
    assert as_another_user(folder, *read_only) == f"used {folder}"
    flip_in_the_middle(folder)
    assert as_another_user(folder, *read_only) == (
        f"refused the model cache {models} cannot be written (Read-only file system); set ASAP_CACHE to a writable folder with enough room"
    )


def test_a_folder_that_another_user_closed_is_one_sentence_with_the_remedies(models: Path) -> None:
    folder = made_once(models / "m", make)
    folder.chmod(0)
    said = as_another_user(folder)
    folder.chmod(0o755)
    assert said.startswith(f"refused the converted model {folder} cannot be read (Permission denied); have its owner run chmod -R a+rX ")
    assert said.endswith("or set ASAP_CACHE to a folder of your own")


def test_without_a_home_folder_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASAP_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_242_424)  # nobody
    with pytest.raises(InputError, match=r"set ASAP_CACHE to the full path of a writable folder$"):
        cache_folder()
    assert len(file_sha256(Path(__file__))) == 64


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_SETTLED_NS", 0)
    file = tmp_path / "large"
    file.write_bytes(bytes(LARGE))
    return file


def test_a_large_file_is_read_once_and_again_after_any_change(large: Path, tmp_path: Path) -> None:
    first = file_sha256(large)
    record = tmp_path / "cache" / "digests.json"
    record.write_text(record.read_text().replace(first, "remembered"))
    assert file_sha256(large) == "remembered"
    times = large.stat()
    with large.open("r+b") as file:
        file.seek(LARGE // 2)
        file.write(b"X")
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert large.stat().st_size == LARGE
    assert file_sha256(large) not in (first, "remembered")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"PATH": [1]}', '{"PATH": []}', '{"PATH": null}', "\ud800", "[" * 10_000])
def test_a_damaged_record_of_digests_is_none(large: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "digests.json").write_bytes(content.replace("PATH", str(large)).encode("utf-8", "surrogatepass"))
    assert file_sha256(large) == file_sha256(large, remember=False)


def test_a_file_that_changed_just_now_is_not_remembered(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SETTLED_NS", 1 << 62)
    file_sha256(large)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["weights.bin", "chat_template.jinja", "merges.txt"])
def test_a_models_revision_covers_every_byte(model_folder: Folders, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model_folder("r1", "qwen2").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    extra = bytearray(b" " * (3 << 20))
    (folder / name).write_bytes(extra)
    first = HFScorer(str(folder), device="cpu").identity["revision"]
    extra[len(extra) // 2] = ord("\n")
    (folder / name).write_bytes(extra)
    assert HFScorer(str(folder), device="cpu").identity["revision"] != first
