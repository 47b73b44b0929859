"""What is known of a stage's folder: stage.json, written once its command has ended well, and whether it is still true.

The record has a digest of each result and of each input. A result that was changed or deleted, or an input that has become another one,
is noticed: files of the size and time of the record count as unchanged, all others are read.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from asap.atomic import replacing
from asap.digest import content_digest
from asap.errors import InputError
from asap.ownership import record_in
from asap.reproduce.stage import RESULTS, Stage

STAGE_FILE = "stage.json"
_PIECE = 1 << 20

State = Literal["missing", "begun", "done", "changed", "outdated"]


class Standing(NamedTuple):
    """How a stage stands, what is the matter with it if anything is, and the digest of its results if it is done."""

    state: State
    detail: str = ""
    digest: str = ""
    seconds: float | None = None


class Records:
    """The records in an output folder. Files are read once."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._known = dict[Stage, Standing]()

    def of(self, stage: Stage) -> Standing:
        """How a stage stands."""
        if stage not in self._known:
            self._known[stage] = self._look(stage)
        return self._known[stage]

    def write(self, stage: Stage, command: list[str], seconds: float, versions: Mapping[str, str]) -> None:
        """Record a stage whose command has ended well. Raises InputError if it has written nothing."""
        folder = stage.folder(self.out)
        record = {
            "stage": stage.name,
            "command": command,
            "inputs": self._inputs(stage),
            "results": {path.name: _facts(path) for path in _results(stage, folder)},
            "seconds": round(seconds, 1),
            "versions": dict(versions),
        }
        if not record["results"]:
            raise InputError(f"{folder} has no result, though its command ended well; it should hold {', '.join(RESULTS[stage.kind])}")
        with replacing(self.out / stage.name / STAGE_FILE) as file:
            file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        self._known.pop(stage, None)

    def _look(self, stage: Stage) -> Standing:
        folder = self.out / stage.name
        record = record_in(folder / STAGE_FILE)
        if record is None:
            return Standing("begun" if folder.is_dir() and any(folder.iterdir()) else "missing")
        try:
            results: Mapping[str, Mapping[str, Any]] = record["results"]
            for name, facts in results.items():
                path = stage.folder(self.out) / name
                if not path.is_file():
                    return Standing("changed", f"{path} was deleted")
                if not _is_same(path, facts):
                    return Standing("changed", f"{path} was changed")
            digest = content_digest("results", {name: facts["sha256"] for name, facts in results.items()})
            now = self._inputs(stage)
            differing = [name for name, known in now.items() if known and known != record["inputs"].get(name)]
            differing += [name for name in record["inputs"] if stage.files and name not in now]
        except (AttributeError, LookupError, TypeError) as error:
            raise InputError(f"{folder / STAGE_FILE} is damaged; delete the folder {folder}, and run the same command again") from error
        if differing:
            return Standing("outdated", f"{differing[0]} is no longer what {folder} was made from", digest)
        return Standing("done", "", digest, record.get("seconds"))

    def _inputs(self, stage: Stage) -> dict[str, str]:
        """The digests of what a stage reads; an empty one where it is not there."""
        made = {other.name: self.of(other).digest for other in stage.inputs}
        return made | {name: _sha256(Path(name)) if Path(name).is_file() else "" for name in stage.files}


def _results(stage: Stage, folder: Path) -> list[Path]:
    return sorted({path for pattern in RESULTS[stage.kind] for path in folder.glob(pattern) if path.is_file()})


def _facts(path: Path) -> dict[str, Any]:
    state = path.stat()
    return {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": _sha256(path)}


def _is_same(path: Path, facts: Mapping[str, Any]) -> bool:
    state: os.stat_result = path.stat()
    if state.st_size != facts["bytes"]:
        return False
    return bool(state.st_mtime_ns == facts["mtime_ns"] or _sha256(path) == facts["sha256"])


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
