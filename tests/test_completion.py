"""`asap completion`: the script is tried in a real bash, the schemas are as published and accept what the command accepts."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import jsonschema
import pytest

from asap.cli import COMMANDS, run
from asap.cli.config_schema import config_schema
from asap.cli.flat_options import EVERYWHERE, options_of_command
from asap.cli.manner import without_manner
from asap.cli.shell_script import shell_script
from run_fixtures import refusal

DOCS = Path(__file__).parents[1] / "docs"
ALL = run_path(str(DOCS / "schemas.py"))["schemas"]()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "asap.bash"
    file.write_text(shell_script("bash"))
    return file


def offered(script: Path, *words: str, folder: Path) -> set[str]:
    """What bash offers for the last word."""
    tried = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _asap; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", tried, "bash", str(script), "asap", *words], capture_output=True, text=True, check=True, cwd=folder
    )
    assert done.stderr == ""
    return {*done.stdout.split("\n")} - {""}


def test_bash_completes_commands_options_values_and_files(script: Path, tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").touch()
    assert offered(script, "", folder=tmp_path) == {*COMMANDS}
    assert offered(script, "pr", folder=tmp_path) == {"prune"}
    assert offered(script, "prune", "tr", folder=tmp_path) == {"traces.jsonl"}
    assert offered(script, "prune", "traces.jsonl", "--coarse", "", folder=tmp_path) == {"align", "select", "rewrite", "none"}
    assert offered(script, "prune", "traces.jsonl", "--method", "keep-", folder=tmp_path) == {"keep-head", "keep-tail", "keep-ends"}
    assert {"trl", "axolotl", "parquet"} < offered(script, "cut", "x", "--format", "", folder=tmp_path)
    assert offered(script, "prune", "traces.jsonl", "--format=a", folder=tmp_path) <= {"axolotl", ""}
    assert offered(script, "prune", "--config", "", folder=tmp_path) == {"traces.jsonl"}
    assert offered(script, "completion", "", folder=tmp_path) == {"bash", "zsh", "fish", "schema"}


def test_bash_completes_every_option_of_every_command(script: Path, tmp_path: Path) -> None:
    tried = 'source "$1"; for command in "${@:2}"; do COMP_WORDS=(asap "$command" --); COMP_CWORD=2; _asap; echo "${COMPREPLY[@]}"; done'
    done = subprocess.run(["bash", "--norc", "-c", tried, "bash", str(script), *COMMANDS], capture_output=True, text=True, check=True)
    for command, line in zip(COMMANDS, done.stdout.splitlines(), strict=True):
        named = [name for option in (*options_of_command(command), *EVERYWHERE) if not option.positional for name in option.names]
        assert {*line.split()} == {name for name in named if name.startswith("--")} | {"--help", "--version"}, command


def test_the_options_of_all_commands_are_those_that_are_taken_out_before() -> None:
    names = [name for option in EVERYWHERE for name in option.names if name != "--config"]
    assert without_manner(names)[0] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_or_installed(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(f"{'-l ' if shell == 'fish' else '--'}{name}" in printed for name in ("support-floor", "only-passing", "config"))
    assert "--empty-" not in printed
    assert run(["completion", shell, "--install"]) == 0
    told = capsys.readouterr().out
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.read_text() == printed
    assert str(file) in told
    if program := shutil.which(shell):
        subprocess.run([program, "-n", str(file)], check=True)


def test_what_completion_cannot_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bash" in refusal(capsys, "completion", "tcsh")
    assert refusal(capsys, "completion", "bash", "prune").startswith("'prune' is not needed")
    assert refusal(capsys, "completion", "schema").startswith("name the command whose options the file holds: doctor, prune,")
    assert refusal(capsys, "completion", "schema", "prune", "--install").startswith("--install is for the script of a shell")


def test_no_other_command_loads_what_completes() -> None:
    code = "import sys; from asap.cli import run; run(['cut', '--help']); sys.exit(any('completion' in name for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_published_schemas_are_current() -> None:
    """`python docs/schemas.py` writes them anew."""
    assert {path.name: path.read_text("utf-8") for path in (DOCS / "schema").iterdir()} == ALL


@pytest.mark.parametrize("name", ALL)
def test_a_schema_holds_every_option_and_explains_it(name: str) -> None:
    schema = json.loads(ALL[name])
    jsonschema.Draft7Validator.check_schema(schema)
    command = name.removesuffix(".json")
    keys = {key.removeprefix("--") for option in options_of_command(command) if not option.positional for key in option.names}
    assert {*schema["properties"]} == keys - {"unsafe-no-sandbox"}
    assert all(re.match(r"\S", one["description"]) for one in schema["properties"].values())
    for key, one in schema["properties"].items():
        if "default" in one:
            jsonschema.validate({key: one["default"]}, schema)


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ({"ratio": 0.5, "format": ["trl", "axolotl"], "method": "random"}, True),
        ({"format": "trl,axolotl", "keep_first": 2, "scorer": "hf:me/model", "method": "mine:rule"}, True),
        ({"gammas": [1.0, 0.5], "review": True, "split": 10}, True),
        ({"bugdet": 5}, False),
        ({"budget": "many"}, False),
        ({"coarse": "some"}, False),
        ({"review": "perhaps"}, False),
        ({"unsafe-no-sandbox": True}, False),
    ],
)
def test_a_schema_knows_right_from_wrong(file: dict[str, object], fits: bool) -> None:
    assert jsonschema.Draft7Validator(config_schema("prune")).is_valid(file) is fits


def test_the_schema_of_a_command_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "schema", "cut"]) == 0
    assert json.loads(capsys.readouterr().out) == config_schema("cut")
