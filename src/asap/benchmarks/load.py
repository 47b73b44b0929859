"""The benchmark with a given name: `humaneval`, `livecodebench:v4_v5`, `humaneval:my_problems.jsonl`, …"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asap.benchmarks import evalplus, humaneval, leetcode, livecodebench, maths, stdin, traces
from asap.benchmarks.files import FileRow, file_digest, rows_of
from asap.benchmarks.problem import Problem
from asap.benchmarks.wording import template_digest
from asap.dataset import Shaped, shaped_of
from asap.dataset.row_rules import DEFAULT_RULES, RowRules
from asap.errors import InputError, UsageError


class _Kind(NamedTuple):
    """How to find and read a benchmark; `problems` is the number of problems in its official file, `wordings` its requests."""

    find: Callable[[], Path]
    read: Callable[[Path], list[Problem]]
    problems: int | None
    wordings: tuple[str, ...]
    takes_files: bool = True


_KINDS = {
    "humaneval": _Kind(humaneval.humaneval_file, humaneval.humaneval, 164, ("complete",)),
    "humaneval+": _Kind(evalplus.humaneval_plus_file, evalplus.humaneval_plus, evalplus.HUMANEVAL_PROBLEMS, ("complete",), False),
    "mbpp+": _Kind(evalplus.mbpp_plus_file, evalplus.mbpp_plus, evalplus.MBPP_PROBLEMS, ("task",), False),
    "leetcode": _Kind(leetcode.leetcode_file, leetcode.leetcode, 228, ("query", "call")),
    "stdin": _Kind(stdin.stdin_file, stdin.stdin, None, ("stdin",)),
    "traces": _Kind(traces.traces_file, traces.traces, None, ("trace", "trace_named")),
    "gsm8k": _Kind(maths.maths_file("gsm8k_test"), maths.gsm8k, 1319, ("maths",), False),
    "gsm8k:clean": _Kind(maths.maths_file("gsm8k_test"), maths.gsm8k_clean, 737, ("maths",), False),
    "math500": _Kind(maths.maths_file("math500"), maths.math500, 500, ("maths",), False),
    "aime24": _Kind(maths.maths_file("aime24"), maths.aime, 30, ("maths",), False),
    "aime25": _Kind(maths.maths_file("aime25"), maths.aime, 30, ("maths",), False),
    "svamp": _Kind(maths.svamp_file, maths.svamp, 1000, ("maths",), False),
    "maths": _Kind(maths.no_maths_file, maths.maths, None, ("maths",)),
}


BENCHMARK_NAMES = (*_KINDS, "livecodebench:v4_v5")
"""The names that people choose from; there are other windows of LiveCodeBench, and some kinds take a file of one's own."""
_FILES = [f"{name}:FILE" for name, kind in _KINDS.items() if kind.takes_files]
NAMES = ", ".join([*(name for name in _KINDS if name not in ("stdin", "maths")), "livecodebench:v1_v3 (or another window)", *_FILES])


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Problems with the name that results carry, and digests of their files and of the wording."""

    name: str
    problems: Sequence[Problem]
    files: str
    wording: str
    file: str = ""
    """The user's own file, as it was named."""

    @property
    def public_only(self) -> int:
        """The number of problems with public tests only, for which a pass means less."""
        return sum(problem.public_only for problem in self.problems)


def check_benchmark(name: str) -> tuple[str, str]:
    """The kind of a benchmark, and its file or window if its name has one. Raises UsageError for an unknown name; looks for no file."""
    kind, _, rest = (name, "", "") if name in _KINDS else name.partition(":")
    if kind == "livecodebench":
        if not rest:
            raise UsageError(f"{name!r} names no release window; write livecodebench:v1_v3 or livecodebench:v4_v5")
        livecodebench.window_files(rest)
    elif kind not in _KINDS or (rest and not _KINDS[kind].takes_files) or (name.endswith(":")):
        raise UsageError(f"unknown benchmark {name!r}; write one of: {NAMES}")
    elif kind == "maths" and not rest:
        maths.no_maths_file()
    return kind, rest


