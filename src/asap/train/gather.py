"""Reads, renders and checks every row before training starts. No row is cut, and none is lost silently.

A row longer than the limit stops the run; an unusable row is rejected with its reason. With `ids_from`, the arms of a comparison
train on the same ids in the same order. Memory does not grow with the rows, except by the ids of `ids_from`.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from asap.atomic import replacing
from asap.dataset import Rejected, Shaped, iter_shaped
from asap.dataset.source import Source
from asap.dataset.turn_formats import trained
from asap.dataset.where import FILTERED
from asap.errors import InputError, RowError, UsageError
from asap.lm.tokens import TokenCounter
from asap.lm.training_rows import encode_rows
from asap.lm.training_template import TrainingTemplate
from asap.sample import Sample
from asap.spans import Span
from asap.store.work import FILE, Store
from asap.train.corpus import REJECTED, ROWS, Corpus, Kept, RowsFile, read_batches, write_facts
from asap.train.masked import pruned_spans

_NAMES = 3  # the most ids that a message names
_BATCH_ROWS, _BATCH_CHARACTERS = 256, 1 << 20  # encoded at once, on all cores

Usable = tuple[Sample, Sequence[Span]]
"""A sample and the context-only parts of its trace."""
Found = tuple[str, int, Usable | RowError]
"""A row with its source and line, or the reason for its rejection."""


@dataclass(frozen=True)
class Wanted:
    """The rows of a source to train on, and the tokens that carry the loss."""

    ids_from: Path | None = None
    """A training run, a pruned folder or a data file, whose ids are used exactly, in their order."""
    drop_long: bool = False
    mask_pruned: bool = False
    """Keep the full trace as context and put the loss only on kept steps; the source is an output folder of `asap prune`."""


def gather(source: Source, template: TrainingTemplate, limit: int, wanted: Wanted, folder: Path, *, samples: bool = False) -> Corpus:
    """Encode every row into a folder, with the samples if asked for. `limit` is the maximum tokens of a row.

    Raises InputError if a row is longer (unless such rows are dropped), if no row is left, or if the ids are not the wanted ones.
    """
    order = _ids_of(wanted.ids_from) if wanted.ids_from else None
    fates, long = _Fates(), _TooLong(limit, wanted, template.tokens)
    places = list[int]()
    with _rows_file(folder / ROWS, samples) as file, replacing(folder / REJECTED) as rejected:
        for batch in _batches(_asked_for(_found(source, wanted.mask_pruned), order, fates)):
            encoded = list(_encoded(template, batch))
            for name, line, row in encoded:
                if isinstance(row, RowError) and row.reason == FILTERED:
                    fates.filtered += 1
                elif isinstance(row, RowError):
                    fates.reject(row)
                    rejected.write(json.dumps(Rejected.of(name, line, row).as_row(), ensure_ascii=False) + "\n")
            usable = [row for _, _, row in encoded if not isinstance(row, RowError)]
            long.add(row for row in usable if len(row.row.input_ids) > limit)
            if kept := [row for row in usable if len(row.row.input_ids) <= limit]:
                file.append(kept)
                fates.keep(kept)
                places += [order[row.row.id] for row in kept] if order is not None else []
    long.check(fates.rows)
    if order is not None:
        _check_ids(places, order, wanted.ids_from)
        _arrange(folder / ROWS, places, samples)
    if not fates.rows:
        raise InputError(
            f"no usable row in {', '.join(source.names)}: {fates.rejected} rejected ({', '.join(sorted(fates.reasons)) or 'no rows'})"
        )
    write_facts(folder, fates.counts(long.rows))
    return Corpus.open(folder)


def rows_file(name: str) -> str:
    """The file with a source's rows: pruned.jsonl for an output folder of asap prune, otherwise the source itself."""
    pruned = Path(name) / "pruned.jsonl"
    return str(pruned) if pruned.is_file() else name


