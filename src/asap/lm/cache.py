"""The user's cache folder, where converted models live, and digests of files."""

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Where converted models are kept: $ASAP_CACHE, else asap/ in the user's cache folder."""
    if chosen := os.environ.get("ASAP_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asap"


def file_sha256(file: Path) -> str:
    """Hex SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
