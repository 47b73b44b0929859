"""Runs `asap train` in several processes: `accelerate launch` with one of asap's configs or the user's."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

import yaml

from asap.errors import UsageError, one_line

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
    if name not in launch_names() and _machines(Path(name)) > 1:
        raise UsageError(
            f"--launch {name} is for {_machines(Path(name))} machines, and --launch starts the processes of one; "
            f"on each machine run: accelerate launch --config_file {name} -m asap train …, without --launch"
        )
    return name


def _machines(config: Path) -> int:
    """The number of machines that an accelerate config is for."""
    try:
        values = yaml.safe_load(config.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"--launch {config} cannot be read ({one_line(error)}); give a file that accelerate config wrote") from error
    return int(values.get("num_machines") or 1) if isinstance(values, dict) else 1


def launched(name: str, words: Sequence[str]) -> int:
    """Run `asap` with the words under `accelerate launch`; returns its exit code, which is 1 for any error."""
    config = files("asap.train").joinpath("accelerate", f"{name}.yaml") if name in launch_names() else Path(name)
    with as_file(config) as path:
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path), "-m", "asap", *words]
        return subprocess.run(command, check=False, env={**os.environ, _LAUNCHED: "1"}).returncode
