"""The JSON schema of a file of options (`--config FILE.yaml`), made from the command's own options, for editors."""

from typing import Any

from asap.cli.config import TYPED_ONLY
from asap.cli.flat_options import FlatOption, options_of_command
from asap.errors import UsageError

_WORD = {"$ref": "#/definitions/word"}
_TYPES: dict[type, dict[str, Any]] = {bool: {"type": "boolean"}, int: {"type": "integer"}, float: {"type": "number"}}


def config_schema(command: str | None) -> dict[str, Any]:
    """The schema of a command's file of options. Raises UsageError."""
    from asap.cli import COMMANDS

    if command not in COMMANDS:
        named = "" if command is None else f"there is no command {command!r}; "
        raise UsageError(f"{named}name the command whose options the file holds: {', '.join(COMMANDS)}")
    options = [option for option in options_of_command(command) if not option.positional and TYPED_ONLY not in option.names]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"Options of asap {command}",
        "description": f"A file of options: asap {command} --config FILE.yaml. What is typed wins.",
        "type": "object",
        "properties": {name.removeprefix("--"): _property(option) for option in options for name in option.names},
        "patternProperties": {"^[a-z]+(_[a-z]+)+$": {}},  # keep_first is keep-first
        "additionalProperties": False,
        "definitions": {"word": {"type": ["string", "number", "boolean"]}},  # an option takes 010 and no as they are written
    }


def _property(option: FlatOption) -> dict[str, Any]:
    one = _TYPES.get(option.kind, _WORD)
    if option.only_known:
        one = {"enum": list(option.known)}
    elif option.known:
        one = {"anyOf": [{"enum": list(option.known)}, one]}
    made: dict[str, Any] = {"description": option.help}
    if option.several:  # a text holds several with commas
        made["anyOf"] = [*one.get("anyOf", [one]), _WORD, {"type": "array", "items": one, "minItems": 1}]
    else:
        made |= one
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    return made if default in (None, []) or default is False else {**made, "default": default}
