"""What logs of evaluations say of each answer: ours, lm-evaluation-harness', inspect's, EvalPlus', LiveCodeBench's, and plain JSONL.

Each row is told by its columns, not by the file's name, and brings the values of all of its metrics; which of them counts is not chosen
here. What this does not do: judge an answer, or tell a score that was made up from one that was measured.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import read_json
from asap.dataset.raw import Row
from asap.errors import InputError
from asap.evaluate.attempt_files import attempt_rows
from asap.evaluate.inspect_archive import archive_header
from asap.lm.fields import list_in, number_in, object_in
from asap.sample import id_text

PASSED = "passed"
_WORDS = {"c": 1.0, "p": 0.5, "i": 0.0, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What inspect's scorers write for a value: correct, partial, incorrect, no answer."""
_HARNESS = {
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
}
_EVALPLUS = {"humaneval", "mbpp"}
_KNOWN = (
    "an output folder of asap evaluate or asap score, samples_*.jsonl of lm-evaluation-harness or their folder, inspect's .eval or .json, "
    "EvalPlus' *_eval_results.json, LiveCodeBench's *_eval_all.json, or JSONL with task_id and passed (or score, from 0 to 1)"
)


class Logged(NamedTuple):
    """What a log says of one answer. A score is None if the answer could not be judged; what it is otherwise is not checked yet."""

    benchmark: str
    task_id: str
    scores: Mapping[str, object]
    columns: Row
    tokens: float | None = None
    seconds: float | None = None
    thinking: float | None = None
    """1 if it thought to the end, 0 if it did not."""
    repeat: str | None = None
    """What distinguishes it from other answers to the problem, where the log numbers them: no two have the same."""
    problem: str | None = None
    """A digest of the problem."""


class Log(NamedTuple):
    """The answers in a log, and what else it says of its run: the model's name, if it has it."""

    answers: list[Logged]
    model: str | None = None


def read_log(path: Path) -> Log:
    """The answers in a file, or in a folder of lm-evaluation-harness. Raises InputError."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; expected is {_KNOWN}")
    if path.is_dir():
        return Log([answer for file in _samples_files(path) for answer in _answers(file, _task(file))])
    header = _header(path)
    task, model = object_in(header).get("task"), object_in(header).get("model")
    named = str(model) if isinstance(model, str) else None
    answers = list(_answers(path, str(task) if isinstance(task, str) else _task(path), named))
    if not answers:
        raise InputError(f"{path} holds no answers: the run may have ended before its first one; expected is {_KNOWN}")
    return Log(answers, named)


def _samples_files(folder: Path) -> list[Path]:
    """The samples that lm-evaluation-harness logged, one file a task."""
    found = sorted([*folder.glob("samples_*.jsonl"), *folder.glob("*/samples_*.jsonl")])
    if not found:
        raise InputError(f"{folder} holds no verdicts.jsonl and summary.json, and no samples_*.jsonl; expected is {_KNOWN}")
    tasks = dict[str, Path]()
    for file in found:
        if (other := tasks.setdefault(_task(file), file)) != file:
            raise InputError(f"{folder}: {other.relative_to(folder)} and {file.relative_to(folder)} are two runs of one task; name one")
    return found


def _task(path: Path) -> str:
    """The task in the name samples_TASK_TIME.jsonl; "log" for another name."""
    return path.stem.removeprefix("samples_").rpartition("_")[0] or path.stem if path.stem.startswith("samples_") else "log"


def _header(path: Path) -> object:
    """What inspect says of a run; None for other logs."""
    if path.suffix == ".eval":
        return archive_header(path).get("eval")
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        return object_in(read_json(path)).get("eval")
    except InputError:
        return None  # rows, one a line, or what cannot be read at all: its reader says so


def _answers(path: Path, task: str, model: str | None = None) -> Iterator[Logged]:
    read: Callable[[Row, str, str | None], list[Logged]] | None = None
    for raw in attempt_rows(path, ()):
        where = f"{raw.source}, line {raw.line}"
        if raw.value is None:
            raise InputError(f"{where}: {raw.error.detail if raw.error else 'no object'}")
        if read is None:
            read = next((reader for marks, reader in _READERS if marks <= raw.value.keys()), None)
            if read is None:
                raise InputError(f"{where}: its columns are those of no log that is known; expected is {_KNOWN}")
        found = read(raw.value, task, model)
        if not found:
            raise InputError(f"{where}: the row has no id or no result as the first one has, so the file is damaged or of several tools")
        yield from found


def _of_harness(row: Row, task: str, model: str | None) -> list[Logged]:
    """A row of lm-evaluation-harness: one for each problem and filter, with the metrics named as in its results, METRIC,FILTER."""
    task_id = id_text(row.get("doc_id"))
    if task_id is None:
        return []
    named = [name for name in list_in(row.get("metrics")) if isinstance(name, str)]
    kept = str(row.get("filter", "none"))
    scores = {f"{name},{kept}": row.get(name) for name in named or row.keys() - _HARNESS}
    return [Logged(task, task_id, scores, {**object_in(row.get("doc")), **row}, repeat=kept, problem=id_text(row.get("doc_hash")))]


def _of_inspect(row: Row, task: str, model: str | None) -> list[Logged]:
    """A sample of inspect. One that ended in an error has no scores: it could not be judged."""
    task_id = id_text(row.get("id"))
    if task_id is None:
        return []
    scores = dict[str, object]()
    for scorer, score in object_in(row.get("scores")).items():
        value = object_in(score).get("value")
        parts = {f"{scorer}.{name}": part for name, part in value.items()} if isinstance(value, dict) else {str(scorer): value}
        scores |= {name: _worded(part) for name, part in parts.items()}
    usage = object_in(row.get("model_usage"))
    used = object_in(usage.get(model) if model in usage else next(iter(usage.values())) if len(usage) == 1 else None)
    columns = {**object_in(row.get("metadata")), **row}
    tokens, seconds = number_in(used.get("output_tokens")), number_in(row.get("total_time"))
    return [Logged(task, task_id, scores, columns, tokens, seconds, repeat=str(row.get("epoch")))]


def _worded(value: object) -> object:
    """The number that a word stands for."""
    if not isinstance(value, str):
        return value
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    try:
        return float(value)
    except ValueError:
        return value


def _of_evalplus(row: Row, task: str, model: str | None) -> list[Logged]:
    """A solution in EvalPlus' results: on HumanEval or MBPP by the base tests, on HumanEval+ or MBPP+ by the others as well."""
    task_id, base, plus = id_text(row.get("task_id")), row.get("base_status"), row.get("plus_status")
    if task_id is None or not isinstance(base, str):
        return []
    named = task_id.partition("/")[0].lower()
    name = named if named in _EVALPLUS else task
    found = [Logged(name, task_id, {"base": base == "pass"}, row)]
    return found + ([Logged(f"{name}+", task_id, {"plus": base == plus == "pass"}, row)] if isinstance(plus, str) else [])


