"""The files of a folder by subset and split, told apart as the Hub's `datasets` does: by its README.md, else by the names.

A file belongs to the split that a folder or the file is named after (`test/…`, `data/train-00000-of-00004.parquet`, `dev.jsonl`), and to
the subset that a folder is named after which is no split (`solutions_py/…`). Output folders of ASAP are no sources. `.json` files count
where there are no others.

What this does not do: read rows.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from asap.errors import InputError, one_line
from asap.ownership import run_in

_ALONE = "default"
"""The subset of the files that are in no folder of a subset."""

Splits = Mapping[str | None, Sequence[Path]]
"""Files by the name of their split; None: of no split."""

_DATA = re.compile(r"[^.].*\.(jsonl(\.gz|\.zst)?|parquet)")
_JSON = re.compile(r"[^.].*\.json(\.gz|\.zst)?")
_ABOUT = ("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "manifest.json", "package.json")
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_NAMED = {split: re.compile(rf"(.*[-._ 0-9])?({'|'.join(words)})([-._ 0-9].*)?") for split, words in _KEYWORDS.items()}
_SHARD = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}\b.*")
_SHOWN = 20


def chosen_files(folder: Path, subset: str | None, split: str | None) -> list[Path]:
    """The files of a folder's subset and split, in order; each must be chosen if there are several. Raises InputError."""
    subsets = _of_card(folder) or _by_name(folder)
    if not subsets:
        raise InputError(
            f"{folder}: the folder holds no .jsonl, .json, .parquet file (nor .jsonl.gz, .jsonl.zst) and was not made by save_to_disk"
        )
    splits = subsets[_choice(folder, "subset", subset, {name: _all(splits) for name, splits in subsets.items()})]
    if split is not None and [*splits] == [None]:
        raise InputError(f"{folder}: no file is named after a split such as train or test, so there is no {split!r}; leave --split out")
    return [*splits[_choice(folder, "split", split, splits)]]


def _choice(folder: Path, kind: str, wanted: str | None, known: Splits) -> Any:
    if wanted is None and len(known) == 1:
        return next(iter(known))
    if wanted is not None and wanted in known:
        return wanted
    shown = [f"{name} ({_size(files)})" for name, files in known.items() if name is not None]
    listed = ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")
    if loose := known.get(None):
        listed += f"; {_size(loose)} of no {kind}, such as {loose[0].name}: name them as sources to read them"
    if wanted is None:
        raise InputError(f"{folder}: the folder has several {kind}s; choose one with --{kind}: {listed}")
    raise InputError(f"{folder}: there is no {kind} {wanted!r}; allowed for --{kind}: {listed}")


def _size(files: Sequence[Path]) -> str:
    """The number of files and, where it can be told at once, of rows."""
    shown = f"{len(files):,} file{'s' * (len(files) != 1)}"
    if all(file.suffix == ".parquet" for file in files):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return f"{shown}, {sum(pq.read_metadata(file).num_rows for file in files):,} rows"
        except (pa.ArrowException, OSError):  # reading it will tell
            return shown
    return f"{shown}, {sum(file.stat().st_size for file in files) / 1e6:,.1f} MB"


def _all(splits: Splits) -> list[Path]:
    return list(dict.fromkeys(file for files in splits.values() for file in files))


def _by_name(folder: Path) -> dict[str, Splits]:
    """The files of a folder as their names and their folders' names tell."""
    found = dict[str, dict[str | None, list[Path]]]()
    for file in data_files(folder):
        inside = file.relative_to(folder).parts
        first = inside[0] if len(inside) > 1 and inside[0] != "data" and not _named(inside[0]) else _ALONE
        for split in _splits_of(inside):
            found.setdefault(first, {}).setdefault(split, []).append(file)
    return {subset: dict(sorted(splits.items(), key=lambda item: _order(item[0]))) for subset, splits in found.items()}


def _order(split: str | None) -> tuple[int, str]:
    """train, validation, test, the others by name, and what belongs to no split."""
    known = [*_KEYWORDS]
    return (9, "") if split is None else (known.index(split) if split in known else 8, split)


def _splits_of(parts: Sequence[str]) -> Sequence[str | None]:
    *folders, name = parts
    by_folder = next((named for folder in reversed(folders) if (named := _named(folder))), None)
    if by_folder:
        return by_folder
    shard = _SHARD.fullmatch(name)
    return [shard[1]] if shard else _named(name) or [None]


def _named(name: str) -> list[str]:
    """The splits that a name has the words of."""
    return [split for split, pattern in _NAMED.items() if pattern.fullmatch(name)]


def data_files(folder: Path) -> list[Path]:
    """The files with rows in a folder and the folders inside it, in order."""
    found = list(_walk(folder))
    files = [path for path in found if _DATA.fullmatch(path.name)]
    return files or [path for path in found if _JSON.fullmatch(path.name) and path.name not in _ABOUT]


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        if place != str(folder) and run_in(Path(place)):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        yield from sorted(path for name in names if (path := Path(place, name)).is_file())


def _of_card(folder: Path) -> dict[str, Splits]:
    """The files that the front matter of README.md gives to each subset (`configs`); empty if it names none that is here."""
    found = dict[str, Splits]()
    for config in _configs(folder / "README.md"):
        inside = folder / str(config["data_dir"]) if config.get("data_dir") else folder
        listed = config.get("data_files")
        if listed is None:
            splits: Splits = next(iter(_by_name(inside).values()), {}) if inside != folder and _is_inside(folder, inside) else {}
        else:
            splits = _of_patterns(folder, inside, listed)
        if splits:
            found[str(config.get("config_name", _ALONE))] = splits
    return found


def _of_patterns(folder: Path, inside: Path, listed: Any) -> Splits:
    """The files of `data_files`: a pattern, a list of them, or a list of splits with theirs."""
    entries = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    found = dict[str | None, list[Path]]()
    for entry in entries:
        split, paths = (entry.get("split"), entry.get("path")) if isinstance(entry, Mapping) else ("train", entry)
        for pattern in [paths] if isinstance(paths, str) else paths or []:
            found.setdefault(str(split), []).extend(_matching(folder, inside, str(pattern)))
    return {split: files for split, files in found.items() if files}


def _matching(folder: Path, inside: Path, pattern: str) -> list[Path]:
    if PurePath(pattern).is_absolute() or "://" in pattern or not pattern:
        return []
    data = (path for path in inside.glob(pattern) if _DATA.fullmatch(path.name) or _JSON.fullmatch(path.name))
    return sorted(path for path in data if path.is_file() and _is_inside(folder, path))


def _is_inside(folder: Path, path: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))


def _configs(card: Path) -> list[Mapping[str, Any]]:
    """The entries of `configs` in a card's front matter."""
    import yaml

    try:
        text = card.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{card}: cannot be read ({error.strerror})") from error
    front = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", text, re.DOTALL | re.MULTILINE)
    if not front or "configs" not in front[1]:
        return []
    try:
        values = yaml.safe_load(front[1])
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{card}: its front matter is not valid YAML ({one_line(error)}); correct it, or name the files") from error
    configs = values.get("configs") if isinstance(values, Mapping) else None
    return [config for config in configs if isinstance(config, Mapping)] if isinstance(configs, list) else []
