"""The command lines in blocks of code: found as a shell would, read by the real command line, and not run."""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from cyclopts import CycloptsError

from asap.benchmarks.load import _KINDS, NAMES
from asap.cli import COMMANDS, app, read_lists
from asap.cli.config import without_config
from asap.cli.manner import _FLAGS, without_manner
from asap.cli.prune import _settings
from asap.cli.settings import typed
from asap.compare.grid import FINE
from asap.dataset.formats import format_of
from asap.dataset.shard import Shard
from asap.errors import AsapError, UsageError, one_line
from asap.lm.specs import is_own, is_spec
from asap.prune.methods import METHODS, TOKEN_LEVEL
from asap.train.launch import launch_names
from asap.train.recipe import load_recipe
from pages import ROOT, Block

SHELLS = ("", "sh", "bash", "shell", "console")
PYTHONS = re.compile(r"(.*/)?python[\d.]*|torchrun|accelerate")
ASSIGNMENT = re.compile(r"""^\s*(\w+)=("[^"]*"|'[^']*'|\S+)\s*$""")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
OPERATORS = "();<>|&"
NEEDS = re.compile(r"(?:^|\s)# needs ([^:;,()]+)")
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


class Line(NamedTuple):
    """A line that a shell gets, where it stands, and what a reader needs for it beside a clone with its extras ("" for nothing)."""

    number: int
    text: str
    needs: str


class Command(NamedTuple):
    """The words of one command, the first of which is the program, and the line of its page."""

    line: int
    words: tuple[str, ...]


def lines(block: Block) -> Iterator[Line]:
    """The lines of a block with its variables put in. In a `console` block only lines behind a prompt are commands.

    A comment that begins with "needs" marks the line that it ends, or, on a line of its own, all below it.
    """
    variables, below = dict[str, str](), ""
    for number, text in _whole_lines(block.text):
        if block.language == "console" and not text.startswith("$ "):
            continue
        needs = marked[1].strip() if (marked := NEEDS.search(text)) else below
        if text.startswith("#"):
            below = needs
        elif assigned := ASSIGNMENT.match(text):
            variables[assigned[1]] = assigned[2].strip("\"'")
        else:
            text = re.sub(r"\$\{?(\w+)\}?", lambda name: variables.get(name[1], name[0]), text.removeprefix("$ "))
            yield Line(block.line + number, text, needs)


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block, with its variables put in."""
    for line in lines(block):
        yield from (Command(line.number, words) for words in _split(line.text))


def fault_of(words: Sequence[str]) -> str | None:
    """Why a command would be refused before it does anything; None if it is right, or of a program that is not ours."""
    program = words[0]
    if program == "asap" or program.endswith("/asap"):
        return fault_of_ours(words[1:])
    if PYTHONS.fullmatch(program):
        if "asap" in words and words[words.index("asap") - 1] == "-m":
            return fault_of_ours(words[words.index("asap") + 1 :])
        scripts = [word for word in words[1:2] if word.endswith(".py") and "$" not in word and not (ROOT / word).is_file()]
        return f"no such script: {scripts[0]}" if scripts else None
    if program.endswith(".sh") and not (ROOT / program).is_file():
        return f"no such script: {program}"
    if program == "make":
        gone = [word for word in words[1:] if not word.startswith("-") and "=" not in word and word not in TARGETS]
        return f"no such target: {gone[0]}" if gone else None
    return None


def fault_of_ours(words: Sequence[str]) -> str | None:
    """Why the command line refuses the words behind `asap`; None if it takes them."""
    try:
        left, _ = without_config(without_manner(words)[0])
        if left and left[0] not in COMMANDS and not left[0].startswith("-"):
            return f"no such command: {left[0]}"
        read_lists(left)
        _, bound, _ = app.parse_args(left, print_error=False, exit_on_error=False)
        values = dict(_flat(bound.arguments))
        for name, check in CHECKS.items():
            for value in _listed(values.get(name)):
                check(value)
        for name in ("scorer", "judge", "llm", "model"):
            _model(values.get(name, "bundled"))
        if left[:1] == ["prune"]:
            _check_prune(bound.arguments, values)
        if left[:1] == ["train"] and not str(recipe := values.get("recipe", "laptop")).endswith((".yaml", ".yml")):
            load_recipe(recipe, values.get("set") or ())
    except (AsapError, CycloptsError) as error:
        return one_line(error)
    return None


def unknown_options(code: str) -> list[str]:
    """The options that a sentence's code, such as `asap cut --ratio`, names and its command does not have; of others none."""
    words = code.split()
    if words[:1] != ["asap"] or len(words) < 2 or words[1] not in COMMANDS:
        return []
    known = {name for argument in app[words[1]].assemble_argument_collection() for name in argument.names}
    return [word for word in OPTION.findall(code) if word not in {*known, *_FLAGS, "--config", "--help"}]


