"""What `asap completion zsh|fish --install` writes, in a real zsh and a real fish; bash is in test_completion.py."""

import os
import pty
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from asap.cli import COMMANDS, run

COMPLETED = {
    "asap comple": "asap completion ",
    "asap prune tra": "asap prune traces.jsonl ",
    "asap prune traces.jsonl --support": "asap prune traces.jsonl --support-floor ",
    "asap prune traces.jsonl --coarse al": "asap prune traces.jsonl --coarse align ",
    "asap cut out --format=axo": "asap cut out --format=axolotl ",
    "asap no-such-com": "asap no-such-com",
}
_WATCHED = """
typed() { print -r -- "$BUFFER" >> typed; BUFFER= }
zle -N typed
bindkey '^T' typed
zle-line-init() { print READY }
zle -N zle-line-init
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of nobody's settings, with a program `asap` and rows to complete."""
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "FPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "asap").write_text("#!/bin/sh\n")
    (tmp_path / "asap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "traces.jsonl").touch()
    return tmp_path


def program(shell: str) -> str:
    return shutil.which(shell) or pytest.skip(f"{shell.upper()} IS NOT INSTALLED: its completion was NOT tried")


def typed_in_zsh(zsh: str, home: Path, lines: Sequence[str]) -> list[str]:
    """What stands on the command line of an interactive zsh after each line and a Tab."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(home)
        os.execve(zsh, [zsh, "-d", "-i"], {**os.environ, "TERM": "vt100"})
    said = b""
    while b"READY" not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, "".join(f"{line}\t\x14" for line in lines).encode() + b"exit\n")
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:  # how Linux says that the other side of a terminal has gone
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    return (home / "typed").read_text("utf-8").splitlines()


@pytest.mark.parametrize("way", ["installed", "evaluated"])
def test_zsh_completes_commands_files_options_and_values(way: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zsh = program("zsh")
    run(["completion", "zsh", *(["--install"] if way == "installed" else [])])
    told = capsys.readouterr().out
    if way == "installed":
        [lines] = re.findall(r"in ~/\.zshrc: (.*)", told)
    else:
        (home / "script").write_text(told)
        lines = 'autoload -Uz compinit && compinit\neval "$(cat ~/script)"'
    (home / ".zshrc").write_text(f"{lines}\n{_WATCHED}")
    assert dict(zip(COMPLETED, typed_in_zsh(zsh, home, [*COMPLETED]), strict=True)) == COMPLETED


def test_fish_completes_commands_files_options_and_values(home: Path) -> None:
    fish = program("fish")
    run(["completion", "fish", "--install"])

    def offered(line: str) -> set[str]:
        words = [fish, "-c", 'complete -C "$argv[1]"', line]
        done = subprocess.run(words, cwd=home, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return {one.partition("\t")[0] for one in done.stdout.splitlines()}

    assert {*COMMANDS} <= offered("asap ")
    for line, completed in COMPLETED.items():
        last = completed.split(" ")[-2:] if completed.endswith(" ") else []
        assert offered(line) == {*last} - {""}, line
