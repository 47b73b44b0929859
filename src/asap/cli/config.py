"""`--config FILE.yaml`: options of a command by name. A key that would do nothing is an error."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from asap.errors import UsageError

_EXAMPLE = "budget: 1024"
TYPED_ONLY = "--unsafe-no-sandbox"
"""The option that no file may hold: it is typed each time."""
_TRUTH = {"on": "true", "off": "false"}


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
    """What gives the parser the file's values for the options that were not typed. Raises UsageError."""
    from cyclopts.config import Dict

    from asap.yaml_text import yaml_mapping

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    settings = _by_option(yaml_mapping(text, f"--config {path}", _EXAMPLE, words=True), path)
    if (unsafe := TYPED_ONLY.removeprefix("--")) in settings:
        raise UsageError(f"--config {path} holds {unsafe}; running untrusted code without a sandbox must be typed each time")
    for typed, instead in (("--ratio", "budget"), ("--budget", "ratio")):  # either one replaces the other
        if any(word.partition("=")[0] == typed for word in words):
            settings.pop(instead, None)

    def fill(app: Any, commands: tuple[str, ...], arguments: Any) -> None:
        command = " ".join(commands)
        _check_known(settings, option_names(arguments), f"--config {path}", command)
        flags = {name.removeprefix("--") for argument in arguments if argument.hint is bool for name in argument.names}
        values = {key: _TRUTH.get(str(value), value) if key in flags else value for key, value in settings.items()}
        Dict({command: values}, source=str(path))(app, commands, arguments)
        for argument in arguments:  # whose values are to be named in errors as they stand in the file
            name = f"{argument.name.removeprefix('--')} in {path}"
            argument.tokens = [token.evolve(keyword=name, source="") if token.source == str(path) else token for token in argument.tokens]

    return fill


def option_names(arguments: Any) -> list[str]:
    """The keys that a file of options may have for a command with these arguments."""
    options = [argument for argument in arguments if argument.index is None and not argument.children]
    return [name.removeprefix("--") for option in options for name in option.names if name != TYPED_ONLY]


def _check_known(settings: Mapping[str, Any], known: Sequence[str], where: str, command: str) -> None:
    for key in settings:
        if key not in known:
            near = get_close_matches(key.lower(), known, 3)
            meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"{where} names {key}, which is no option of asap {command}; {meant}")


def _by_option(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values by the name of their option. Raises UsageError for one that is there twice, has no value, or whose value is a mapping."""
    settings = dict[str, Any]()
    for key, value in values.items():
        name = key.replace("_", "-")
        if name in settings:
            raise UsageError(f"--config {path} names {name} twice, as {key} too; leave one of them out")
        if value is None or value == [] or (isinstance(value, list) and None in value):
            raise UsageError(f"--config {path} has no value for {key}; write one, or leave the line out")
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value)):
            raise UsageError(f"--config {path} has other keys below {key}; write each option of the command on a line, such as {_EXAMPLE}")
        settings[name] = value
    return settings
