"""A method of one's own that kills its process, and runs with it in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from run_fixtures import prune_words, read_rows, row, same_output, write_rows

POISON = "poison"
METHOD = f"""
# `gated` decides about a second row only when so many processes have decided about their first
import os, signal, time
from pathlib import Path

def deadly(steps):
    if any("{POISON}" in text for text in steps.texts) and os.getpid() != int(os.environ.get("ASAP_TESTS_SPARE", 0)):
        if os.environ.get("ASAP_TESTS_EXIT"):
            raise BaseException("end")
        os.kill(os.getpid(), signal.SIGKILL)
    scores = yield from steps.read()
    return [float(one.logprobs[0]) for one in scores]

rows = 0

def gated(steps):
    global rows
    rows += 1
    pids = Path(os.environ["ASAP_TESTS_PIDS"])
    with pids.open("a") as file:
        file.write(f"{{os.getpid()}}\\n")
    while rows > 1 and len({{*pids.read_text().split()}}) < int(os.environ["ASAP_TESTS_WANTED"]):
        time.sleep(0.02)
    return [float(len(text)) for text in steps.texts]
"""


def method_folder(path: Path) -> Path:
    """A folder with the module `deadly`."""
    path.mkdir()
    (path / "deadly.py").write_text(METHOD)
    return path


def poisoned_rows(path: Path, count: int = 8) -> Path:
    """Rows of which one in the middle is poison, with a duplicate and a line that is no row."""
    rows = [row(number) for number in range(count)]
    rows[count // 2]["cot"] += f"\n\n{POISON}"
    return write_rows(path, [*rows, rows[1], "no JSON"])


@contextmanager
def running(words: Sequence[str], folder: Path, wanted: int) -> Iterator[subprocess.Popen[str]]:
    """`asap` with these words in a process of its own, in the folder of the methods, where it notes its workers; ended with the block.

    `wanted` is how many of them must have decided about a row before `gated` goes on to their second.
    """
    command = [sys.executable, "-m", "asap", *words]
    with subprocess.Popen(command, cwd=folder, env=environment(folder, wanted), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def environment(folder: Path, wanted: int) -> dict[str, str]:
    return {**os.environ, "ASAP_TESTS_PIDS": str(folder / "pids"), "ASAP_TESTS_WANTED": str(wanted)}


def gated_words(source: Path, out: Path, *options: str) -> list[str]:
    return prune_words(source, out, "--method", "deadly:gated", *options)


def workers_seen(folder: Path) -> set[int]:
    """The processes that have decided about a row so far."""
    pids = folder / "pids"
    return {int(line) for line in pids.read_text().split()} if pids.exists() else set()


def wait_for(happened: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait for something that happens while a process lives; how long that takes is the machine's affair."""
    while not happened():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, or is about to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def check_that_a_killed_one_costs_nothing(folder: Path, source: Path, two_workers: Sequence[str]) -> None:
    """Kill one of a run's two workers: it is started again, and the files are those of one process."""
    code, out = method_folder(folder / "code"), folder / "out"
    with running(gated_words(source, out, *two_workers), code, wanted=3) as process:
        wait_for(lambda: len(workers_seen(code)) == 2, process)
        os.kill(min(workers_seen(code)), signal.SIGKILL)
        assert process.wait() == 0
    assert len(workers_seen(code)) == 3
    with running(gated_words(source, folder / "whole", "--devices", "cpu"), code, wanted=0) as process:
        assert process.wait() == 0
    same_output(folder / "whole", out)


def detail_of_the_only_missing_row(whole: Path, out: Path) -> str:
    """Why the poison of `poisoned_rows` was rejected in a folder, all else being as in the whole one."""
    [poison] = [one for one in read_rows(out / "rejected.jsonl") if one["reason"] == "worker_died"]
    assert poison["id"] == "r4"
    for name in ("pruned.jsonl", "decisions.jsonl"):
        rows = [one for one in (whole / name).read_bytes().splitlines() if b'"r4"' not in one[:20]]
        assert (out / name).read_bytes().splitlines() == rows
        assert len(rows) == 8
    return str(poison["detail"])