def _check_prune(given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises UsageError for settings that do not go together."""
    chosen = typed(given["options"]) if "options" in given else {}
    chosen |= {name: values[name] for name in ("budget", "ratio", "step_split") if name in values}
    coarse = values.get("coarse") or (
        "select" if values.get("llm") else "none" if values.get("scorer", "").startswith("shipped:") else "align"
    )
    _settings(values.get("method", "asap"), coarse, chosen)
    if "out" not in values and not values.get("dry_run"):
        raise UsageError("--out is missing")


def _method(name: str) -> None:
    if name not in {*METHODS, *TOKEN_LEVEL, FINE} and not is_own(name):
        raise UsageError(f"no such method: {name}")


def _model(spec: str) -> None:
    if not (is_spec(spec) or is_own(spec)):
        raise UsageError(f"no such kind of model: {spec}")


def _benchmark(name: str) -> None:
    if name not in _KINDS and name.partition(":")[0] not in {*_KINDS, "livecodebench"}:
        raise UsageError(f"no such benchmark: {name}; write one of: {NAMES}")


def _launch(name: str) -> None:
    if name not in launch_names() and not name.endswith(".yaml"):
        raise UsageError(f"no such launch config: {name}")


def _format(name: str) -> None:
    if name != "parquet":
        format_of(name)


CHECKS: Mapping[str, Callable[[str], Any]] = {
    "method": _method,
    "methods": _method,
    "format": _format,
    "shard": Shard.parse,
    "launch": _launch,
    "benchmark": _benchmark,
}
"""What a command checks of an option only once it runs."""


def _listed(value: Any) -> list[str]:
    """The values of an option that was given several times, or holds several with commas between them."""
    given: Iterable[str] = [] if value is None else [value] if isinstance(value, str) else value
    return [part for one in given for part in one.split(",")]


def _flat(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of all options that have one, those inside groups of options too."""
    for name, value in arguments.items():
        inside = {field.name: getattr(value, field.name) for field in fields(value)} if is_dataclass(value) else {name: value}
        yield from ((one, found) for one, found in inside.items() if found is not None)


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text by their number, those that end in a backslash with what follows."""
    begun, first = "", 0
    for number, line in enumerate(text.splitlines()):
        first = first if begun else number
        begun += line.strip()
        if begun.endswith("\\"):
            begun = begun.removesuffix("\\")
        elif begun:
            yield first, begun
            begun = ""


def plain_words(line: str) -> list[str] | None:
    """The words of a line that is one command and leaves nothing for a shell to do; None for any other line."""
    parts = _parts(line)
    return None if any({*part} <= {*OPERATORS} or re.search(r"[*$`~]", part) for part in parts) or ASSIGNMENT.match(parts[0]) else parts


def _parts(line: str) -> list[str]:
    """The words and operators of a line, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    return [*lexer]


def _split(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line, without comments, variables set for one of them, and where their output goes."""
    words = list[str]()
    try:
        parts = [*_parts(line), ";"]
    except ValueError:  # an apostrophe of a sentence: no shell would take it
        return
    for part in parts:
        if {*part} <= {*OPERATORS}:
            if words:
                yield tuple(words)
            words = []
        elif words or not ASSIGNMENT.match(part):
            words.append(part)
