"""A finished run, read from its folder: the original rows from work.sqlite, the decisions from decisions.jsonl."""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import opened
from asap.errors import InputError, one_line
from asap.ownership import refuse_absent
from asap.prune.decision import Decision, decision_from_row, decisions_file
from asap.prune.decision.check import check_decision
from asap.prune.decision.step_cut import StepCut
from asap.review.texts import size_of
from asap.sample import Sample
from asap.store.unfinished import unfinished
from asap.store.work import FILE, Store

_REMEDY = "it was changed since; run the same asap prune or asap cut again"
_ID = re.compile(rb'\{"id": ?("(?:[^"\\]|\\.)*")')


class RowKey(NamedTuple):
    """What tells a row from the others of a run, and finds it in another run: its content and its id."""

    digest: str
    id: str


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run: its folder and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "FinishedRun":
        """The run of a folder. Raises InputError if the folder holds none, or an unfinished one."""
        refuse_absent(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            if not decisions_file(folder).is_file() or not isinstance(manifest, dict) or "input_hash" not in manifest:
                raise InputError(f"{folder} is not an output folder of asap prune; review shows what prune and cut write")
        except FileNotFoundError:
            if (folder / FILE).is_file():
                with Store.reading(folder) as store:
                    raise unfinished(store) from None
            raise InputError(f"{folder} holds no manifest.json, so it is not an output folder of asap prune") from None
        except (OSError, ValueError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder / 'manifest.json'} cannot be read ({error})") from error
        _check_manifest(manifest, folder / "manifest.json")
        return cls(folder, manifest)

    def keys(self) -> Iterator[RowKey]:
        """The keys of all readable rows, sorted."""
        with Store.reading(self.folder) as store:
            yield from map(RowKey._make, store.row_keys())

    def known(self, keys: Iterable[RowKey]) -> Iterator[tuple[RowKey, int, bool]]:
        """Those of the keys whose rows this run has, with the characters of the row, and whether it is decided."""
        with Store.reading(self.folder) as store:
            for key in keys:
                if store.digest_of(key.id) == key.digest and (sample := store.sample(key.id)) is not None:
                    yield key, size_of(sample), store.is_decided(key.digest)

    def rows(self, chosen: Container[RowKey]) -> Iterator[tuple[RowKey, Sample, Decision, float | None]]:
        """The decided rows of these keys in input order: the original, its decision, and the seconds it took (None: unknown)."""
        path = decisions_file(self.folder)
        with Store.reading(self.folder) as store:
            number, seen = 0, set[str]()
            for number, line in _lines(path):
                row_id = _id_of(line, path, number)
                digest = store.digest_of(row_id)
                if digest is None and "passed" in _parsed(line, path, number):
                    continue
                if digest is None or row_id in seen:
                    what = "has it twice" if row_id in seen else "does not have it"
                    where = path.name if row_id in seen else "work.sqlite"
                    raise InputError(f"{path}, line {number}: a row {row_id!r}, and {where} {what}; {_REMEDY}")
                seen.add(row_id)
                if (key := RowKey(digest, row_id)) in chosen and (sample := store.sample(row_id)) is not None:
                    decision = _decision(_parsed(line, path, number), sample, f"{path}, line {number}")
                    yield key, sample, _with_all_scores(decision, store, sample, f"{path}, line {number}"), store.seconds_of(digest)
            self._check_count(path, number)

    def _check_count(self, path: Path, lines: int) -> None:
        """Raise InputError unless the decisions are as many as the manifest counts."""
        counts = self.manifest["counts"]
        if lines != (counted := counts["pruned"] + counts["unchanged"] + counts.get("passed", 0)):
            raise InputError(f"{path} has {lines} rows, and manifest.json counts {counted}; {_REMEDY}")

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The lines of rejected.jsonl."""
        path = self.folder / "rejected.jsonl"
        for number, line in _lines(path):
            yield _parsed(line, path, number)


def _check_manifest(manifest: Mapping[str, Any], file: Path) -> None:
    """Raise InputError unless a manifest has what the page shows of it."""
    settings, counts = manifest.get("settings"), manifest.get("counts")
    whole = (
        isinstance(settings, dict)
        and isinstance(settings.get("sources"), list)
        and all(isinstance(name, str) for name in settings["sources"])
        and isinstance(counts, dict)
        and all(type(counts.get(name)) is int for name in ("rows", "pruned", "unchanged", "rejected"))
        and isinstance(manifest.get("versions"), dict)
        and isinstance(manifest.get("llm"), dict | None)
    )
    if not whole:
        raise InputError(f"{file}: settings, counts or versions are missing or no longer what asap wrote; {_REMEDY}")


def _decision(row: Mapping[str, Any], sample: Sample, where: str) -> Decision:
    """The decision of a line. Raises InputError unless it fits the trace."""
    try:
        decision = decision_from_row(row)
        check_decision(decision, len(sample.cot))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
        raise InputError(f"{where}: this is no decision about the trace of row {sample.id!r} ({what}); {_REMEDY}") from error
    return decision


def _with_all_scores(decision: Decision, store: Store, sample: Sample, where: str) -> Decision:
    """The decision with the stored scores of all methods."""
    if not isinstance(decision, StepCut) or decision.method == "asap" or (stored := store.decision(sample)) is None:
        return decision
    if len(stored.steps) != len(decision.steps):
        counts = f"{len(decision.steps)} steps here and {len(stored.steps)} in work.sqlite"
        raise InputError(f"{where}: row {sample.id!r} has {counts}; {_REMEDY}")
    steps = zip(decision.steps, stored.steps, strict=True)
    return replace(decision, steps=[replace(step, scores=before.scores) for step, before in steps])


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with opened(path) as file:
            yield from enumerate(file, start=1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number}: an object is expected; {_REMEDY}")
    return row


def _id_of(line: bytes, path: Path, number: int) -> str:
    """The id of a row, which is first in its line: most lines need not be parsed."""
    found = _ID.match(line)
    return str(json.loads(found[1])) if found else str(_parsed(line, path, number).get("id"))
