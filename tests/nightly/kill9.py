"""Kills commands with SIGKILL at random moments, lets them end, and compares every byte with a run that nobody disturbed.

    PYTHONPATH=tests:tests/golden python tests/nightly/kill9.py --kills 1000 --seed 1 --commands prune,score

Of each command a run is killed some times and then left to end with the same words; this goes on until there were so many kills. Afterwards
the output folder must hold the same files with the same bytes, its SQLite files must be sound, and nothing may stay behind: no process, no
mount, no temporary file, no scratch folder. What is unequal by design is listed in UNEQUAL and in the golden tests' VARIES. Model code runs
in the sandbox, once its self-test passed. Ends with 1 at the first difference, names seed and moments, and keeps the folder.
"""

import argparse
import multiprocessing
import multiprocessing.util
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from ctypes import CDLL
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path, PurePath

from golden_files import VARIES, Mask, masked, unpacked
from golden_inputs import write_inputs
from golden_models import write_models
from golden_server import llm_server
from transformers.utils import logging

import agent_rows
import own_process
from asap.lm.gguf import bundled_gguf, converted
from asap.sandbox import self_test
from asap.sandbox.selftest import failures
from run_fixtures import write_rows

UNEQUAL = (
    Mask("*.json*", r'("session": )\d+', r"\1NUMBER"),  # a stretch of work without an interruption
    Mask("summary.json", r'(?s)("sessions": )\[.*?\n  ?\]', r"\1[]"),
    Mask("summary.json", r'("(?:request_s|ttft_s|tokens_per_s|wall_s)\w*": )[\d.e-]+', r"\1NUMBER"),
    Mask("said*", r"(?s).*", ""),
)
NOT_COMPARED = ("*.sqlite", "*.sqlite-*", "*.png", "checkpoint-*/*", "training_args.bin", "corpus-*/*")
SECONDS_FOR_THE_END = 15.0
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER

_CPU = ["--device", "cpu", "--dtype", "float32"]
_SCORER = ["--scorer", "hf:models/scorer", *_CPU]
_PROBLEMS = ["--benchmark", "humaneval:in/problems.jsonl", "--workers", "2"]
_TRAINED = ["max_steps=6", "use_peft=false", "effective_batch_size=2", "use_cpu=true", "max_length=1024", "save_steps=2"]
COMMANDS: Mapping[str, Sequence[str]] = {
    "prune": ["prune", "in/rows.jsonl", *_SCORER, "--ratio", "0.5", "--format", "trl", "--review"],
    "prune-llm": ["prune", "in/rows.jsonl", *_SCORER, "--ratio", "0.6", "--llm", "openai:scripted", "--base-url", "{server}"],
    "prune-devices": ["prune", "in/rows.jsonl", "--scorer", "hf:models/scorer", "--devices", "cpu,cpu", "--ratio", "0.5"],
    "prune-turns": ["prune", "in/agents.jsonl", *_SCORER, "--context", "raw", "--ratio", "0.5", "--format", "axolotl", "--review"],
    "cut": ["cut", "run", "--ratio", "0.3", "--format", "sharegpt"],
    "compare": ["compare", "in/few.jsonl", *_SCORER, "--judge", "hf:models/judge", "--ratios", "0.5", "--methods", "asap,random"],
    "evaluate": ["evaluate", "--model", "openai:scripted", "--base-url", "{server}", "--max-new-tokens", "64", *_PROBLEMS],
    "evaluate-hf": ["evaluate", "--model", "hf:models/judge", *_CPU, "--max-new-tokens", "12", "--limit", "3", *_PROBLEMS],
    "evaluate-gguf": ["evaluate", "--model", "bundled", "--max-new-tokens", "8", "--limit", "2", *_PROBLEMS],
    "score": ["score", "in/attempts.jsonl", *_PROBLEMS],
    "train": ["train", "in/few.jsonl", "--model", "hf:models/scorer", *(word for one in _TRAINED for word in ("--set", one))],
}
JUDGING = ("evaluate", "evaluate-hf", "evaluate-gguf", "score")


