"""Runs the stages of a chain that are missing, one after the other, each as a command in a process of its own.

A process of its own contains what a stage does to memory, and is the command that anybody can run by hand. It dies with this one, and
every command goes on where it was killed; so does the chain.
"""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asap.atomic import alone_in
from asap.errors import InputError
from asap.reproduce.alike import rows_alike
from asap.reproduce.chain import Chain
from asap.reproduce.child import Child, end_of, ends_as_interrupted, start, stop
from asap.reproduce.record import Records, Standing
from asap.reproduce.serve import ModelServer, served
from asap.reproduce.stage import REPEATED, Stage
from asap.versions import __version__, versions_of

_LOGS = "logs"
_LOOK_S, _STOPPING_S = 1.0, 120.0

Say = Callable[[str], None]


class StageFailed(InputError):
    """A stage's command ended with an error."""


def run_chain(chain: Chain, out: Path, say: Say, check_machine: Callable[[Chain, Records], None]) -> None:
    """Run what is missing, unless `check_machine` refuses. Raises StageFailed, or InputError if results were changed; KeyboardInterrupt
    at Ctrl-C and SIGTERM.
    """
    with ends_as_interrupted(), claimed(out):
        records = Records(out)
        refuse_changed(chain, records)
        check_machine(chain, records)
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
    if stage.target(out) != out / stage.name:  # the command writes a file, and makes no folder for the stage
        (out / stage.name).mkdir(exist_ok=True)
    begun = time.monotonic()
    log = _log(stage, out)
    with log.open("ab") as file, served(stage, out, log.with_name(f"{stage.name}-server.txt"), say) as server:
        file.write(f"$ {shlex.join(['asap', *command])}\n".encode())
        file.flush()
        process = start([sys.executable, "-m", "asap", *command], file)
        code = _ended(process, server, stage)
    if code:
        raise StageFailed(
            f"{stage.name} ended with exit code {code} ({end_of(log)}); see {log}, and run the same command again to go on there"
        )
    return time.monotonic() - begun, command


def _ended(process: Child, server: ModelServer | None, stage: Stage) -> int:
    """The exit code of a process. Raises InputError if the server that it needs ends before it. Ctrl-C is passed on to it."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_S)
            if server:
                server.check(f"while {stage.name} needed it")
    finally:
        if process.poll() is None:
            stop(process, signal.SIGINT, _STOPPING_S)


def _log(stage: Stage, out: Path) -> Path:
    return out / _LOGS / f"{stage.name}.txt"
