"""A whole chain at miniature size: killed at any moment it goes on, does nothing twice, and ends as if nothing had happened."""

import base64
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from reproduce_helpers import SHORT, WHOLE, miniature

from asap.cli import run

Process = subprocess.Popen[bytes]


def begun(folder: Path, *options: str) -> Process:
    words = [sys.executable, "-m", "asap", "reproduce", "mini.yaml", "--scale", "miniature", "--out", "chain", *options]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def ended(process: Process) -> str:
    said = process.communicate()[0].decode()
    return f"{process.returncode}\n{said}"


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def living(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def done(folder: Path) -> dict[str, int]:
    """The finished stages, and when they were finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (folder / "chain").glob("*/stage.json")}


def folder_of(folder: Path, label: str) -> Path:
    [found] = [path for path in (folder / "chain").iterdir() if re.fullmatch(rf"{re.escape(label)}-[0-9a-f]{{8}}", path.name)]
    return found


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("the kernel of this system does not end the children of a killed process: the chain was NOT checked")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


def again(capsys: pytest.CaptureFixture[str]) -> str:
    """What the same command says in this process."""
    capsys.readouterr()
    code = run(["reproduce", "mini.yaml", "--scale", "miniature", "--out", "chain"])
    said = capsys.readouterr()
    return f"{code}\n{said.err}{said.out}"


def test_a_killed_chain_goes_on_and_notices_what_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = miniature(tmp_path / "a", SHORT)
    monkeypatch.chdir(folder)
    process = begun(folder)
    while not done(folder):
        assert process.poll() is None, ended(process)
        time.sleep(0.05)
    while not (running := children_of(process.pid)):
        time.sleep(0.01)
    assert "another asap process is working in chain" in again(capsys)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    while any(map(living, running)):  # the command dies with it
        time.sleep(0.01)
    before = done(folder)

    said = again(capsys)
    assert said.startswith("0\n"), said
    assert len(done(folder)) == 8
    assert before.items() <= done(folder).items()
    assert re.search(r"\| half +\| +42 \| +10 \| +[\d,]+ \| +[\d,]+ \| maths:problems.jsonl \|", said)  # tokens beside the result

    page = folder_of(folder, "prune-half") / "review.html"
    [packed] = re.findall(r'<script[^>]* id="index"[^>]*>([^<]+)<', (folder_of(folder, "report") / "report.html").read_text("utf-8"))
    reviews = json.loads(zlib.decompress(base64.b64decode(packed)))["reviews"]
    assert [review["href"] for arm in reviews for review in arm] == [f"../{page.parent.name}/review.html"]
    page.unlink()
    assert again(capsys).startswith("0\n[3/8] review-half-")
    assert page.is_file()

    pruned = page.with_name("pruned.jsonl")
    text = pruned.read_text("utf-8")
    pruned.write_text(text.replace("=", "~", 1), "utf-8")
    assert re.search(r"pruned.jsonl was changed since prune-half-\w+ was done; delete the folder", again(capsys))
    pruned.write_text(text, "utf-8")  # as it was, at another time
    shutil.rmtree(folder_of(folder, "compare-half-new"))
    before = done(folder)
    said = again(capsys)
    assert said.startswith("0\n[7/8] compare-half-new"), said
    assert before.items() <= done(folder).items()

    (folder / "rows.jsonl").write_text((folder / "rows.jsonl").read_text("utf-8") + "\n", "utf-8")
    assert re.search(r"rows.jsonl is no longer what chain/data-\w+ was made from; delete the folder", again(capsys))


def test_a_stage_that_fails_is_told_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(miniature(tmp_path / "a", SHORT.replace("source: rows.jsonl", "source: rows.jsonl, options: {columns: response}")))
    said = again(capsys)
    assert re.search(r"^2\n(.*\n)*asap: data-\w+ ended with exit code 2 \(asap: .*columns.*\); see chain/logs/", said), said


_TIMES = re.compile(rb'"(seconds|mtime_ns|[a-z_]*_s|[a-z_]*_s_[a-z]+|[a-z_]*per_second)": ?[^,}\n]*')


def result(folder: Path) -> dict[str, bytes]:
    """The bytes of what the stages wrote, without times: rows, decisions, models, answers."""
    names = ("pruned.jsonl", "decisions.jsonl", "rows.jsonl", "*.safetensors", "tokenizer.json", "attempts.jsonl", "verdicts.jsonl")
    found = (path for name in names for path in (folder / "chain").glob(f"*/{name}"))
    return {str(path.relative_to(folder)): _TIMES.sub(b"", path.read_bytes()) for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--equal-tokens",)])
def test_killed_at_random_moments_a_chain_ends_as_if_nothing_had_happened(tmp_path: Path, options: Sequence[str]) -> None:
    undisturbed = miniature(tmp_path / "a", WHOLE)
    begin = time.monotonic()
    said = ended(begun(undisturbed, *options))
    whole_s = time.monotonic() - begin
    assert said.startswith("0\n"), said
    folder = miniature(tmp_path / "b", WHOLE)
    chance, kills, longest_s = random.Random(len(options)), 0, 0.15 * whole_s
    while True:
        process = begun(folder, *options)
        try:
            process.wait(chance.uniform(0, longest_s) if kills < 12 else None)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills, longest_s = kills + 1, longest_s * 1.15
    assert ended(process).startswith("0\n")
    assert kills >= 6
    assert result(folder) == result(undisturbed)
    assert {*done(folder)} == {*done(undisturbed)}
