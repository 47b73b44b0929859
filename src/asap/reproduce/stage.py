"""A stage: one `asap` command with its inputs, in a folder whose name has a digest of both.

Whatever a stage depends on is in its words: settings as they are typed, and the stages whose results it reads. So two stages are the
same if their digests are, whichever tables they belong to.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from asap.digest import content_digest

RESULTS: Mapping[str, tuple[str, ...]] = {
    "data": ("pruned.jsonl", "decisions.jsonl"),
    "prune": ("pruned.jsonl", "decisions.jsonl"),
    "cut": ("pruned.jsonl", "decisions.jsonl"),
    "review": ("review.html",),
    "train": ("*.safetensors", "config.json", "tokenizer.json", "rows.jsonl"),
    "evaluate": ("attempts.jsonl", "verdicts.jsonl", "summary.json"),
    "compare": ("comparison.json",),
    "report": ("report.*",),
}
"""For each kind of stage the files that other stages read. What else a command writes may change."""
REPEATED = ("review", "compare", "report")
"""The kinds whose command replaces what it wrote, so that they are repeated when an input changes."""


class ResultOf(NamedTuple):
    """A word of a command: the folder of a stage, or a file in it, behind a prefix such as `hf:`."""

    stage: "Stage"
    prefix: str = ""
    file: str = ""


class RowsLike(NamedTuple):
    """A word of a command: how many of the first rows of `rows` have about as many trace tokens as all rows of `like`."""

    rows: "Stage"
    like: "Stage"


Typed = str | ResultOf | RowsLike


READ_FLOPS = 2.0
"""Operations a parameter for each token that a model reads or writes: a multiplication and an addition."""


class Work(NamedTuple):
    """What a stage has a model do: tokens read, written and trained, by a model of so many parameters; dollars for an LLM's replies.

    `trained_flops` are the operations a parameter for each token that is trained.
    """

    parameters: float = 0
    read: float = 0
    written: float = 0
    trained: float = 0
    dollars: float = 0
    trained_flops: float = 0

    @property
    def tokens(self) -> float:
        """All tokens."""
        return self.read + self.written + self.trained

    @property
    def flops(self) -> float:
        """All operations."""
        return self.parameters * (READ_FLOPS * (self.read + self.written) + self.trained_flops * self.trained)


NOTHING = Work()


@dataclass(frozen=True, eq=False)
class Stage:
    """One command. `files` are the user's own files that it reads, `serve` the command of a server that it needs."""

    kind: str
    label: str
    words: tuple[Typed, ...]
    work: Work = NOTHING
    files: tuple[str, ...] = ()
    serve: tuple[Typed, ...] = ()

    @cached_property
    def inputs(self) -> tuple["Stage", ...]:
        """The stages whose results the command reads, in the order of its words."""
        found = dict[Stage, None]()
        for word in (*self.words, *self.serve):
            found |= dict.fromkeys(stages_in(word))
        return tuple(found)

    @cached_property
    def key(self) -> str:
        """The digest of the settings and of the inputs."""
        words, serve = ([word if isinstance(word, str) else _keyed(word) for word in some] for some in (self.words, self.serve))
        return content_digest("stage", self.kind, words, *([serve] if serve else []))[:8]

    @property
    def name(self) -> str:
        """The name of the folder."""
        return f"{re.sub(r'[^A-Za-z0-9.]+', '-', f'{self.kind}-{self.label}'.strip('-'))}-{self.key}"

    def command(self, out: Path, rows: Callable[[RowsLike], str]) -> list[str]:
        """The words of the command, without `asap`. `rows` says how many rows are alike."""
        return [*spelled(self.words, out, rows), "--out", str(self.target(out))]

    def folder(self, out: Path) -> Path:
        """The folder of the results: the stage's own; of a review page that of the run that it is about, where `asap report` finds it."""
        return out / (self.inputs[0] if self.kind == "review" else self).name

    def target(self, out: Path) -> Path:
        """What the command writes: the folder of the results, or a file in it."""
        folder = self.folder(out)
        return folder / RESULTS[self.kind][0] if self.kind in ("compare", "review") else folder


def stages_in(word: Typed) -> Iterator[Stage]:
    """The stages that a word names."""
    if isinstance(word, ResultOf):
        yield word.stage
    elif isinstance(word, RowsLike):
        yield from word


def spelled(words: tuple[Typed, ...], out: Path, rows: Callable[[RowsLike], str]) -> list[str]:
    """The words as they are typed."""
    found = list[str]()
    for word in words:
        if isinstance(word, ResultOf):
            path = out / word.stage.name
            found.append(f"{word.prefix}{path / word.file if word.file else path}")
        else:
            found.append(rows(word) if isinstance(word, RowsLike) else word)
    return found


def _keyed(word: ResultOf | RowsLike) -> list[str]:
    if isinstance(word, ResultOf):
        return ["result", word.prefix, word.stage.key, word.file]
    return ["rows", word.rows.key, word.like.key]


def option_words(options: Mapping[str, Any]) -> list[str]:
    """The options as they are typed: a flag for true, nothing for false, one for each value of a list, `key=value` for mappings."""
    words = list[str]()
    for name, value in options.items():
        if isinstance(value, dict):
            values: list[Any] = [f"{key}={_spelling(inner)}" for key, inner in value.items()]
        else:
            values = value if isinstance(value, list) else [value]
        for one in values:
            if one is not False:
                words += [f"--{name}"] if one is True else [f"--{name}", _spelling(one)]
    return words


def _spelling(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
