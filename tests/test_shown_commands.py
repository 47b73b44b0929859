"""Every command that a page shows is read by the real command line: options exist, values are allowed. Python, JSON and YAML parse.

Nothing is run, so nothing needs hardware, models or data. Other tests run the commands of docs/data.md and examples/scale, the examples,
and README's Python; `make try-wheel` runs README's first minute.
"""

import inspect
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from asap.cli import COMMANDS
from command_lines import SHELLS, commands, fault_of, unknown_options
from pages import ROOT, Block, blocks, inline_code, markdown_of, name_of, pages

PAGES = pages()
OF_THEIR_TIME = {("docs/results/compare-before-copies.md", "no such method: local-surprisal")}
"""Faults of commands that made an old table, which the page explains."""
READERS: dict[str, Callable[[str], Any]] = {
    "python": lambda text: compile(text, "a page", "exec"),
    "json": json.loads,
    "yaml": yaml.safe_load,
}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods, scorers and steps of examples/ can be imported, as from a clone."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    shown = [command for block in blocks(markdown_of(page)) if block.language in SHELLS for command in commands(block)]
    faults = {f"line {line}: {' '.join(words)}": fault for line, words in shown if (fault := fault_of(words))}
    assert {where: fault for where, fault in faults.items() if (name_of(page), fault) not in OF_THEIR_TIME} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_that_a_sentence_gives_a_command_exists(page: Path) -> None:
    assert {f"line {code.line}": gone for code in inline_code(markdown_of(page)) if (gone := unknown_options(code.text))} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_other_blocks_of_a_page_are_what_they_say(page: Path) -> None:
    for block in blocks(markdown_of(page)):
        if read := READERS.get(block.language):
            read(block.text)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_of_a_command_are_right(name: str) -> None:
    module = name.replace("-", "_")
    text = inspect.getdoc(getattr(import_module(f"asap.cli.{module}"), module)) or ""
    _, _, examples = text.partition("Example")
    shown = [part.replace("\n", " ") for part in examples.partition(":")[2].split("\n\n")]
    found = [command for part in shown for command in commands(Block(0, "", part.strip())) if part.strip().startswith("asap ")]
    assert found or not examples
    assert {" ".join(words): fault for _, words in found if (fault := fault_of(words))} == {}


def test_commands_are_found_everywhere() -> None:
    ours = {
        page: sum("asap" in words for block in blocks(markdown_of(page)) if block.language in SHELLS for _, words in commands(block))
        for page in PAGES
    }
    assert sum(ours.values()) > 100
    for name in ("README.md", "docs/data.md", "docs/train.md", "docs/scale.md", "docs/results/maths.md", "examples/train.md"):
        assert ours[ROOT / name] > 2, name


PRUNE = "asap prune rows.jsonl --out pruned "


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("asap prun rows.jsonl", "no such command: prun"),
        (PRUNE + "--rato 0.5", "--rato"),
        (PRUNE + "--ratio half", "half"),
        (PRUNE + "--ratio 1.5", "1.5"),
        (PRUNE + "--budget 0.5", "not a whole number"),
        (PRUNE + "--coarse llm", "llm"),
        (PRUNE + "--method asap-coarse", "no such method: asap-coarse"),
        (PRUNE + "--method random --tau 0.5", "tau is for coarse rewrite"),
        (PRUNE + "--method examples.gone:fewest_digits", "examples.gone"),
        (PRUNE + "--scorer bundle", "no such kind of model: bundle"),
        (PRUNE + "--format trl --format unsloth", "unsloth"),
        (PRUNE + "--shard 8/8", "8/8"),
        ("asap prune rows.jsonl --ratio 0.5", "--out is missing"),
        ("asap cut --out pruned", "FOLDER"),
        ("asap compare rows.jsonl --methods asap,chance --out compared", "no such method: chance"),
        ("asap train pruned --model bundled --out trained --recipe paper", "there is no recipe 'paper'"),
        ("asap train pruned --model bundled --out trained --set learning_rat=1", "learning_rat"),
        ("asap train pruned --model bundled --out trained --launch 2x80gb", "2x80gb"),
        ("asap evaluate --model bundled --benchmark humanity --max-new-tokens 9 --out out", "no such benchmark: humanity"),
        ("cd clone && .venv/bin/asap review", "FOLDER"),
        ("A=1 asap cut a --out b --rato 0.5 | jq .kept > kept.txt   # a comment", "--rato"),
        ("torchrun --nproc-per-node 4 -m asap train pruned --modell bundled --out trained", "--modell"),
        ("python examples/gone.py", "no such script: examples/gone.py"),
        ("experiments/gone.sh TRACES", "no such script: experiments/gone.sh"),
        ("make pictures", "no such target: pictures"),
    ],
)
def test_a_wrong_command_is_found(line: str, fault: str) -> None:
    [found] = [one for command in commands(Block(1, "sh", f"{line}\n")) if (one := fault_of(command.words))]
    assert fault in found


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Block(1, "", "asap cut a \\\n    --out b\n"), ["asap cut a --out b"]),
        (Block(1, "console", "$ asap cut a --out b\nasap: a is no folder\n"), ["asap cut a --out b"]),
        (
            Block(1, "", 'S="--model M --out O"\nasap train a $S\nasap score x-$model\n'),
            ["asap train a --model M --out O", "asap score x-$model"],
        ),
        (
            Block(1, "sh", "asap prune a --where 'x=1;2' && echo done; asap --version  # asap gone\n"),
            ["asap prune a --where x=1;2", "echo done", "asap --version"],
        ),
    ],
)
def test_a_block_is_split_as_a_shell_splits_it(block: Block, words: list[str]) -> None:
    assert [" ".join(command.words) for command in commands(block)] == words


def test_an_option_in_a_sentence_is_looked_up_in_its_command() -> None:
    assert unknown_options("asap cut pruned --ratio 0.5 --quiet") == []
    assert unknown_options("asap cut … --scorer bundled") == ["--scorer"]
    assert unknown_options("vllm serve --dtype bfloat16") == []
