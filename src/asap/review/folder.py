"""A finished run, read from its folder: the original rows from work.sqlite, the decisions from decisions.jsonl."""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import opened
from asap.errors import InputError
from asap.prune.decision import Decision, decision_from_row, decisions_file
from asap.prune.decision.step_cut import StepCut
from asap.sample import Sample
from asap.store.work import Store

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
        try:
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            if not decisions_file(folder).is_file() or "input_hash" not in manifest:
                raise InputError(f"{folder} is not an output folder of asap prune; review shows what prune and cut write")
        except FileNotFoundError:
            if (folder / "work.sqlite").is_file():
                raise InputError(f"{folder} holds an unfinished run; run the same asap prune again to finish it") from None
            raise InputError(f"{folder} holds no manifest.json, so it is not an output folder of asap prune") from None
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder / 'manifest.json'} cannot be read ({error})") from error
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
                    size = len(sample.question) + len(sample.cot) + len(sample.answer)
                    yield key, size, store.is_decided(key.digest)

    def rows(self, chosen: Container[RowKey]) -> Iterator[tuple[RowKey, Sample, Decision, float | None]]:
        """The decided rows of these keys in input order: the original, its decision, and the seconds it took (None: unknown)."""
        path = decisions_file(self.folder)
        with Store.reading(self.folder) as store:
            for number, line in _lines(path):
                row_id = _id_of(line, path, number)
                digest = store.digest_of(row_id)
                if digest is None:
                    raise InputError(f"{self.folder}: {path.name} has a row {row_id!r} that work.sqlite does not have")
                if (key := RowKey(digest, row_id)) in chosen and (sample := store.sample(row_id)) is not None:
                    yield key, sample, self._decision(_parsed(line, path, number), store, sample), store.seconds_of(digest)

    def _decision(self, row: Mapping[str, Any], store: Store, sample: Sample) -> Decision:
        """The decision of a line, with the stored scores of all methods."""
        try:
            decision = decision_from_row(row)
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.folder}: decisions.jsonl was written by another version of asap; run asap prune again") from error
        if isinstance(decision, StepCut) and decision.method != "asap" and (stored := store.decision(sample)) is not None:
            steps = zip(decision.steps, stored.steps, strict=True)
            return replace(decision, steps=[replace(step, scores=before.scores) for step, before in steps])
        return decision

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The lines of rejected.jsonl."""
        path = self.folder / "rejected.jsonl"
        for number, line in _lines(path):
            yield _parsed(line, path, number)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with opened(path) as file:
            yield from enumerate(file, start=1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not JSON ({error})") from error
    return row


def _id_of(line: bytes, path: Path, number: int) -> str:
    """The id of a row, which is first in its line: most lines need not be parsed."""
    found = _ID.match(line)
    return str(json.loads(found[1])) if found else str(_parsed(line, path, number).get("id"))
