"""The training rows in a folder of their own: encoded once, then mapped into memory by every process of the run.

rows.arrow      id, token ids and labels of each row, in training order (an Arrow stream, which `datasets` maps)
rejected.jsonl  the rows that could not be used
facts.json      counts, and the digest of ids and labels

Nobody holds the rows themselves. `gather.py` makes the folder, `shared.py` says who does.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from asap.atomic import replacing
from asap.errors import InputError
from asap.lm.training_rows import TrainRow
from asap.ownership import record_in
from asap.sample import Sample
from asap.spans import Span

ROWS, REJECTED, FACTS = "rows.arrow", "rejected.jsonl", "facts.json"


class Kept(NamedTuple):
    """A row to train on, with its sample and the context-only parts of its trace."""

    row: TrainRow
    sample: Sample
    masked: Sequence[Span]


@dataclass(frozen=True)
class Corpus:
    """The rows in training order, and the fate of the others: rows read = rows + rejected + dropped + not wanted + filtered.

    `hash` is a digest of the ids and labels in their order: corpora with the same digest train the same model.
    """

    folder: Path
    counts: Mapping[str, int]
    hash: str

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """The corpus in a folder."""
        facts = record_in(folder / FACTS) or {}
        if not isinstance(facts.get("counts"), dict) or not isinstance(facts.get("rows_hash"), str):
            raise InputError(f"{folder / FACTS} was changed since; remove its folder, and the same command encodes the rows again")
        return cls(folder, facts["counts"], facts["rows_hash"])

    @property
    def file(self) -> Path:
        """The file with `input_ids` and `labels`."""
        return self.folder / ROWS

    def __iter__(self) -> Iterator[TrainRow]:
        """The rows in training order; their arrays are views of the file."""
        for batch in read_batches(self.file):
            yield from _rows_of(batch)

    def kept(self) -> Iterator[tuple[Sample, Sequence[Span]]]:
        """Each row's sample and the context-only parts of its trace, if they were stored."""
        for batch in read_batches(self.file):
            for row_id, stored in zip(batch["id"].to_pylist(), batch["sample"].to_pylist(), strict=True):
                content = json.loads(stored)
                masked = [Span(start, end) for start, end in content["masked"]]
                yield Sample.of_stored(row_id, content), masked

    def write(self, out: Path) -> None:
        """Write rows.jsonl (id, tokens, response tokens) and rejected.jsonl into a folder."""
        with replacing(out / "rows.jsonl") as file:
            for row in self:
                line = {"id": row.id, "tokens": len(row.input_ids), "response_tokens": row.learnt}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        with replacing(out / REJECTED) as file, (self.folder / REJECTED).open(encoding="utf-8", newline="\n") as stored:
            shutil.copyfileobj(stored, file)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_facts(folder: Path, counts: Mapping[str, int]) -> None:
    """Write facts.json, which belongs to the rows.arrow beside it."""
    with replacing(folder / FACTS) as file:
        json.dump({"counts": counts, "rows_hash": rows_hash(folder / ROWS)}, file, indent=2)


def rows_hash(path: Path) -> str:
    """The digest of the ids and labels of a file's rows."""
    digest = hashlib.sha256()
    for batch in read_batches(path):
        for row in _rows_of(batch):
            digest.update(row.input_ids.tobytes() + row.labels.tobytes())
    return digest.hexdigest()


class RowsFile:
    """A new rows.arrow; with `samples`, each row also holds its sample."""

    def __init__(self, file: BinaryIO, *, samples: bool) -> None:
        import pyarrow as pa

        ids = pa.list_(pa.int32())
        fields = {"id": pa.string(), "input_ids": ids, "labels": ids, "rewritten": pa.bool_()}
        self.schema = pa.schema(fields | ({"sample": pa.string()} if samples else {}))
        self._samples = samples
        self._writer = pa.ipc.new_stream(file, self.schema)

    def append(self, kept: Sequence[Kept]) -> None:
        """Write some rows."""
        import pyarrow as pa

        rows = [one.row for one in kept]
        columns = [
            pa.array([row.id for row in rows], pa.string()),
            _lists([row.input_ids for row in rows]),
            _lists([row.labels for row in rows]),
            pa.array([row.rewritten for row in rows], pa.bool_()),
        ]
        if self._samples:
            columns.append(pa.array([_stored(one) for one in kept], pa.string()))
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def append_views(self, views: Sequence[Any]) -> None:
        """Write some rows of another file, as record batches."""
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(views).combine_chunks())

    def close(self) -> None:
        """Write the end of the stream."""
        self._writer.close()


def read_batches(path: Path) -> Iterator[Any]:
    """The record batches of a rows.arrow, mapped. Raises InputError if it is damaged."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
            yield from reader
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove its folder, and the same command encodes the rows again") from error


def _rows_of(batch: Any) -> Iterator[TrainRow]:
    """The rows of a record batch."""
    columns = (batch["input_ids"], batch["labels"], batch["rewritten"])
    for row_id, ids, labels, rewritten in zip(batch["id"].to_pylist(), *columns, strict=True):
        yield TrainRow(row_id, ids.values.to_numpy(), labels.values.to_numpy(), rewritten.as_py())


def _lists(arrays: Sequence[Iterable[int]]) -> Any:
    import pyarrow as pa

    lengths = [0, *(len(array) for array in arrays)]  # type: ignore[arg-type]
    return pa.ListArray.from_arrays(np.cumsum(lengths).astype(np.int32), np.concatenate(arrays))  # type: ignore[arg-type]


def _stored(kept: Kept) -> str:
    return json.dumps({**kept.sample.as_learnt(), "masked": [list(span) for span in kept.masked]}, ensure_ascii=False)