@dataclass
class _Fates:
    """Counts of rows by what became of them, and of tokens."""

    rows: int = 0
    rejected: int = 0
    not_wanted: int = 0
    filtered: int = 0
    rewritten: int = 0
    tokens: int = 0
    response_tokens: int = 0
    longest: int = 0
    reasons: set[str] = field(default_factory=set)

    def reject(self, error: RowError) -> None:
        """Count a row that cannot be used."""
        self.rejected += 1
        self.reasons.add(error.reason)

    def keep(self, kept: Sequence[Kept]) -> None:
        """Count rows to train on."""
        for row, _, _ in kept:
            self.rows += 1
            self.rewritten += row.rewritten
            self.tokens += len(row.input_ids)
            self.response_tokens += row.learnt
            self.longest = max(self.longest, len(row.input_ids))

    def counts(self, dropped: int) -> dict[str, int]:
        """The counts by name, JSON-able."""
        return {
            "rows": self.rows,
            "rejected": self.rejected,
            "dropped_long": dropped,
            "not_in_ids_from": self.not_wanted,
            **({"filtered": self.filtered} if self.filtered else {}),
            "rewritten_to_nfc": self.rewritten,
            "tokens": self.tokens,
            "response_tokens": self.response_tokens,
            "longest": self.longest,
        }


class _TooLong:
    """The rows that are longer than the limit: how many, the longest, and the most tokens of one beside its trace."""

    def __init__(self, limit: int, wanted: Wanted, tokens: TokenCounter) -> None:
        self.limit, self.wanted, self.tokens = limit, wanted, tokens
        self.rows = self.longest = self.rest = 0
        self.longest_id = ""
        self.allowed = wanted.drop_long and not wanted.ids_from

    def add(self, rows: Iterable[Kept]) -> None:
        """Count rows."""
        for row, sample, _ in rows:
            self.rows += 1
            if len(row.input_ids) > self.longest:
                self.longest, self.longest_id = len(row.input_ids), row.id
            if not self.allowed:
                self.rest = max(self.rest, len(row.input_ids) - self.tokens.count(sample.cot))

    def check(self, others: int) -> None:
        """Raise InputError with the remedies if there are such rows, unless they may be dropped."""
        if not self.rows or self.allowed:
            return
        problem = (
            f"{self.rows} of {self.rows + others} rows are longer than {self.limit:,} tokens (the longest, {self.longest_id!r}, has "
            f"{self.longest:,}), and no row is cut in training"
        )
        if self.wanted.drop_long:
            raise InputError(f"{problem}; with --ids-from none can be left out either: train the other arm with --drop-long first")
        cut = f"shorten the traces (asap cut FOLDER --budget {self.limit - self.rest}), " if self.limit > self.rest else ""
        raise InputError(f"{problem}; {cut}leave these rows out (--drop-long) or raise the limit (--set max_length={self.longest})")


def _found(source: Source, mask_pruned: bool) -> Iterator[Found]:
    """Every row with its location: the sample and the context-only parts of its trace, or the reason for its rejection."""
    if not mask_pruned:
        for name, line, result in replace(source, names=[rows_file(name) for name in source.names]).rows():
            yield name, line, _learnt(source.rules.applied(result.sample)) if isinstance(result, Shaped) else result
        return
    if source.columns or source.hub_config or source.hub_split:
        raise UsageError("--mask-pruned reads the rows that asap prune stored, so leave --columns, --subset and --split out")
    for name in source.names:
        folder = Path(name)
        if not (folder / FILE).is_file():
            raise UsageError(
                f"--mask-pruned needs an output folder of asap prune with its {FILE} (the full traces are in it); {name} has none"
            )
        with Store.open(folder, create=False) as store:
            for entry in islice(store.entries(), source.limit):
                if entry.error is not None:
                    yield entry.source, entry.line, entry.error
                elif entry.sample is not None and entry.decision is not None:
                    sample = source.rules.applied(entry.sample)
                    yield entry.source, entry.line, _learnt(sample, pruned_spans(entry.decision, sample))


