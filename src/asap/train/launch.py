"""Runs `asap train` in several processes: `accelerate launch` with one of asap's configs or the user's."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from asap.errors import UsageError

_LAUNCHED = "ASAP_LAUNCHED"  # set in the environment of launched processes, which then train instead of launching again


def launch_names() -> list[str]:
    """The configs that come with asap."""
    return sorted(
        path.name.removesuffix(".yaml") for path in files("asap.train").joinpath("accelerate").iterdir() if path.name.endswith(".yaml")
    )


def wanted_launch(name: str | None) -> str | None:
    """The config to launch with; None in a launched process. Raises UsageError for an unknown name."""
    if name is None or _LAUNCHED in os.environ:
        return None
    if name not in launch_names() and not Path(name).is_file():
        raise UsageError(f"there is no launch config {name!r}; choose from {', '.join(launch_names())}, or give an accelerate .yaml file")
    return name


def launched(name: str, words: Sequence[str]) -> int:
    """Run `asap` with the words under `accelerate launch`; returns its exit code, which is 1 for any error."""
    config = files("asap.train").joinpath("accelerate", f"{name}.yaml") if name in launch_names() else Path(name)
    with as_file(config) as path:
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path), "-m", "asap", *words]
        return subprocess.run(command, check=False, env={**os.environ, _LAUNCHED: "1"}).returncode
