"""The training rows: all are read, rendered and checked before training starts. No row is cut, and none is lost silently.

A row longer than the limit stops the run; an unusable row is rejected with its reason. With `ids_from`, the arms of a comparison
train on the same ids in the same order.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from asap.atomic import replacing
from asap.dataset import Rejected, Shaped, iter_shaped
from asap.dataset.source import Source
from asap.errors import InputError, RowError, UsageError
from asap.lm.tokens import TokenCounter
from asap.sample import Sample
from asap.spans import Span
from asap.store.content import Busy
from asap.store.entry import Entry
from asap.store.work import FILE, Store
from asap.train.distributed import process
from asap.train.masked import pruned_spans
from asap.train.rows import TrainRow, encode_row
from asap.train.template import TrainingTemplate

_NAMES = 3  # the most ids that a message names
_TURNS = 600  # seconds that a process waits for the others of its run to release the store


@dataclass(frozen=True)
class Wanted:
    """The rows of a source to train on, and the tokens that carry the loss."""

    ids_from: Path | None = None
    """A training run, a pruned folder or a data file, whose ids are used exactly, in their order."""
    drop_long: bool = False
    mask_pruned: bool = False
    """Keep the full trace as context and put the loss only on kept steps; the source is an output folder of `asap prune`."""


@dataclass
class Corpus:
    """The rows in training order, and the fate of the others: rows read = rows + rejected + dropped + not wanted."""

    rows: list[TrainRow] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    masked: list[Sequence[Span]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Ids of the rows longer than the limit, with `drop_long`."""
    not_wanted: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Rows and tokens, JSON-able."""
        return {
            "rows": len(self.rows),
            "rejected": len(self.rejected),
            "dropped_long": len(self.dropped),
            "not_in_ids_from": self.not_wanted,
            "rewritten_to_nfc": sum(row.rewritten for row in self.rows),
            "tokens": sum(len(row.input_ids) for row in self.rows),
            "response_tokens": sum(row.learnt for row in self.rows),
            "longest": max((len(row.input_ids) for row in self.rows), default=0),
        }

    @property
    def hash(self) -> str:
        """A digest of the ids and labels in their order: corpora with the same digest train the same model."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(row.input_ids.tobytes() + row.labels.tobytes())
        return digest.hexdigest()

    def write(self, folder: Path) -> None:
        """Write rows.jsonl (id, tokens, response tokens) and rejected.jsonl, creating the folder if necessary."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"output folder {folder} cannot be written ({error.strerror}); choose another --out") from error
        with replacing(folder / "rows.jsonl") as file:
            for row in self.rows:
                line = {"id": row.id, "tokens": len(row.input_ids), "response_tokens": row.learnt}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        with replacing(folder / "rejected.jsonl") as file:
            for rejected in self.rejected:
                file.write(json.dumps(rejected.as_row(), ensure_ascii=False) + "\n")


def gather(source: Source, template: TrainingTemplate, limit: int, wanted: Wanted) -> Corpus:
    """Read, render and check every row. `limit` is the maximum tokens of a row.

    Raises InputError if a row is longer (unless such rows are dropped), if no row is left, or if the ids are not the wanted ones.
    """
    corpus, order = Corpus(), _ids_of(wanted.ids_from) if wanted.ids_from else None
    too_long = list[tuple[TrainRow, Sample]]()
    for name, line, found in islice(_samples(source, wanted.mask_pruned), source.limit):
        if not isinstance(found, RowError) and order is not None and found[0].id not in order:
            corpus.not_wanted += 1
            continue
        try:
            if isinstance(found, RowError):
                raise found
            row = encode_row(template, *found)
        except RowError as error:
            corpus.rejected.append(Rejected.of(name, line, error))
            continue
        if len(row.input_ids) > limit:
            too_long.append((row, found[0]))
            continue
        corpus.rows.append(row)
        corpus.samples.append(found[0])
        corpus.masked.append(found[1])
    _check_long(too_long, limit, wanted, len(corpus.rows) + len(too_long), template.tokens)
    corpus.dropped = [row.id for row, _ in too_long]
    if order is not None:
        _arrange(corpus, order, wanted.ids_from)
    if not corpus.rows:
        reasons = sorted({rejected.reason for rejected in corpus.rejected})
        raise InputError(f"no usable row in {', '.join(source.names)}: {len(corpus.rejected)} rejected ({', '.join(reasons) or 'no rows'})")
    return corpus


def rows_file(name: str) -> str:
    """The file with a source's rows: pruned.jsonl for an output folder of asap prune, otherwise the source itself."""
    pruned = Path(name) / "pruned.jsonl"
    return str(pruned) if pruned.is_file() else name


