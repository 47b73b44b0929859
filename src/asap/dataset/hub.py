"""Data sets on the Hugging Face Hub, streamed with the `datasets` package (extra `hub`)."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from asap.dataset.raw import RawRow
from asap.errors import InputError, MissingExtra, one_line
from asap.install import install_command

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_FILE = re.compile(r"\.(jsonl?|ndjson|parquet|arrow|csv|txt|gz|zst)$", re.IGNORECASE)
_TIMEOUT = 10.0


def looks_like_hub_id(source: str) -> bool:
    """Whether the name has the form `owner/name` and does not end like a file name."""
    return _ID.fullmatch(source) is not None and _FILE.search(source) is None and ".." not in source


def hub_rows(name: str, config: str | None, split: str | None) -> Iterator[RawRow]:
    """The rows of the data set `owner/name` on the Hub."""
    _import_datasets(name)
    _check_on_hub(name)
    yield from loaded_rows(name, config, split)


def loaded_rows(name: str, config: str | None, split: str | None) -> Iterator[RawRow]:
    """The rows of anything that `datasets.load_dataset` can stream; `config` and `split` are optional if there is only one."""
    try:
        line = 0
        for line, row in enumerate(_streamed(name, config, split), 1):
            yield RawRow.good(name, line, row)
    except (InputError, MissingExtra):
        raise
    except Exception as error:  # border: datasets passes on the errors of every file format, codec and network library it uses
        raise InputError(f"{name}: the data set cannot be read from the Hub ({_one_line(error)})") from error
    if not line:
        raise InputError(f"{name}: the data set has no rows")


def loaded_schema(name: str, config: str | None, split: str | None) -> Any:
    """The Arrow schema of the rows of `loaded_rows`, once they are read; None if it is not known, as that of JSON."""
    features = _streamed(name, config, split).features
    return None if features is None else features.arrow_schema


@lru_cache(maxsize=8)
def _streamed(name: str, config: str | None, split: str | None) -> Any:
    """The rows of a split as `datasets` streams them, which are asked for once."""
    datasets = _import_datasets(name)
    chosen = _chosen(name, "subset", config, datasets.get_dataset_config_names(name))
    splits = datasets.load_dataset(name, chosen, streaming=True)
    return splits[_chosen(name, "split", split, list(splits))]


def revision_of(name: str) -> str | None:
    """The commit that the data set `owner/name` has on the Hub now; None if that cannot be known."""
    try:
        from huggingface_hub import HfApi

        return HfApi().dataset_info(name, timeout=_TIMEOUT).sha
    except Exception:  # border: without an answer the data set is read again, which tells what is wrong
        return None


def _import_datasets(name: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra(
            f"{name}: there is no such file or folder; to read it from the Hugging Face Hub: {install_command('hub')}"
        ) from error
    return datasets


def _check_on_hub(name: str) -> None:
    """Ask the Hub once whether the data set exists: `datasets` itself tries six times before it gives up."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        HfApi().dataset_info(name, timeout=_TIMEOUT)
    except GatedRepoError as error:
        raise InputError(f"{name}: the data set is gated; ask for access on its page on the Hub and log in with: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{name}: there is no such file or folder, and no such data set on the Hub (if it is private, log in with: hf auth login)"
        ) from error
    except OfflineModeIsEnabled as error:
        raise InputError(f"{name}: there is no such file or folder, and HF_HUB_OFFLINE forbids to ask the Hub for it") from error
    except Exception as error:  # border: the underlying HTTP library, and so its errors, differ between versions
        raise InputError(
            f"{name}: there is no such file or folder, and the Hugging Face Hub cannot be reached ({_one_line(error)})"
        ) from error


def _chosen(name: str, kind: str, wanted: str | None, known: Sequence[str]) -> str:
    names = ", ".join(known)
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        raise InputError(f"{name}: the data set has several {kind}s; choose one with --{kind}: {names}")
    if wanted not in known:
        raise InputError(f"{name}: there is no {kind} {wanted!r}; allowed for --{kind}: {names}")
    return wanted


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)[:300]}"
