"""Digests of content."""

import hashlib
import json


def content_digest(*parts: object) -> str:
    """The hex SHA-256 of JSON-able parts; equal parts have equal digests on every machine."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