IMPORTED = ["trl.trainer.sft_trainer", "asap.cli.compare", "asap.cli.cut", "asap.cli.score", "asap.cli.train", "asap.train.trainer"]


class Fault(Exception):
    """A run that was killed came to another end."""


@dataclass
class Reference:
    """What a command writes when nobody disturbs it, and how long that takes."""

    files: Mapping[str, bytes]
    seconds: float


class Nights:
    """The commands, their references, and how often each was killed."""

    def __init__(self, server: str, chance: random.Random) -> None:
        self.server, self.chance = server, chance
        self.kills = Counter[str]()
        self.rounds = Counter[str]()
        self.references = dict[str, Reference]()

    def words(self, name: str, out: Path) -> list[str]:
        """What is typed."""
        return [*(word.format(server=self.server) if word == "{server}" else word for word in COMMANDS[name]), "--out", str(out)]

    def start(self, name: str, out: Path) -> BaseProcess:
        """The command's process."""
        return own_process.begin(self.words(name, out), Path(f"said-{name}"), may_have_children)

    def finish(self, name: str, out: Path) -> float:
        """Let the command come to its end. Returns its seconds."""
        began = time.monotonic()
        process = self.start(name, out)
        process.join()
        if process.exitcode:
            raise Fault(f"it ends with {process.exitcode}: {Path(f'said-{name}').read_text()[-2000:]}")
        return time.monotonic() - began

    def round(self, name: str) -> None:
        """Kill a run some times, let it end, and compare."""
        if name not in self.references:
            whole = Path(f"whole-{name}")
            self.finish(name, whole)
            again = Path(f"again-{name}")
            seconds = self.finish(name, again)
            self.references[name] = Reference(read(whole), seconds)
            differing(read(whole), read(again))  # what nobody disturbed is equal in the first place
            wait_for_the_end()
        reference, out, moments = self.references[name], Path(f"killed-{name}"), list[float]()
        shutil.rmtree(out, ignore_errors=True)
        before = left_behind()
        try:
            for _ in range(self.chance.randint(1, 8)):
                moments.append(round(self.chance.uniform(0, 1.05 * reference.seconds), 3))
                if not self.kill(name, out, moments[-1]):
                    break
            self.finish(name, out)
            differing(reference.files, read(out))
            check_stores(out)
            wait_for_the_end()
            if more := left_behind() - before:
                raise Fault(f"it leaves {', '.join(sorted(more))}")
        except Fault as fault:
            raise Fault(f"{name}, killed after {moments} s: {fault}") from fault
        self.rounds[name] += 1

    def kill(self, name: str, out: Path, moment: float) -> bool:
        """Kill a run at a moment. Returns whether it still lived."""
        process = self.start(name, out)
        process.join(moment)
        lived = process.is_alive()
        process.kill()
        process.join()
        self.kills[name] += lived
        return lived


def may_have_children() -> None:
    """A command starts workers of its own, as no daemon of multiprocessing may."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]


def read(folder: Path) -> dict[str, bytes]:
    """The files of an output folder, without what is unequal by design."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            continue
        content = b""
        if not any(PurePath(name).match(pattern) for pattern in NOT_COMPARED):
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            text = (unpacked(text) if path.suffix == ".html" else text).replace(folder.name, "OUT")
            text = masked(f"evaluate/{name}" if "summary" in name else name, text, (*VARIES, *UNEQUAL))
            content = text.encode("utf-8", "surrogateescape")
        found[re.sub(r"\.sqlite-(wal|shm)$", ".sqlite", name)] = content
    return found