def data_manifest(source: Source) -> list[dict[str, Any]]:
    """The origin of the rows: each source, and how it was pruned if it has a manifest."""
    known = []
    for name in source.names:
        path = Path(rows_file(name))
        manifest = path.parent / "manifest.json"
        about: dict[str, Any] = {"source": name, "method": None}
        if path.name == "pruned.jsonl" and manifest.is_file():
            written = json.loads(manifest.read_text("utf-8"))
            settings = written.get("settings", {})
            about |= {key: settings.get(key) for key in ("method", "coarse", "budget", "ratio", "sources", "seed")}
            about["scorer"] = (settings.get("scorer") or {}).get("model")
            about["input_hash"] = written.get("input_hash")
        known.append(about)
    return known


def _samples(source: Source, mask_pruned: bool) -> Iterator[tuple[str, int, tuple[Sample, Sequence[Span]] | RowError]]:
    """Every row with its location: the sample and the context-only parts of its trace, or the reason for its rejection."""
    if not mask_pruned:
        for name, line, result in replace(source, names=[rows_file(name) for name in source.names]).rows():
            yield name, line, (result.sample, ()) if isinstance(result, Shaped) else result
        return
    for name in source.names:
        folder = Path(name)
        if not (folder / FILE).is_file():
            raise UsageError(
                f"--mask-pruned needs an output folder of asap prune with its {FILE} (the full traces are in it); {name} has none"
            )
        for entry in _entries(folder):
            if entry.error is not None:
                yield entry.source, entry.line, entry.error
            elif entry.sample is not None and entry.decision is not None:
                yield entry.source, entry.line, (entry.sample, pruned_spans(entry.decision, entry.sample))


def _entries(folder: Path) -> list[Entry]:
    """The rows of a folder's store, read at once: only one process can open it, so those of a training run take turns."""
    for _ in range(_TURNS if process().world > 1 else 0):
        try:
            with Store.open(folder, create=False) as store:
                return list(store.entries())
        except Busy:
            time.sleep(1)
    with Store.open(folder, create=False) as store:
        return list(store.entries())


def _ids_of(path: Path) -> dict[str, int]:
    """The ids of a training run (rows.jsonl), a pruned folder or a data file, with their positions."""
    rows = path / "rows.jsonl"
    if rows.is_file():
        found = [str(json.loads(line)["id"]) for line in rows.read_text("utf-8").splitlines()]
    else:
        found = [shaped.sample.id for _, _, shaped in iter_shaped([rows_file(str(path))]) if isinstance(shaped, Shaped)]
    if not found:
        raise InputError(f"--ids-from {path} names no ids; give an output folder of asap train or asap prune, or a data file")
    return {row_id: place for place, row_id in enumerate(dict.fromkeys(found))}


def _arrange(corpus: Corpus, order: dict[str, int], origin: Path | None) -> None:
    """Sort the rows into the wanted order. Raises InputError unless their ids are exactly the wanted ones."""
    missing = order.keys() - {row.id for row in corpus.rows}
    if missing or len(corpus.rows) != len(order):
        what = f"lack {len(missing)} of its ids, such as {_named(sorted(missing))}" if missing else "hold some of its ids twice"
        raise InputError(f"--ids-from {origin} names {len(order)} ids and the usable rows {what}; arms of a comparison need the same rows")
    by_place = sorted(range(len(corpus.rows)), key=lambda place: order[corpus.rows[place].id])
    corpus.rows = [corpus.rows[place] for place in by_place]
    corpus.samples = [corpus.samples[place] for place in by_place]
    corpus.masked = [corpus.masked[place] for place in by_place]


def _check_long(too_long: Sequence[tuple[TrainRow, Sample]], limit: int, wanted: Wanted, rows: int, tokens: TokenCounter) -> None:
    """Raise InputError with the remedies for rows that are too long, unless they may be dropped."""
    if not too_long or (wanted.drop_long and not wanted.ids_from):
        return
    longest, _ = max(too_long, key=lambda pair: len(pair[0].input_ids))
    problem = (
        f"{len(too_long)} of {rows} rows are longer than {limit:,} tokens (the longest, {longest.id!r}, has {len(longest.input_ids):,}), "
        "and no row is cut in training"
    )
    if wanted.drop_long:
        raise InputError(f"{problem}; with --ids-from none can be left out either: train the other arm with --drop-long first")
    rest = max(len(row.input_ids) - tokens.count(sample.cot) for row, sample in too_long)
    cut = f"shorten the traces (asap cut FOLDER --budget {limit - rest}), " if limit > rest else ""
    raise InputError(f"{problem}; {cut}leave these rows out (--drop-long) or raise the limit (--set max_length={len(longest.input_ids)})")


def _named(ids: Iterable[str]) -> str:
    return ", ".join(repr(row_id) for row_id in islice(ids, _NAMES))
