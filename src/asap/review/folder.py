"""A finished run, read from its folder: the original rows from work.sqlite, the decisions from decisions.jsonl."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asap.errors import InputError
from asap.prune.decision import Decision, decision_from_row
from asap.sample import Sample
from asap.store.work import Store


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
            if not (folder / "decisions.jsonl").is_file() or "input_hash" not in manifest:
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

    def samples(self) -> Iterator[Sample]:
        """The original readable rows, in input order."""
        with Store.reading(self.folder) as store:
            yield from (sample for sample, _ in store.rows() if sample is not None)

    def rows(self) -> Iterator[tuple[Sample, Decision, float | None]]:
        """Each original row with its decision and the seconds it took (None: unknown), in input order."""
        samples = self.samples()
        with Store.reading(self.folder) as store:
            seconds = store.seconds()
        for row in _json_lines(self.folder / "decisions.jsonl"):
            sample = next((sample for sample in samples if sample.id == row.get("id")), None)  # rows that could not be scored have none
            if sample is None:
                raise InputError(f"{self.folder}: decisions.jsonl has a row {row.get('id')!r} that work.sqlite does not have there")
            try:
                yield sample, decision_from_row(row), seconds.get(sample.id)
            except (KeyError, TypeError) as error:
                raise InputError(f"{self.folder}: decisions.jsonl was written by another version of asap; run asap prune again") from error

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The lines of rejected.jsonl."""
        yield from _json_lines(self.folder / "rejected.jsonl")


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise InputError(f"{path}, line {number}: not JSON ({error})") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
