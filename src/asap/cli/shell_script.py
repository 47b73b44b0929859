"""The script that completes `asap` in a shell, made by cyclopts from the commands' own options."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from asap.cli.flat_options import EVERYWHERE, FlatOption, options_of_command

_ZSH_CALL = """if [[ ${funcstack[1]} == _asap ]]; then
  _cyclopts_asap "$@"
else
  compdef _cyclopts_asap asap
fi
"""
"""Cyclopts only defines the function. A file `_asap` in zsh's fpath has to call it, `eval` to say what it completes."""


def shell_script(shell: Literal["bash", "zsh", "fish"]) -> str:
    """A script for the shell. Where there is nothing to choose from, names of files are offered."""
    script = _completed().generate_completion(prog_name="asap", shell=shell)
    if shell == "zsh":
        return script + _ZSH_CALL
    return script.replace("complete -F _asap asap", "complete -o default -F _asap asap") if shell == "bash" else script


def _completed() -> App:
    """The commands with all their options, which complete but do not run."""
    from asap.cli import COMMANDS

    completed = App(name="asap", help_format="plaintext")
    for place, (name, summary) in enumerate(COMMANDS.items()):
        completed.command(_signed([*options_of_command(name), *EVERYWHERE]), name=name, help=summary, sort_key=place)
    return completed


def _signed(options: list[FlatOption]) -> Callable[..., None]:
    """A function that does nothing, with these options as its parameters."""

    def nothing(*_: Any, **__: Any) -> None: ...

    parameters = [_parameter(f"option_{place}", option) for place, option in enumerate(options)]
    nothing.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    nothing.__annotations__ = {}
    return nothing


def _parameter(name: str, option: FlatOption) -> inspect.Parameter:
    one = Path if option.positional and not option.known else option.kind  # most are files
    kind: Any = list[one] if option.several else one  # type: ignore[valid-type]
    how = Parameter(name=None if option.positional else option.names, help=option.help, choices=option.known or None, negative="")
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_ONLY if option.positional else inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[bool if kind is bool else kind | None, how],
        default=False if kind is bool else None,
    )