def differing(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    """Raise Fault where the files of two folders differ."""
    if missing := expected.keys() - found.keys():
        raise Fault(f"{', '.join(sorted(missing))} missing")
    if more := found.keys() - expected.keys():
        raise Fault(f"{', '.join(sorted(more))} left over")
    for name, content in expected.items():
        if content != found[name]:
            place = next((n for n, pair in enumerate(zip(content, found[name], strict=False)) if pair[0] != pair[1]), len(content))
            around = slice(max(0, place - 80), place + 80)
            raise Fault(f"{name} differs at byte {place}: {content[around]!r} and {found[name][around]!r}")


def check_stores(folder: Path) -> None:
    """Raise Fault for a SQLite file that is not sound."""
    for file in folder.rglob("*.sqlite"):
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise Fault(f"{file} is not sound")


def left_behind() -> set[str]:
    """Temporary files, scratch folders and mounts that are here now."""
    temporary = {f"the temporary file {path.name}" for path in Path(os.environ["TMPDIR"]).iterdir()}
    scratch = {f"the scratch folder {path}" for path in Path("cache").glob("models/.converting-*")}
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return temporary | scratch | {f"the mount {place}" for place in mounted if Path(place).is_relative_to(Path.cwd())}  # others mount too


def descendants() -> Iterator[int]:
    """The processes that this one started, directly or not, without the servers of multiprocessing."""
    parents = dict[int, int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(") ")[2].split()[1])
        except OSError:  # it has ended
            continue
    mine = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in mine} - mine:
        mine |= more
    for process in mine - {os.getpid()}:
        try:
            line = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if line and b"multiprocessing.forkserver" not in line and b"multiprocessing.resource_tracker" not in line:
            yield process


def wait_for_the_end() -> None:
    """Raise Fault where processes of a run go on."""
    until = time.monotonic() + SECONDS_FOR_THE_END
    while alive := set(descendants()):
        while True:  # orphans come to this process
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break
        if time.monotonic() > until:
            shown = [Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ")[:200] for one in alive]
            raise Fault(f"processes go on: {shown}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="some of: %(default)s")
    options = parser.parse_args()
    names = options.commands.split(",")
    if unknown := sorted(set(names) - set(COMMANDS)):
        parser.error(f"unknown commands: {', '.join(unknown)}")
    if failed := failures(self_test()):
        sys.exit(f"the sandbox does not hold here ({failed}): nothing is run")
    multiprocessing.util.get_temp_dir()  # its own, before there is another
    CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    folder = Path(tempfile.mkdtemp(prefix="asap-kill9-"))
    (folder / "tmp").mkdir()
    os.chdir(folder)
    os.environ |= {"TMPDIR": str(folder / "tmp"), "ASAP_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    os.environ |= {"COLUMNS": "120", "NO_COLOR": "1", "OPENAI_API_KEY": "sk-kill9", "TOKENIZERS_PARALLELISM": "false"}
    tempfile.tempdir = None
    logging.disable_progress_bar()
    write_inputs(Path("in"))
    write_rows(Path("in/agents.jsonl"), agent_rows.ROWS.values())
    write_models(Path("models"))
    if "evaluate-gguf" in names:
        converted(bundled_gguf())
    own_process.IMPORTED += IMPORTED
    chance, began = random.Random(options.seed), time.monotonic()
    with llm_server(forgets=True) as server:
        nights = Nights(server, chance)
        try:
            if "cut" in names:
                nights.finish("prune", Path("run"))
            while sum(nights.kills.values()) < options.kills:
                nights.round(names[sum(nights.rounds.values()) % len(names)])
                print(told(nights, began), file=sys.stderr)
        except Fault as fault:
            sys.exit(f"FAULT with --seed {options.seed}, in {folder}: {fault}\n{told(nights, began)}")
    print(told(nights, began))
    os.chdir("/")
    shutil.rmtree(folder)


def told(nights: Nights, began: float) -> str:
    """How much was tried."""
    each = ", ".join(f"{name} {count}" for name, count in sorted(nights.kills.items()))
    rounds = sum(nights.rounds.values())
    return f"{sum(nights.kills.values())} kills in {rounds} runs ({each}) in {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    main()
