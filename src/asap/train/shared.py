"""OUT/corpus-KEY/: the encoded rows, made by the first process and mapped by the others, and by the same command again.

The folder appears whole or not at all: after a kill, the next run starts the encoding anew. Its name is a digest of all that the
rows follow from, so changed rows, settings or tokenizers are encoded again.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from asap.atomic import alone_in
from asap.dataset.source import Source
from asap.dataset.state import SourcePart, state_of
from asap.digest import content_digest
from asap.errors import InputError, UsageError
from asap.lm.training_template import TrainingTemplate
from asap.train.corpus import Corpus
from asap.train.distributed import process
from asap.train.gather import Wanted, rows_file
from asap.versions import __version__

_FORMAT = 1  # raise it where the same rows would be encoded differently
_PATIENCE = 600.0  # seconds without a sign of the first process
_PRUNED = ("manifest.json", "decisions.jsonl", "pruned.jsonl")  # they change with the store, whose bytes depend on SQLite


def corpus_key(source: Source, template: TrainingTemplate, limit: int, wanted: Wanted, *, samples: bool) -> str:
    """The digest of all that the rows follow from. Raises UsageError if several processes read what can be read only once."""
    names = [rows_file(name) for name in source.names]
    if wanted.mask_pruned:
        names = [str(Path(name) / file) for name in source.names for file in _PRUNED if (Path(name) / file).is_file()]
    for name in names:
        if process().world > 1 and Path(name).exists() and not (Path(name).is_file() or Path(name).is_dir()):
            raise UsageError(f"{name} can be read only once, and {process().world} processes train; write its rows into a file first")
    rows = _content(state_of(names) if wanted.mask_pruned else replace(source, names=names).state())
    ids = [] if wanted.ids_from is None else [str(ids_file(wanted.ids_from))]
    about = [source.as_settings(), source.limit, wanted.drop_long, wanted.mask_pruned, samples, limit]
    return content_digest(_FORMAT, __version__, template.hash, template.tokens.fingerprint, rows, _content(state_of(ids)), *about)


def _content(state: Sequence[SourcePart] | None) -> object:
    """What sources hold, as far as it is known: what has no state, such as a pipe, holds something else each time."""
    return uuid4().hex if state is None else [(part.name, part.digest) for part in state]


def shared_corpus(out: Path, key: str, make: Callable[[Path], object]) -> Corpus:
    """The corpus of a key in a run's folder. The first process makes it if it is not there, in a folder given to `make`; others wait."""
    folder = out / f"corpus-{key[:16]}"
    if not folder.is_dir():
        if process().is_main:
            _make(folder, make)
        else:
            _wait_for(folder)
    return Corpus.open(folder)


def remove_others(corpus: Corpus) -> None:
    """Remove the corpora of other keys beside this one, which nothing uses any more."""
    for folder in corpus.folder.parent.glob("corpus-*"):
        if folder != corpus.folder:
            shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path, make: Callable[[Path], object]) -> None:
    """Make a folder, whole or not at all; a refused run leaves nothing behind."""
    out, partial = folder.parent, folder.with_name(f".{folder.name}")
    new = not out.exists()
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone_in(out))
            for left in out.glob(".corpus-*"):  # by a killed process
                shutil.rmtree(left)
            partial.mkdir()
        except OSError as error:
            raise InputError(f"output folder {out} cannot be written ({error.strerror}); choose another --out") from error
        try:
            make(partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            if new:
                with suppress(OSError):
                    out.rmdir()
            raise


def _wait_for(folder: Path) -> None:
    """Wait until the first process has made a folder. Raises InputError if nothing of it is seen for a long time."""
    seen = time.monotonic()
    while not folder.is_dir():
        if any(folder.parent.glob(".corpus-*")):
            seen = time.monotonic()
        elif time.monotonic() - seen > _PATIENCE:
            raise InputError(
                f"process {process().rank} waits for {folder}, which process 0 encodes, and sees nothing of it; "
                "--out must be on a disk that all machines of the run share"
            )
        time.sleep(0.2)


def ids_file(path: Path) -> Path:
    """The file with the ids of a training run, a pruned folder or a data file."""
    rows = path / "rows.jsonl"
    return rows if rows.is_file() else Path(rows_file(str(path)))
