"""`--config FILE.yaml`: options of a command by name. A key that would do nothing is an error."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asap.errors import UsageError

_EXAMPLE = "budget: 1024"


def without_config(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """The arguments without `--config FILE.yaml`, and the file."""
    words, path = list[str](), None
    remaining = iter(arguments)
    for word in remaining:
        if word == "--config" or word.startswith("--config="):
            given = word.partition("=")[2] or next(remaining, "")
            if not given:
                raise UsageError("--config needs a file, for example --config asap.yaml")
            if path is not None:
                raise UsageError(f"--config is given twice ({path} and {given}); write all options into one file")
            path = Path(given)
        else:
            words.append(word)
    return words, path


def config_of(path: Path, words: Sequence[str]) -> Callable[..., None]:
    """The file's values for the options that were not typed, as the parser takes them. Raises UsageError."""
    from cyclopts.config import Dict

    from asap.yaml_text import yaml_mapping

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    settings = _by_option(yaml_mapping(text, f"--config {path}", _EXAMPLE), path)
    if "unsafe-no-sandbox" in settings:
        raise UsageError(f"--config {path} holds unsafe-no-sandbox; running untrusted code without a sandbox must be typed each time")
    for typed, instead in (("--ratio", "budget"), ("--budget", "ratio")):  # either one replaces the other
        if any(word.partition("=")[0] == typed for word in words):
            settings.pop(instead, None)
    command = words[0] if words else ""
    return Dict({command: settings}, source=str(path))


def _by_option(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values by the name of their option. Raises UsageError for one that is there twice, has no value, or whose value is a mapping."""
    settings = dict[str, Any]()
    for key, value in values.items():
        name = key.replace("_", "-")
        if name in settings:
            raise UsageError(f"--config {path} names {name} twice, as {key} too; leave one of them out")
        if value is None:
            raise UsageError(f"--config {path} has no value for {key}; write one, or leave the line out")
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value)):
            raise UsageError(f"--config {path} has other keys below {key}; write each option of the command on a line, such as {_EXAMPLE}")
        settings[name] = value
    return settings