def benchmark_files(name: str) -> list[Path]:
    """The files of a benchmark; official ones are fetched where they are not here. A user's own need not exist.

    Raises UsageError for an unknown name, InputError or MissingExtra where an official file is not to be had.
    """
    kind, rest = check_benchmark(name)
    if kind == "livecodebench":
        return [livecodebench.livecodebench_file(number) for number in livecodebench.window_files(rest)]
    return [Path(rest).expanduser() if rest else _KINDS[kind].find()]


def load_benchmark(name: str) -> Benchmark:
    """Find and read the problems. Raises UsageError for an unknown name, InputError or MissingExtra if the files cannot be used."""
    (kind, rest), paths = check_benchmark(name), benchmark_files(name)
    if kind == "livecodebench":
        return _livecodebench(name, rest, paths)
    chosen, [path] = _KINDS[kind], paths
    problems = chosen.read(path)
    if not rest and chosen.problems is not None:
        _check_count(path, len(problems), chosen.problems)
    _check_ids(path, problems)
    return Benchmark(f"{kind}:{path.name}" if rest else kind, problems, file_digest([path]), template_digest(*chosen.wordings), rest)


def own_benchmark(path: Path, columns: Mapping[str, str] | None = None, rules: RowRules = DEFAULT_RULES) -> Benchmark:
    """The problems of those rows of a file that bring tests or a gold answer.

    A problem has the id of its row. A training row's also has that of each sample which `columns` and `rules` read from it, and its gold
    answer is none of the columns that hold the response. Raises InputError if no row brings either.
    """
    rows = [named for row in rows_of(path) for named in _named(row, columns, rules)]
    tested, with_gold = traces.trace_problems(row for row, _ in rows), maths.maths_problems(task for _, task in rows)
    usable = [problem for problem in tested if not problem.untestable]
    _check_ids(path, usable)
    found = {problem.task_id: problem for problem in (*with_gold, *usable) if not problem.untestable}
    if not found:
        why = [problem.untestable for problem in (*tested[:1], *with_gold[:1])]
        raise InputError(". Nor is it of mathematics: ".join(why) or f"{path} has no rows")
    return Benchmark(f"traces:{path.name}", [*found.values()], file_digest([path]), "", str(path))


def _named(row: FileRow, columns: Mapping[str, str] | None, rules: RowRules) -> Iterator[tuple[FileRow, FileRow]]:
    """A row as it is, unless it has no id but its sample's, and under the id of each sample; beside each the same without the response."""
    samples = [one for one in shaped_of(row.value, columns, rules) if isinstance(one, Shaped) and one.sample.turn is None]
    if not samples or traces.row_id(row.value) not in (None, *(one.sample.id for one in samples)):
        yield row, row._replace(value=samples[0].task) if samples else row
    for one in samples:
        named = {"id": one.sample.id}
        yield row._replace(value={**row.value, **named}), row._replace(value={**one.task, **named})


def _livecodebench(name: str, window: str, paths: Sequence[Path]) -> Benchmark:
    problems = list[Problem]()
    for number, path in zip(livecodebench.window_files(window), paths, strict=True):
        read = livecodebench.livecodebench(path)
        _check_count(path, len(read), livecodebench.COUNTS[number - 1])
        problems += read
    _check_ids(paths[0], problems)
    return Benchmark(name, problems, file_digest(paths), template_digest("stdin", "call"))


def _check_count(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise InputError(f"{path}: the official file has {expected} problems, but this one holds {found}; get it again")


def _check_ids(path: Path, problems: Sequence[Problem]) -> None:
    seen = set[str]()
    for problem in problems:
        if problem.task_id in seen:
            raise InputError(f"{path}: two problems have the id {problem.task_id!r}; each needs one of its own")
        seen.add(problem.task_id)
