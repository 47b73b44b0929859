"""How each attempt ended, beyond right and wrong, and what was written: verdicts joined with the attempts that they are about.

A wrong attempt that ends in a loop is `looping`, else one whose tokens ran out `budget`, else one without anything to judge `no-answer`,
else a program that ran too long, crashed or used too much is `broke`. `infra` is a fault of the harness and counts as neither.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import jsonl_rows
from asap.errors import AsapError
from asap.evaluate.attempt import Attempt, read_attempts
from asap.evaluate.paired_run import PairedRun
from asap.repetition import looping
from asap.report.named_paths import places_of

_RAN_OUT = "the token budget ran out"


class Judged(NamedTuple):
    """One attempt with its verdict: `text` is None where the file of attempts is not there any more, `asked` where nothing tells it."""

    benchmark: str
    task_id: str
    sample: int
    outcome: str
    verdict: str
    detail: str
    tokens: float | None
    seconds: float | None
    text: str | None
    opened: bool
    asked: str | None


def judged_attempts(run: PairedRun) -> Iterator[Judged]:
    """The attempts of a run in the order of its verdicts, which is that of its attempts. No more than one text is held at a time."""
    texts = _Texts(run)
    for raw in jsonl_rows(run.folder / "verdicts.jsonl"):
        row = raw.value or {}
        key = row.get("benchmark"), row.get("task_id"), row.get("sample", 0)
        if not isinstance(key[0], str) or not isinstance(key[1], str) or not isinstance(key[2], int):
            continue
        attempt = texts.of(key[0], key[1], key[2])
        tokens, seconds = (value if isinstance(value := row.get(name), (int, float)) else None for name in ("tokens", "seconds"))
        yield Judged(
            benchmark=key[0],
            task_id=key[1],
            sample=key[2],
            outcome=_outcome(row, attempt),
            verdict=str(row.get("verdict")),
            detail=str(row.get("detail") or ""),
            tokens=tokens,
            seconds=seconds,
            text=attempt.text if attempt else None,
            opened=bool(attempt and attempt.opened),
            asked=_asked(attempt) if attempt else None,
        )


def _outcome(verdict: Mapping[str, Any], attempt: Attempt | None) -> str:
    word = verdict.get("verdict")
    if word in ("pass", "infra"):
        return "right" if word == "pass" else "infra"
    if attempt is not None and _loops(attempt):
        return "looping"
    if (attempt is not None and attempt.cut_off) or str(verdict.get("detail") or "").startswith(_RAN_OUT):
        return "budget"
    return {"no-answer": "no-answer", "fail": "wrong"}.get(str(word), "broke")


def _asked(attempt: Attempt) -> str | None:
    """The message that was sent; of other tools the prompt."""
    texts = (attempt.measured.get(name) for name in ("asked", "prompt"))
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def _loops(attempt: Attempt) -> bool:
    known = attempt.measured.get("loop")
    return known if isinstance(known, bool) else looping(attempt.text)


class _Texts:
    """The attempts of a run, read along with its verdicts: both files have the same order, so that few have to wait."""

    def __init__(self, run: PairedRun) -> None:
        self._known = {name: list(found.attempted) for name, found in run.benchmarks.items()}
        self._path = _attempts_file(run)
        self._benchmark = ""
        self._rows: Iterator[Attempt] = iter(())
        self._early = dict[tuple[str, int], Attempt]()

    def of(self, benchmark: str, task_id: str, sample: int) -> Attempt | None:
        if self._path is None:
            return None
        if benchmark != self._benchmark:
            self._benchmark, self._rows, self._early = benchmark, self._read(self._path, benchmark), {}
        if (task_id, sample) in self._early:
            return self._early.pop((task_id, sample))
        for attempt in self._rows:
            if (attempt.task_id, attempt.sample) == (task_id, sample):
                return attempt
            self._early[attempt.task_id, attempt.sample] = attempt
        return None

    def _read(self, path: Path, benchmark: str) -> Iterator[Attempt]:
        try:
            for row in read_attempts(path, self._known.get(benchmark, []), benchmark):
                if isinstance(row, Attempt):
                    yield row
        except AsapError:
            return


def _attempts_file(run: PairedRun) -> Path | None:
    """The attempts of a run: those that `asap evaluate` wrote, or those that `asap score` was given, if they are still there."""
    own = run.folder / "attempts.jsonl"
    return own if own.is_file() else file_of(run, "attempts")


def file_of(run: PairedRun, setting: str) -> Path | None:
    """The file that a setting of a run names; None if it is not there any more."""
    named = run.summary.get("settings", {}).get(setting)
    return next((path for path in places_of(named, run.folder) if path.exists()), None) if isinstance(named, str) else None
