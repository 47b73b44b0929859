"""Content made into a name: equal parts have equal digests, on every machine."""

import hashlib
import json


def content_digest(*parts: object) -> str:
    """Hex SHA-256 of JSON-able parts; the same parts give the same digest on every machine."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
