"""Files and folders in which tools leave attempts, read as rows.

JSONL is read line by line. Also read: a JSON array or object (LiveCodeBench, EvalPlus' results, bigcode-evaluation-harness, inspect),
inspect's `.eval` archives, EvalPlus' folders with a file `TASK_ID/SAMPLE.py` for each program, and folders of lm-evaluation-harness. Only
what is clear is: a list of lists says nothing about its problems unless there is a list for each of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asap.dataset.jsonl import jsonl_rows
from asap.dataset.raw import RawRow
from asap.errors import InputError, RowError, one_line
from asap.evaluate.inspect_archive import archive_samples

UNTOLD = "output"
"""The column that programs and answers get of which their file does not say what they are."""


def attempt_rows(path: Path, known: Sequence[str]) -> Iterator[RawRow]:
    """The rows of a file or folder of attempts, in order. `known` are the ids of the problems. Raises InputError."""
    if path.is_dir():
        return _of_samples(path) or _of_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; attempts are expected, such as JSONL with task_id and solution")
    if path.suffix == ".eval":
        return archive_samples(path)
    if path.suffix != ".json":
        return jsonl_rows(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # rows, one a line
            return jsonl_rows(path)
        raise InputError(f"{path}: cannot be read as JSON ({one_line(error)})") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({one_line(error)})") from error
    return _of_json(path, value, known)


def _of_json(path: Path, value: object, known: Sequence[str]) -> Iterator[RawRow]:
    if isinstance(value, Mapping):
        if isinstance(value.get("samples"), (list, dict)):  # inspect's log, whose `eval` is what was run
            return _of_json(path, value["samples"], known)
        if isinstance(ran := value.get("eval"), (list, dict)):  # EvalPlus' results, or inspect's log of a run that wrote no sample
            return iter(()) if isinstance(ran, dict) and isinstance(ran.get("task"), str) else _of_json(path, ran, known)
        return _numbered(path, [{"task_id": name, **row} for name, one in value.items() for row in _rows(one)])
    if not isinstance(value, list):
        raise InputError(f"{path}: the file holds no JSON array or object of attempts")
    lists = [one for one in value if isinstance(one, list)]
    if lists and len(lists) == len(value):
        if len(value) != len(known):
            raise InputError(
                f"{path}: the file holds {len(value)} lists, but the benchmark has {len(known)} problems, so which list belongs to which "
                "is not known; a list for each problem in the benchmark's order, or an object of problems and their lists, is expected"
            )
        return _numbered(path, [{"task_id": name, UNTOLD: one} for name, one in zip(known, value, strict=True)])
    return _numbered(path, value)


def _rows(value: object) -> list[Mapping[str, object]]:
    """The rows in the value of a problem in an object: rows of their own, or texts."""
    values = value if isinstance(value, list) else [value]
    rows: list[Mapping[str, object]] = [row for row in values if isinstance(row, dict)]
    return rows if rows and len(rows) == len(values) else [{UNTOLD: value}]


def _numbered(path: Path, rows: Sequence[object]) -> Iterator[RawRow]:
    for number, row in enumerate(rows, 1):
        if isinstance(row, dict):
            yield RawRow.good(str(path), number, row)
        else:
            yield RawRow.bad(str(path), number, "not_an_object", "an object is expected")


def _of_samples(folder: Path) -> Iterator[RawRow] | None:
    """The rows that lm-evaluation-harness logged into a folder or a model's folder in it; None if it did not."""
    found = sorted([*folder.glob("samples_*.jsonl"), *folder.glob("*/samples_*.jsonl")])
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        raise InputError(f"{folder}: the folder holds samples of {len(found)} runs ({names}); name one of these files")
    return jsonl_rows(found[0]) if found else None


def _of_folder(folder: Path) -> Iterator[RawRow]:
    """The programs in EvalPlus' layout, problem by problem, each one's by number."""
    files = sorted((path for path in folder.glob("*/*") if path.is_file()), key=lambda path: (path.parent.name, _number(path), path.name))
    if not any(path.suffix == ".py" for path in files):
        raise InputError(f"{folder}: the folder has no file TASK_ID/SAMPLE.py, as EvalPlus writes them; for rows, name their file")
    for path in files:
        if path.suffix != ".py":
            yield RawRow.bad(str(path), 1, "not_python", "a program with the ending .py is expected")
            continue
        try:
            yield RawRow.good(str(path), 1, {"task_id": path.parent.name, UNTOLD: path.read_text(encoding="utf-8")})
        except (OSError, ValueError) as error:
            yield RawRow(str(path), 1, None, RowError("bad_utf8", f"cannot be read ({one_line(error)})", path.parent.name))


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() and path.stem.isascii() else -1
