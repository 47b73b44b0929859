"""`asap completion`: what completes the command line in a shell, and files of options in an editor."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asap.cli.result import show
from asap.errors import UsageError
from asap.revealed import revealed

_WHERE = Group("Where it goes", sort_key=1)
_FILES = {
    "bash": "~/.local/share/bash-completion/completions/asap",
    "zsh": "~/.zsh/completions/_asap",
    "fish": "~/.config/fish/completions/asap.fish",
}
_NEXT = {
    "bash": "a new shell has it where the package bash-completion is installed; elsewhere add to ~/.bashrc: source {file}",
    "zsh": "a new shell has it with these lines in ~/.zshrc: fpath=({folder} $fpath); autoload -Uz compinit && compinit",
    "fish": "a new shell has it",
}


def completion(
    what: Annotated[Literal["bash", "zsh", "fish", "schema"], Parameter(help="The shell, or schema for an editor.")],
    command: Annotated[str | None, Parameter(help="schema: the command whose options a file of --config holds.")] = None,
    /,
    *,
    install: Annotated[
        bool, Parameter(negative="", help="Write the script where the shell looks for it, instead of printing it.", group=_WHERE)
    ] = False,
) -> int:
    """Complete commands, options and their values in a shell, or the keys of a file of --config in an editor.

    Prints a script for bash, zsh or fish, or the JSON schema of a command's file of options.

    Examples:

        eval "$(asap completion bash)"

        asap completion zsh --install

        asap completion schema prune > prune.schema.json
    """
    if what == "schema":
        from asap.cli.config_schema import config_schema

        if install:
            raise UsageError("--install is for the script of a shell; write the schema to a file: asap completion schema prune > FILE")
        schema = config_schema(command)
        show(json.dumps(schema, indent=2, ensure_ascii=False), schema=schema)
        return 0
    if command is not None:
        raise UsageError(f"{command!r} is not needed: the script of a shell completes all commands")
    from asap.cli.shell_script import shell_script

    script = shell_script(what)
    if not install:
        show(script.removesuffix("\n"), script=script)
        return 0
    file = Path(_FILES[what]).expanduser()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script, encoding="utf-8")
    told = _NEXT[what].format(file=file, folder=file.parent)
    show(revealed(f"written: {file}; {told}", keep=""), file=str(file))
    return 0
