"""Where the files and folders are that a run names: it may have been started elsewhere, or moved together with them."""

from collections.abc import Iterator
from pathlib import Path


def places_of(name: str, run: Path) -> Iterator[Path]:
    """Where a path that a run names may lead: from here, and from each folder above the run."""
    yield from (base / Path(name).expanduser() for base in (Path(), *run.resolve().parents))
