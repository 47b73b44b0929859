"""What of an output folder is published: its files with their sizes, the card completed, without paths of this machine.

Left out unless asked for: the stores, which hold the original traces, every reply and every verdict, and the review page, which shows the
originals as well. Columns of the source are published, so one that repeats the original traces stops the push.
What this does not do: talk to the Hub (`asap.hub_push`), publish models, or look for pieces of originals.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from asap.card import public_name
from asap.dataset.columns import OWN
from asap.dataset.formats import FORMATS
from asap.errors import InputError, UsageError
from asap.ownership import PRUNED, record_in, run_in
from asap.store.entry import Entry
from asap.store.work import Store

_CARD, _MANIFEST, _REVIEW = "README.md", "manifest.json", "review.html"
_STORES = ("work.sqlite", "replies.sqlite", "evaluation.sqlite")
_DATA = ("pruned.jsonl", "pruned.parquet", "decisions.jsonl", "decisions.jsonl.zst", "rejected.jsonl", "dataset_info.json")
_FORMATS = tuple(f"{name}.jsonl" for name in FORMATS)
OURS = frozenset((_CARD, _MANIFEST, _REVIEW, *_STORES, *_DATA, *_FORMATS))
"""Every name that a push may write, or remove where an earlier push wrote it."""
_SEAL = re.compile(r"\n*<!-- sha256 of what stands above: [^\n]*-->\n\Z")
_LOOSE = re.compile(r"""\\+[nrt]?|\s+|["']""")
_PLACEHOLDER = "other"
_UNKNOWN = "to be filled in: the licence of the original data"


