"""Runs the stages of a chain that are missing, one after the other, each as a command in a process of its own.

A process of its own contains what a stage does to memory, and is the command that anybody can run by hand. It dies with this one, and
every command goes on where it was killed; so does the chain.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asap.atomic import alone_in
from asap.errors import InputError
from asap.reproduce.alike import rows_alike
from asap.reproduce.chain import Chain
from asap.reproduce.child import start
from asap.reproduce.record import Records, Standing
from asap.reproduce.serve import served
from asap.reproduce.stage import REPEATED, Stage
from asap.versions import __version__, versions_of

_LOGS = "logs"
_SHOWN = 3  # the last lines of a log in a message

Say = Callable[[str], None]


class StageFailed(InputError):
    """A stage's command ended with an error."""


def run_chain(chain: Chain, out: Path, say: Say) -> None:
    """Run what is missing. Raises StageFailed, or InputError if results were changed; KeyboardInterrupt passes through."""
    with claimed(out):
        records = Records(out)
        refuse_changed(chain, records)
        for number, stage in enumerate(chain.stages, 1):
            standing = records.of(stage)
            if standing.state == "done":
                continue
            refuse_outdated(stage, standing, out)
            say(f"[{number}/{len(chain.stages)}] {stage.name} (log: {_log(stage, out)})")
            seconds, command = _run(stage, out, say)
            records.write(stage, ["asap", *command], seconds, {"asap": __version__, **versions_of(("torch", "transformers", "trl"))})


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold the output folder for this process. Raises InputError if it cannot be written or another process holds it."""
    try:
        (out / _LOGS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {out} cannot be written ({error.strerror}); choose another --out") from error
    with alone_in(out):
        yield


def refuse_changed(chain: Chain, records: Records) -> None:
    """Raise InputError if the results of a stage were changed since it was done."""
    for stage in chain.stages:
        standing = records.of(stage)
        if standing.state == "changed" and stage.kind not in REPEATED:
            raise InputError(
                f"{standing.detail} since {stage.name} was done; delete the folder {records.out / stage.name}, and run the same "
                "command again"
            )


def refuse_outdated(stage: Stage, standing: Standing, out: Path) -> None:
    """Raise InputError for a stage that was made from other inputs, unless it is simply repeated."""
    if standing.state == "outdated" and stage.kind not in REPEATED:
        raise InputError(f"{standing.detail}; delete the folder {out / stage.name}, and run the same command again")


def _run(stage: Stage, out: Path, say: Say) -> tuple[float, list[str]]:
    """Run a stage's command; returns its seconds and words. Raises StageFailed."""
    command = stage.command(out, rows_alike(out))
    target = stage.target(out)
    if target.suffix == ".json":
        target.parent.mkdir(exist_ok=True)
    begun = time.monotonic()
    log = _log(stage, out)
    with log.open("ab") as file, served(stage, out, log.with_name(f"{stage.name}-server.txt"), say):
        file.write(f"$ {shlex.join(['asap', *command])}\n".encode())
        file.flush()
        process = start([sys.executable, "-m", "asap", *command], file)
        code = _ended(process)
    if code:
        raise StageFailed(
            f"{stage.name} ended with exit code {code} ({_end_of(log)}); see {log}, and run the same command again to go on there"
        )
    return time.monotonic() - begun, command


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """The exit code of a process. Ctrl-C reaches it, too, and it ends in its own time."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _log(stage: Stage, out: Path) -> Path:
    return out / _LOGS / f"{stage.name}.txt"


def _end_of(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-_SHOWN:])[-600:]