def _of_livecodebench(row: Row, task: str, model: str | None) -> list[Logged]:
    """A problem of LiveCodeBench, with all of its answers."""
    task_id, part = id_text(row.get("question_id", row.get("id"))), id_text(row.get("test_id", row.get("id")))
    if task_id is None:
        return []
    task_id = f"{task_id}/{part}" if part is not None and "question_id" in row else task_id  # predictions have several rows a question
    graded = enumerate(list_in(row.get("graded_list")))
    return [Logged("livecodebench", task_id, {PASSED: one}, row, repeat=str(at)) for at, one in graded]


def _of_ours(row: Row, task: str, model: str | None) -> list[Logged]:
    """A row of verdicts.jsonl. Nothing is known of what the sandbox could not judge."""
    benchmark, task_id = row.get("benchmark"), row.get("task_id")
    if not isinstance(benchmark, str) or not isinstance(task_id, str):
        return []
    if row.get("verdict") == "infra":
        return [Logged(benchmark, task_id, {PASSED: None}, row)]
    tokens, seconds = number_in(row.get("tokens")), number_in(row.get("seconds"))
    thinking = float(row["thinking"] == "complete") if "thinking" in row else None
    return [Logged(benchmark, task_id, {PASSED: row.get(PASSED)}, row, tokens, seconds, thinking)]


def _of_rows(row: Row, task: str, model: str | None) -> list[Logged]:
    """A plain row: an id, and results that are true or false, or a score."""
    task_id = id_text(row.get("task_id", row.get("id")))
    scores = {name: value for name, value in row.items() if isinstance(value, bool) or name in (PASSED, "correct", "score")}
    if task_id is None or not scores:
        return []
    return [Logged(str(row.get("benchmark", task)), task_id, scores, row, number_in(row.get("tokens")), number_in(row.get("seconds")))]


_READERS: tuple[tuple[set[str], Callable[[Row, str, str | None], list[Logged]]], ...] = (
    ({"doc_id", "resps"}, _of_harness),
    ({"graded_list"}, _of_livecodebench),
    ({"base_status"}, _of_evalplus),
    ({"id", "epoch", "scores"}, _of_inspect),
    ({"id", "epoch", "input", "target"}, _of_inspect),  # one that ended in an error has no scores
    ({"benchmark", "task_id", "verdict"}, _of_ours),
    ({"task_id"}, _of_rows),
    ({"id"}, _of_rows),
)


def verdict_answers(path: Path) -> Iterator[Logged]:
    """The answers in a verdicts.jsonl of ours. Raises InputError."""
    for raw in attempt_rows(path, ()):
        row: Mapping[str, Any] = raw.value or {}
        if not isinstance(row.get(PASSED), (bool, int, float)):
            continue
        found = _of_ours(row, "", None)
        if not found:
            raise InputError(f"{path}, line {raw.line}: benchmark or task_id is missing, so this file was not written by asap")
        yield from found