def _learnt(sample: Sample, masked: Sequence[Span] = ()) -> Usable | RowError:
    """A sample with what is masked of it; an error for a turn that its row excludes from training."""
    if sample.turn is not None and sample.turn.number not in trained(sample.turn.conversation, "thinking"):
        return RowError("not_trained", "the row says that this turn is not to be learnt", sample.id)
    return sample, masked


def _asked_for(rows: Iterable[Found], order: Mapping[str, int] | None, fates: _Fates) -> Iterator[Found]:
    """The rows but those whose ids are not wanted, which are counted."""
    for row in rows:
        if order is not None and not isinstance(row[2], RowError) and row[2][0].id not in order:
            fates.not_wanted += 1
        else:
            yield row


def _batches(rows: Iterable[Found]) -> Iterator[list[Found]]:
    """The rows in pieces of bounded size."""
    batch, characters = list[Found](), 0
    for row in rows:
        batch.append(row)
        characters += 0 if isinstance(row[2], RowError) else len(row[2][0].cot)
        if len(batch) == _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _encoded(template: TrainingTemplate, batch: Sequence[Found]) -> Iterator[tuple[str, int, Kept | RowError]]:
    """The rows of a batch, encoded; a row that cannot be encoded as the reason for its rejection."""
    encoded = iter(encode_rows(template, [found for _, _, found in batch if not isinstance(found, RowError)]))
    for name, line, found in batch:
        if isinstance(found, RowError):
            yield name, line, found
        else:
            row = next(encoded)
            yield name, line, row if isinstance(row, RowError) else Kept(row, *found)


def _ids_of(path: Path) -> dict[str, int]:
    """The ids of a training run (rows.jsonl), a pruned folder or a data file, with their positions."""
    rows = path / "rows.jsonl"
    if rows.is_file():
        try:
            with rows.open(encoding="utf-8") as lines:
                found = [str(json.loads(line)["id"]) for line in lines]
        except (LookupError, RecursionError, TypeError, ValueError) as error:
            raise InputError(f"--ids-from {rows}: a line holds no id, so it is not what asap train wrote ({error})") from error
    else:
        found = [shaped.sample.id for _, _, shaped in iter_shaped([rows_file(str(path))]) if isinstance(shaped, Shaped)]
    if not found:
        raise InputError(f"--ids-from {path} names no ids; give an output folder of asap train or asap prune, or a data file")
    return {row_id: place for place, row_id in enumerate(dict.fromkeys(found))}


def _check_ids(places: Sequence[int], order: Mapping[str, int], origin: Path | None) -> None:
    """Raise InputError unless the ids of the rows, by their wanted places, are exactly the wanted ones."""
    found = set(places)
    missing = sorted(row_id for row_id, place in order.items() if place not in found)
    if missing or len(places) != len(order):
        shown = ", ".join(repr(row_id) for row_id in missing[:_NAMES])
        what = f"lack {len(missing)} of its ids, such as {shown}" if missing else "hold some of its ids twice"
        raise InputError(f"--ids-from {origin} names {len(order)} ids and the usable rows {what}; arms of a comparison need the same rows")


def _arrange(path: Path, places: Sequence[int], samples: bool) -> None:
    """Sort the rows of a file by their wanted places."""
    if list(places) == sorted(places):
        return
    batches = list(read_batches(path))  # views of the file
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    order = np.argsort(places)
    inside = np.searchsorted(starts, order, side="right") - 1
    sorted_path = path.with_suffix(".sorted")
    with _rows_file(sorted_path, samples) as file:
        for start in range(0, len(order), _BATCH_ROWS):
            piece = zip(order[start : start + _BATCH_ROWS].tolist(), inside[start : start + _BATCH_ROWS].tolist(), strict=True)
            file.append_views([batches[batch].slice(row - int(starts[batch]), 1) for row, batch in piece])
    sorted_path.replace(path)


@contextmanager
def _rows_file(path: Path, samples: bool) -> Iterator[RowsFile]:
    """A new file of rows, on the disk at the end. Raises InputError if it cannot be written."""
    try:
        with path.open("wb") as file:
            rows = RowsFile(file, samples=samples)
            yield rows
            rows.close()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error})") from error
