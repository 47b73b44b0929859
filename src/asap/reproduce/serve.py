"""The server that a stage needs: started for it, waited for, and stopped behind it."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2

from asap.errors import InputError
from asap.reproduce.child import start
from asap.reproduce.stage import Stage, spelled

_BETWEEN_S, _STOPPING_S, _ANSWER_S = 0.5, 60.0, 5.0


@contextmanager
def served(stage: Stage, out: Path, log: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Have the stage's server run, if it needs one. Raises InputError if the server ends before it serves the model."""
    if not stage.serve:
        yield
        return
    words = [word for word in stage.words if isinstance(word, str)]
    url, name = _behind("--base-url", words), _behind("--model", words).partition(":")[2]
    if _models(url) is not None:
        raise InputError(f"a server answers at {url} already, where {stage.name} starts its own; stop it, and run the same command again")
    command = spelled(stage.serve, out, lambda _: "")
    say(f"    serving: {shlex.join(command)} (log: {log})")
    with log.open("ab") as file:
        try:
            process = start(command, file, start_new_session=True)
        except OSError as error:
            raise InputError(f"{command[0]} cannot be started ({error.strerror}); it serves the model of {stage.name}") from error
        try:
            _wait(process, url, name, log)
            yield
        finally:
            _stop(process)


def _wait(process: "subprocess.Popen[bytes]", url: str, name: str, log: Path) -> None:
    """Wait until a server lists its model. However long it loads, it is waited for as long as it lives."""
    while name not in (_models(url) or ()):
        if process.poll() is not None:
            raise InputError(f"the server ended with exit code {process.returncode} before it served {name}; see {log}")
        time.sleep(_BETWEEN_S)


def _models(url: str) -> list[str] | None:
    """The models that a server lists; None if none answers."""
    try:
        answer = httpx2.get(f"{url}/models", timeout=_ANSWER_S, trust_env=False)
        return [str(entry["id"]) for entry in answer.json()["data"]]
    except httpx2.TransportError:
        return None
    except (ValueError, LookupError, TypeError):  # it answers, but is not ready
        return []


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a server with all processes of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOPPING_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _behind(option: str, words: list[str]) -> str:
    return words[words.index(option) + 1]
