"""The server that a stage needs: started for it, waited for, watched, and stopped behind it.

It is waited for as long as it lives and says something: loading a large model takes long. One that neither answers nor writes to its log
for half an hour hangs.
"""

import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from asap.errors import InputError
from asap.reproduce.child import Child, end_of, start, stop
from asap.reproduce.stage import Stage, spelled

_BETWEEN_S, _STOPPING_S, _ANSWER_S, _SILENCE_S = 0.5, 60.0, 5.0, 1800.0
_AGAIN = "run the same command again to go on there"


class ModelServer(NamedTuple):
    """A running server, and where its output goes."""

    process: Child
    log: Path

    def check(self, what: str) -> None:
        """Raise InputError if the server has ended. `what`: when that was, such as `before it served m`."""
        if (code := self.process.poll()) is not None:
            raise InputError(f"the server ended with exit code {code} {what} ({end_of(self.log)}); see {self.log}, and {_AGAIN}")


@contextmanager
def served(stage: Stage, out: Path, log: Path, say: Callable[[str], None], silence_s: float = _SILENCE_S) -> Iterator[ModelServer | None]:
    """Have the stage's server run, if it needs one. Raises InputError if the server ends, hangs or serves something else."""
    if not stage.serve:
        yield None
        return
    words = [word for word in stage.words if isinstance(word, str)]
    url, name = _behind("--base-url", words), _behind("--model", words).partition(":")[2]
    if _models(url) is not None:
        raise InputError(f"a server answers at {url} already, where {stage.name} starts its own; stop it, and {_AGAIN}")
    command = spelled(stage.serve, out, lambda _: "")
    say(f"    serving: {shlex.join(command)} (log: {log})")
    with log.open("ab") as file:
        file.write(f"$ {shlex.join(command)}\n".encode())
        file.flush()
        try:
            process = start(command, file)
        except OSError as error:
            raise InputError(f"{command[0]} cannot be started ({error.strerror}); it serves the model of {stage.name}") from error
        try:
            server = ModelServer(process, log)
            _wait(server, url, name, silence_s)
            yield server
        finally:
            stop(process, signal.SIGTERM, _STOPPING_S)


def _wait(server: ModelServer, url: str, name: str, silence_s: float) -> None:
    """Wait until a server lists its model."""
    heard, size = time.monotonic(), server.log.stat().st_size
    while name not in (models := _models(url) or ()):
        server.check(f"before it served {name}")
        if models:
            raise InputError(f"the server at {url} serves {', '.join(models)}, not {name}; mend `serve` in the table's file")
        if (now := server.log.stat().st_size) != size:
            heard, size = time.monotonic(), now
        if time.monotonic() - heard > silence_s:
            raise InputError(
                f"the server does not answer at {url}, and has written nothing for {silence_s / 60:.3g} minutes ({end_of(server.log)}); "
                f"see {server.log}, and {_AGAIN}"
            )
        time.sleep(_BETWEEN_S)


def _models(url: str) -> list[str] | None:
    """The models that a server lists; None if none answers."""
    try:
        answer = httpx2.get(f"{url}/models", timeout=_ANSWER_S, trust_env=False)
        return [str(entry["id"]) for entry in answer.json()["data"]]
    except httpx2.TimeoutException:  # it took the connection
        return []
    except httpx2.TransportError:
        return None
    except (ValueError, LookupError, TypeError):  # it answers, but is not ready
        return []


def _behind(option: str, words: list[str]) -> str:
    return words[words.index(option) + 1]
