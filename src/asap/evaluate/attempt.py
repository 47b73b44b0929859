"""One attempt at a problem, and reading attempts from the files of this and of other tools."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asap.dataset import Rejected
from asap.dataset.jsonl import jsonl_rows
from asap.errors import InputError, RowError, one_line

KINDS = ("generation", "solution", "completion")
_IDS = ("task_id", "question_id", "id")
_LISTS = {"code_list": "solution", "output_list": "generation"}  # LiveCodeBench: all samples of a problem in one row


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was written for a problem. `kind` says how `text` becomes a program; `sample` counts from 0 for each problem.

    `measured` holds what else is known of it: tokens, seconds, how it stopped.
    """

    task_id: str
    sample: int
    kind: str
    text: str
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cut_off(self) -> bool:
        """Whether its token budget or the model's context ran out."""
        return self.measured.get("stopped_by") in ("length", "context")


def read_attempts(path: Path, known: Sequence[str], benchmark: str | None = None) -> Iterator[Attempt | Rejected]:
    """The attempts in a JSONL file, or in LiveCodeBench's output (one JSON array), in their order.

    Rows about other benchmarks are passed over if `benchmark` is given. Raises InputError if nothing in the file can be read.
    """
    samples, tasks = Counter[str](), set(known)
    for line, row in _rows(path):
        if isinstance(row, RowError):
            yield Rejected.of(str(path), line, row)
            continue
        if benchmark and row.get("benchmark", benchmark) != benchmark:
            continue
        try:
            task_id, texts = _texts(row, tasks)
        except RowError as error:
            yield Rejected.of(str(path), line, error)
            continue
        for kind, text in texts:
            measured = {name: value for name, value in row.items() if name not in (*KINDS, *_IDS, *_LISTS, "sample")}
            yield Attempt(task_id, samples[task_id], kind, text, measured)
            samples[task_id] += 1


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | RowError]]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; a JSONL file of attempts is expected")
    if path.suffix == ".json":
        yield from enumerate(_array(path), 1)
        return
    for raw in jsonl_rows(path):
        yield raw.line, raw.value if raw.error is None and raw.value is not None else raw.error or RowError("bad_json", "no object")


def _array(path: Path) -> list[Mapping[str, Any] | RowError]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({one_line(error)})") from error
    if not isinstance(values, list):
        raise InputError(f"{path}: the file holds no JSON array; LiveCodeBench's output, or JSONL with the ending .jsonl, is expected")
    return [value if isinstance(value, dict) else RowError("not_an_object", "an object is expected") for value in values]


def _texts(row: Mapping[str, Any], tasks: set[str]) -> tuple[str, list[tuple[str, str]]]:
    """The problem that a row is about, and its texts with their kinds. Raises RowError."""
    given = next((row[name] for name in _IDS if name in row), None)
    task_id = str(given) if isinstance(given, (str, int)) and not isinstance(given, bool) else None
    if task_id is None:
        raise RowError("no_task_id", "the row has no task_id (a text); which problem it answers is not known")
    if task_id not in tasks:
        raise RowError("unknown_task", f"task_id {task_id[:80]!r} is no problem of this benchmark", task_id)
    texts = [(kind, row[kind]) for kind in KINDS if kind in row][:1]
    for name, kind in _LISTS.items():
        if not texts and isinstance(row.get(name), list):
            texts = [(kind, text) for text in row[name]]
    if not texts:
        raise RowError("no_attempt", f"the row has none of the columns {', '.join(KINDS)}, code_list", task_id)
    for kind, text in texts:
        if not isinstance(text, str):
            raise RowError("wrong_type", f"{kind} is {type(text).__name__}; a text is expected", task_id)
    return task_id, texts
