"""Data sets: reads rows from any common container in any common shape, and writes rows for common training tools."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from asap.atomic import replacing
from asap.dataset.columns import line_of, travelling
from asap.dataset.containers import RawRow, iter_rows
from asap.dataset.conversations import RejectedTurn, turns_of
from asap.dataset.formats import FORMATS, dataset_info, format_of
from asap.dataset.generations import each_generation
from asap.dataset.raw import Row
from asap.dataset.row_rules import DEFAULT_RULES, RowRules
from asap.dataset.shapes import Shaped, check_columns, id_column_of, id_of
from asap.dataset.shapes import to_sample as as_shaped
from asap.dataset.shown_row import render_row, row_line
from asap.dataset.where import FILTERED, LACKS, check_wanted
from asap.errors import AsapError, InputError, MissingExtra, RowError, UsageError
from asap.sample import Sample, checked_sample

__all__ = [
    "FORMATS",
    "RawRow",
    "Rejected",
    "RejectedTurn",
    "RowRules",
    "Shaped",
    "check_columns",
    "dataset_info",
    "iter_rows",
    "iter_shaped",
    "read_samples",
    "render_row",
    "row_line",
    "to_sample",
    "write_samples",
]


class Rejected(NamedTuple):
    """A row that cannot be used, with its location and the reason."""

    id: str | None
    source: str
    line: int
    reason: str
    detail: str

    @classmethod
    def of(cls, source: str, line: int, error: RowError) -> "Rejected":
        """The record of an error in a row."""
        return cls(error.row_id, source, line, error.reason, error.detail)

    def as_row(self) -> dict[str, Any]:
        """The row of rejected.jsonl."""
        # a file name may not be UTF-8, but the row must be
        return {**self._asdict(), "source": self.source.encode("utf-8", "backslashreplace").decode("utf-8")}


def iter_shaped(
    sources: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    hub_config: str | None = None,
    hub_split: str | None = None,
    rules: RowRules = DEFAULT_RULES,
    limit: int | None = None,
    on_failure: Callable[[AsapError], None] | None = None,
) -> Iterator[tuple[str, int, Shaped | RowError]]:
    """Every row of the sources, or the first `limit`, in order: source, line, and the sample with its shape, or the row's error.

    A conversation of several turns gives one result for each turn that thinks.

    Raises UsageError at the call for wrong `columns` or `rules`, InputError on reaching a source that cannot be used, and at the end for
    `columns` or columns of `rules.where` that no row has. With `on_failure`, that gets the error of a source, and the next source follows.
    """
    if columns:
        check_columns(columns)
    rules.check()
    rows = _all_rows(sources, hub_config, hub_split, on_failure)
    return _shaped(islice(rows, limit), columns, rules)


def _all_rows(
    sources: Sequence[str], config: str | None, split: str | None, on_failure: Callable[[AsapError], None] | None
) -> Iterator[RawRow]:
    for source in sources:
        try:
            yield from iter_rows(source, hub_config=config, hub_split=split)
        except (InputError, MissingExtra) as error:
            if on_failure is None:
                raise
            on_failure(error)


def _shaped(rows: Iterable[RawRow], columns: Mapping[str, str] | None, rules: RowRules) -> Iterator[tuple[str, int, Shaped | RowError]]:
    wanted, has, usable = dict(columns or {}), dict[str, None](), False
    lacking: RowError | None = None
    chosen = not rules.where
    for row in rows:
        if wanted and row.value is not None:
            has = has or dict.fromkeys(row.value)
            wanted = {key: name for key, name in wanted.items() if name not in row.value}
        for result in _of_row(row, columns, rules):
            usable = usable or isinstance(result, Shaped)
            if isinstance(result, RowError) and result.reason == LACKS:
                lacking = result
            elif row.value is not None:
                chosen = True
            yield row.source, row.line, result
    if lacking and not chosen:
        raise InputError(f"no row has the column that --where names: {lacking.detail}")
    if wanted and usable:  # else the rejections tell
        missing = ", ".join(f"{key}={name}" for key, name in wanted.items())
        raise InputError(f"columns {missing} names a column that no row has; the first row has: {', '.join(map(repr, has))}")


def _of_row(row: RawRow, columns: Mapping[str, str] | None, rules: RowRules) -> Iterable[Shaped | RowError]:
    if row.value is None:
        return [row.error or RowError("bad_value", "the row has neither a value nor an error")]
    return shaped_of(row.value, columns, rules)


def shaped_of(row: Row, columns: Mapping[str, str] | None, rules: RowRules) -> Iterable[Shaped | RowError]:
    """What a row gives: a sample for each generation and turn that is read, or errors."""
    if not rules.each_generation:
        return _shape(row, columns, rules)
    rows = each_generation(row, columns or {}, id_column_of(row, columns), rules.table)
    return (result for value in rows for result in _shape(value, columns, rules))


def _shape(row: Row, columns: Mapping[str, str] | None, rules: RowRules) -> Iterable[Shaped | RowError]:
    """What a row gives: one sample, each turn of a conversation that thinks, or an error."""
    try:
        check_wanted(row, rules.conditions)
        turns = turns_of(row, columns, rules)
        return turns if turns is not None else [as_shaped(row, columns, rules)]
    except RowError as error:
        return [error if error.row_id is not None else error.of_row(id_of(row, columns))]


def to_sample(row: Row, columns: Mapping[str, str] | None = None, rules: RowRules = DEFAULT_RULES) -> Shaped:
    """The row as a Sample, in the attribute `sample` of what is returned, beside the name of the row's shape.

    `columns` says which columns hold what, for rows whose columns do not: {"question": "prompt", "response": "text"}; allowed are id,
    question, response, cot, answer, messages and system. Raises RowError, with the row's id if known.

    Example: ``to_sample({"question": "1+1?", "response": "<think>One, two.</think>2"}).sample``
    """
    _check_call(columns, rules)
    if not isinstance(row, Mapping):
        raise UsageError(
            f"the row is a {type(row).__name__}; a dict of its columns is expected, such as {{'question': ..., 'response': ...}}"
        )
    try:
        return as_shaped(row, columns, rules)
    except RowError as error:
        raise _of_several_turns(row, columns, rules, error) or error.for_python() from None


def _of_several_turns(row: Row, columns: Mapping[str, str] | None, rules: RowRules, error: RowError) -> RowError | None:
    """The error of a row that cannot be one sample, but would be several."""
    if error.reason != "multi_turn":
        return None
    with suppress(RowError):
        if (count := sum(isinstance(turn, Shaped) for turn in turns_of(row, columns, rules) or ())) > 1:
            detail = f"the row is a conversation with {count} turns that think; asap.read_samples, which reads files, has each"
            return RowError("multi_turn", detail, error.row_id)
    return None


def _check_call(columns: object, rules: object) -> None:
    if columns is not None and not isinstance(columns, Mapping):
        raise UsageError(f"columns is a {type(columns).__name__}; a dict is expected, such as {{'question': 'prompt', 'response': 'text'}}")
    if not isinstance(rules, RowRules):
        raise UsageError(f"rules is a {type(rules).__name__}; asap.RowRules(each_generation=True) or the like is expected")


def read_samples(
    *sources: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    hub_config: str | None = None,
    hub_split: str | None = None,
    rules: RowRules = DEFAULT_RULES,
    on_reject: Callable[[Rejected], None] | None = None,
) -> Iterator[Sample]:
    """The samples of the sources in order, without rows that `rules.where` leaves out.

    A bad row is passed to `on_reject`; without it, it raises RowError.
    """
    _check_call(columns, rules)
    for source in sources:
        if not isinstance(source, str | os.PathLike):
            raise UsageError(
                f"a source is a {type(source).__name__}; each file, folder or Hub id is an argument: read_samples('a.jsonl', 'b')"
            )
    rows = iter_shaped([os.fspath(source) for source in sources], columns=columns, hub_config=hub_config, hub_split=hub_split, rules=rules)
    return _samples(rows, on_reject)


def _samples(rows: Iterator[tuple[str, int, Shaped | RowError]], on_reject: Callable[[Rejected], None] | None) -> Iterator[Sample]:
    for source, line, result in rows:
        if isinstance(result, Shaped):
            yield result.sample
        elif result.reason == FILTERED:
            continue
        elif on_reject is not None:
            on_reject(Rejected.of(source, line, result.for_python()))
        else:
            said = result.for_python()
            raise RowError(said.reason, f"{source}, line {line}: {said.detail}", said.row_id) from None


def write_samples(path: str | os.PathLike[str], samples: Iterable[Sample], format: str | None = None) -> int:
    """Write the samples as JSONL and return their number; the file appears whole or not at all.

    `format` is a name in FORMATS; None writes the rows of pruned.jsonl.
    """
    to_row = format_of(format)
    count = 0
    with replacing(path) as file:
        for sample in samples:
            file.write(line_of(to_row(replace(checked_sample(sample), meta=travelling(sample.meta)))))
            count += 1
    return count
