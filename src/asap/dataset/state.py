"""The state of a source: tells whether what a run has read is still what the source holds, without parsing it again.

A file is its bytes: their digest, computed again only where size or time of change differ. A Hub data set is its revision. A pipe has
no state.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from asap.dataset.containers import files_of
from asap.dataset.hub import looks_like_hub_id, revision_of
from asap.errors import InputError

_RECENT_NS = 2_000_000_000  # a file may change again within the same tick of its clock


class SourcePart(NamedTuple):
    """A file with the SHA-256 of its bytes, or a Hub data set with its revision. `changed_ns` is 0 where it says nothing."""

    name: str
    size: int
    changed_ns: int
    digest: str


def state_of(
    names: Iterable[str], known: Sequence[SourcePart] = (), *, hub_config: str | None = None, hub_split: str | None = None
) -> list[SourcePart] | None:
    """The state of sources, with the digests of those files in `known` that have not changed; None if a source has no state."""
    before = {part[:3]: part for part in known}
    try:
        found = [_parts(name, before, hub_config, hub_split) for name in names]
    except (OSError, InputError):  # reading it will tell
        return None
    return [part for parts in found if parts is not None for part in parts] if None not in found else None


def same_content(one: Sequence[SourcePart] | None, other: Sequence[SourcePart] | None) -> bool:
    """Whether both states are known and the sources hold the same."""
    if one is None or other is None:
        return False
    return [(part.name, part.digest) for part in one] == [(part.name, part.digest) for part in other]


def _parts(name: str, before: dict[tuple[str, int, int], SourcePart], config: str | None, split: str | None) -> list[SourcePart] | None:
    path = Path(name)
    if not path.exists() and looks_like_hub_id(name):
        revision = revision_of(name)
        return None if revision is None else [SourcePart(name, 0, 0, revision)]
    files = files_of(path, config, split)
    return [_of_file(file, before) for file in files] if all(file.is_file() for file in files) else None


def _of_file(path: Path, before: dict[tuple[str, int, int], SourcePart]) -> SourcePart:
    name = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    with path.open("rb") as file:
        found = path.stat()
        changed = max(found.st_mtime_ns, found.st_ctime_ns)  # a time of modification can be set, that of a change cannot
        changed = changed if time.time_ns() - changed > _RECENT_NS else 0
        known = before.get((name, found.st_size, changed)) if changed else None
        return known or SourcePart(name, found.st_size, changed, hashlib.file_digest(file, "sha256").hexdigest())
