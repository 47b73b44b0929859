"""Lists: every option of every command that takes several values takes them with commas, spaces, again and again, and from a file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asap.cli import COMMANDS, app, read_lists
from asap.cli.flat_options import FlatOption, options_of_command
from asap.cli.lists import values_in
from asap.errors import UsageError

LISTS = [(command, option) for command in COMMANDS for option in options_of_command(command) if option.several and not option.positional]


def values_of(option: FlatOption) -> list[str]:
    """Three values that the option takes."""
    if option.only_known:
        return [*option.known, *option.known][:3]
    return {int: ["1", "2", "30"], float: ["0.5", "0.25", "1"]}.get(option.kind, ["one", "two=2", "three:3"])


def required(command: str, but: FlatOption) -> list[str]:
    """Words without which the command does not run: every word without a name, and what has to be named."""
    arguments = {argument.name: argument for argument in app[command].assemble_argument_collection()}
    words = list[str]()
    for option in options_of_command(command):
        if option.positional:
            words.append("none")
        elif arguments[option.names[0]].required and option.names != but.names:
            words += [option.names[0], "1"]
    return words


def bound(words: Sequence[str], config: Path | None = None) -> dict[str, Any]:
    """What the words come to, records of options taken apart."""
    read_lists(words, config)
    _, found, _ = app.parse_args([*words], exit_on_error=False, print_error=False)
    taken = dict[str, Any]()
    for name, value in found.arguments.items():
        taken |= vars(value) if hasattr(value, "__dataclass_fields__") else {name: value}
    return taken


def test_there_are_lists_in_most_commands() -> None:
    assert {command for command, _ in LISTS} > {"prune", "cut", "merge", "compare", "train", "evaluate", "score", "report", "push"}
    assert len(LISTS) >= 20


@pytest.mark.parametrize(("command", "option"), LISTS, ids=[f"{command} {option.names[0]}" for command, option in LISTS])
def test_commas_spaces_repeats_and_a_file_are_the_same(command: str, option: FlatOption, tmp_path: Path) -> None:
    first, second, third = values_of(option)
    config = tmp_path / "asap.yaml"
    base = [command, *required(command, option)]
    for name in option.names:
        repeated = bound([*base, name, first, name, second, name, third])
        assert len([value for value in repeated.values() if isinstance(value, list | tuple) and len(value) == 3]) >= 1
        for words in (
            [name, first, second, third],
            [name, f"{first},{second},{third}"],
            [name, f"{first},", f"{second},", third],
            [f"{name}={first},{second}", third],
            [name, f"{first}, {second}", f"{name}={third}"],
        ):
            assert bound([*base, *words]) == repeated, words
        if name.startswith("--"):
            for text in (f"{first},{second}, {third}", f"[{first}, {second}, {third}]", f'["{first},{second}", {third}]'):
                config.write_text(f"{name.removeprefix('--')}: {text}\n")
                assert bound(base, config) == repeated, text


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_speaks_of_several_values_is_a_list(command: str) -> None:
    """So that no command reads a list in its own way; OPEN,CLOSE and the columns of shipped: are pairs."""
    for option in options_of_command(command):
        if option.kind is not bool and not option.positional and option.names[0] != "--split":
            speaks = re.search(r"with commas|several|again for more|one or more", option.help)
            assert option.several or not speaks, (command, option.names)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("prune --out o --format trl axolotl a.jsonl", {"source": ["a.jsonl"], "format": ["trl", "axolotl"]}),
        ("doctor --where a=b a.jsonl", {"source": ["a.jsonl"], "where": ["a=b"]}),
        ("compare --methods asap random a.jsonl --ratios .5 .25 --out o", {"source": ["a.jsonl"], "ratios": (0.5, 0.25)}),
        ("push --language en zh folder me/x", {"folder": Path("folder"), "repo": "me/x", "language": ["en", "zh"]}),
        ("push --language en zh -- folder me/x", {"folder": Path("folder"), "repo": "me/x", "language": ["en", "zh"]}),
        ("reproduce --data x.jsonl table1", {"table": "table1", "data": ["x.jsonl"]}),
        ("reproduce table1 --data x.jsonl y.jsonl", {"table": "table1", "data": ["x.jsonl", "y.jsonl"]}),
        ("evaluate --benchmark x --max-new-tokens 5 --out o --adapter a=one,b=two three", {"adapter": ["a=one", "b=two", "three"]}),
    ],
)
def test_words_that_the_command_needs_are_not_taken_by_a_list(
    line: str, named: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").touch()
    found = bound(line.split())
    assert {name: found[name] for name in named} == named


def test_a_comma_inside_a_value() -> None:
    assert values_in(r"a\,b,c") == ["a,b", "c"]
    assert values_in("text=a, b") == ["text=a, b"]
    assert values_in("betas=[0.9,0.95],lr=1e-5") == ["betas=[0.9,0.95]", "lr=1e-5"]
    assert values_in(" question = q, response=r,id=name") == [" question = q", "response=r", "id=name"]
    assert values_in(r"text=a\, b=c") == ["text=a, b=c"]


def test_a_word_that_is_a_file_is_one_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert values_in("runs,old") == ["runs", "old"]
    (tmp_path / "runs,old").mkdir()
    assert values_in("runs,old") == ["runs,old"]
    assert values_in("x," * 5000)[0] == "x"


@given(
    st.lists(st.text(st.characters(exclude_characters="\\=\0"), min_size=1, max_size=6).filter(lambda one: one == one.strip()), min_size=1)
)
@example(["a,b", ",", "c"])
def test_any_values_survive_with_their_commas_escaped(values: list[str]) -> None:
    assert values_in(",".join(value.replace(",", "\\,") for value in values)) == values


def test_nothing_is_no_list() -> None:
    with pytest.raises(UsageError, match="--format is ',', which names nothing"):
        bound(["cut", "a", "--out", "o", "--format", ","])
