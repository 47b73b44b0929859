"""Tiny models of known families, rows for them, and one run of the command line in this process."""

import atexit
import json
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "lm"))
from lm_helpers import QUESTION, TRACE, save_model, save_tokenizer

from asap.errors import RowError
from asap.lm.specs import load_tokens
from asap.lm.training_rows import TrainRow, encode_rows
from asap.lm.training_template import TrainingTemplate
from asap.sample import Sample
from asap.spans import Span

ANSWER = "def add(numbers):\n    return sum(numbers)"
SAMPLE = Sample("r1", QUESTION, TRACE, ANSWER)
FAST = ("use_peft=false", "report_to=none", "max_length=4096", "gradient_checkpointing=false", "disable_tqdm=true")


@cache
def scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="asap-tests-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def tokenizer_folder(family: str) -> Path:
    return save_tokenizer(family, scratch() / f"tokenizer-{family}")


@cache
def model_folder(family: str, architecture: str = "llama") -> Path:
    """A tiny random model with the tokenizer of a family; always the same."""
    torch.set_num_threads(1)
    folder = save_tokenizer(family, scratch() / f"{family}-{architecture}")
    return save_model(architecture, folder, initializer_range=0.05)


@cache
def template(family: str) -> TrainingTemplate:
    return TrainingTemplate(load_tokens(f"hf:{tokenizer_folder(family)}"))


def encode_row(template: TrainingTemplate, sample: Sample, masked: Sequence[Span] = ()) -> TrainRow:
    """The row of one sample, or the RowError."""
    [made] = encode_rows(template, [(sample, masked)])
    if isinstance(made, RowError):
        raise made
    return made


def row(number: int, lines: int = 3) -> dict[str, Any]:
    """A row whose text follows from its number."""
    steps = [f"Okay, so the sum of {number} and {place} is {number + place}." for place in range(lines)]
    return {"id": f"r{number}", "question": f"What is {number} + {lines}?", "cot": "\n\n".join(steps), "answer": f"It is {number + lines}."}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in rows), "utf-8")
    return path


def train_words(source: Path | str, out: Path, *options: str, model: str | None = None, changes: tuple[str, ...] = ()) -> list[str]:
    """The words of `asap train` on a tiny model with full parameters; changes take the place of what is usual here."""
    typed = [word for at, word in enumerate(options) if at and options[at - 1] == "--set"]
    values = {change.partition("=")[0]: change for change in (*FAST, *changes, *typed)}
    others = [word for at, word in enumerate(options) if word != "--set" and not (at and options[at - 1] == "--set")]
    settings = [word for change in values.values() for word in ("--set", change)]
    return ["train", str(source), "--out", str(out), "--model", model or f"hf:{model_folder('qwen')}", *settings, *others]


def steps_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "steps.jsonl").read_text("utf-8").splitlines()]