class Published(NamedTuple):
    """One file to publish: its content, or where that is."""

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """In bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


class Parcel(NamedTuple):
    """The files to publish, and the names of what stays here."""

    pieces: Sequence[Published]
    left_out: Sequence[str]
    license: str


def parcel_of(folder: Path, license_: str | None, languages: Sequence[str], *, review: bool, originals: bool) -> Parcel:
    """What of a finished folder of rows is published. Raises InputError for other folders, UsageError without a licence."""
    manifest = _manifest_of(folder)
    there = {path.name for path in folder.iterdir() if path.is_file()}
    card, license_ = _card(folder / _CARD, manifest, license_, languages, {*_STORES, _REVIEW} if originals else {_REVIEW})
    names = [name for name in (*_DATA, *_formats_in(manifest)) if name in there and name != "rejected.jsonl"]
    if originals:
        names += [_settled(folder, name) for name in _STORES if name in there]
    elif _STORES[0] in there and (columns := _columns_with_originals(folder)):
        raise InputError(
            f"{folder / 'pruned.jsonl'}: other columns hold the original traces ({', '.join(columns)}); prune into another folder "
            "with --keep-columns and the names to publish, or publish the originals, too: --with-originals"
        )
    if review and _REVIEW not in there:
        raise InputError(f"{folder} has no {_REVIEW}; write it first: asap review {folder} --out {folder / _REVIEW}")
    names += [_REVIEW] if review else []
    pieces = [
        Published(_CARD, card),
        *(Published(name, folder / name) for name in names),
        Published("rejected.jsonl", b"".join(_rejected_rows(folder / "rejected.jsonl"))),
        Published(_MANIFEST, (json.dumps(_without_paths(manifest), indent=2, ensure_ascii=False) + "\n").encode()),
    ]
    sent = {piece.name for piece in pieces}
    return Parcel(pieces, sorted(name for name in there - sent if not name.startswith(".")), license_)


def _manifest_of(folder: Path) -> Mapping[str, Any]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name an output folder of asap prune, cut or merge")
    found = run_in(folder)
    if found != PRUNED:
        holds = f"holds a run of {found}" if found else "was not written by asap"
        models = "; a model is pushed with: hf upload OWNER/NAME FOLDER" if found else ""
        raise InputError(f"{folder} {holds}, and only rows are published: output folders of asap prune, cut or merge{models}")
    manifest = record_in(folder / _MANIFEST)
    if manifest is None:
        raise InputError(f"{folder} has no {_MANIFEST}, so its run has not ended; run the same command again until it is done")
    if shard := manifest["settings"].get("shard"):
        raise InputError(f"{folder} is shard {shard} of a run; put the shards together first: asap merge")
    return manifest


def _columns_with_originals(folder: Path) -> list[str]:
    """The other columns of pruned.jsonl in which a trace stands as it was before it was pruned."""
    found = set[str]()
    with Store.reading(folder) as store, (folder / "pruned.jsonl").open("rb") as lines:
        stored = groupby(store.entries(), _row_of)
        for row in map(json.loads, lines):
            entries = next((list(group) for name, group in stored if name == str(row["id"])), None)
            if entries is None:
                where = f"{folder / 'pruned.jsonl'}, row {row['id']!r}"
                raise InputError(f"{where}: its run has no such row there, so the file was changed; asap cut writes it again")
            found |= _with_originals(row, entries)
    return sorted(found)


def _row_of(entry: Entry) -> str | None:
    """The id of the written row that an entry is, or is a turn of."""
    return entry.turn.conversation.id if entry.turn else entry.id


def _with_originals(row: Mapping[str, Any], entries: Sequence[Entry]) -> set[str]:
    """The columns of a row that hold whole original thinking, except those that are pruned, or hold it because it is as it was."""
    turn = entries[0].turn
    others = turn.conversation.others if turn else [name for name in row if name not in OWN]
    texts = {name: _squeezed(_texts_in(row[name])) for name in others if name in row}
    pruned = _squeezed(_texts_in({name: value for name, value in row.items() if name not in texts}))
    originals = [_squeezed([entry.sample.cot]) for entry in entries if entry.sample is not None]
    return {name for name, text in texts.items() if any(one and one in text and one not in pruned for one in originals)}


def _texts_in(value: object) -> Iterator[str]:
    """All texts in a value, in order; one that is JSON also as what it encodes."""
    if isinstance(value, str):
        yield value
        if value[:1] in ("[", "{", '"'):
            try:
                yield from _texts_in(json.loads(value))
            except (ValueError, RecursionError):
                return
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(one)


def _squeezed(texts: Iterable[str]) -> str:
    """The texts as one, without what a copy of them may write otherwise: white space, quotation marks, escapes."""
    return _LOOSE.sub("", "".join(texts))


def _formats_in(manifest: Mapping[str, Any]) -> list[str]:
    return [name for name in _FORMATS if name.removesuffix(".jsonl") in manifest.get("formats", ())]


def _settled(folder: Path, name: str) -> str:
    """The name of a store that no process is writing to."""
    log = folder / f"{name}-wal"
    if log.is_file() and log.stat().st_size:
        raise InputError(f"{folder / name} is being written; wait for the other asap process, then push again")
    return name


def _card(path: Path, manifest: Mapping[str, Any], license_: str | None, languages: Sequence[str], kept: set[str]) -> tuple[bytes, str]:
    """The folder's card with licence, languages and size, and the licence. An edited card keeps its text, and its fields unless given."""
    from huggingface_hub import DatasetCard

    try:
        text = _SEAL.sub("\n", path.read_text("utf-8"))
        card = DatasetCard(text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a card ({' '.join(str(error).split())}); asap cut writes it again") from error
    data = card.data.__dict__  # whatever fields the card has
    placeholder = data.get("license") in (None, _PLACEHOLDER)
    if license_ is None and placeholder:
        raise UsageError(
            "which licence do the original rows have? Name it as the Hub does, for example --license apache-2.0, cc-by-4.0, mit, or "
            "--license other for one that the Hub does not know; pruning does not change it"
        )
    data["license"] = license_ or data["license"]
    if languages:
        data["language"] = list(languages)
    counts = manifest["counts"]
    data["size_categories"] = [_size_category(counts["rows"] - counts["rejected"])]
    gone = tuple(f"- `{name}`:" for name in (*_STORES, _REVIEW) if name not in kept)
    body = "\n".join(line for line in card.text.split("\n") if not line.startswith(gone))
    card.text = body.replace(_UNKNOWN, str(data["license"]))
    return str(card).encode(), str(data["license"])


def _size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    tops = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    place = max(0, len(str(rows)) - 3)
    if place == 0:
        return "n<1K"
    return f"{tops[place - 1]}<n<{tops[place]}" if place < len(tops) else "n>1B"


def _rejected_rows(path: Path) -> Iterator[bytes]:
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        yield json.dumps(_without_paths(json.loads(line)), ensure_ascii=False).encode() + b"\n"


def _without_paths(value: Any) -> Any:
    """A value of JSON whose texts name no folder of this machine."""
    if isinstance(value, dict):
        return {name: _without_paths(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_paths(one) for one in value]
    return public_name(value) if isinstance(value, str) and re.match(r"(hf:|gguf:)?[/~]", value) else value
