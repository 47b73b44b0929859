"""Data as the page embeds them: compressed, and in base64."""

import base64
import json
import zlib
from typing import Any

MOST_CHARACTERS = 200_000_000  # of text on a page: about 60 MB


def embedded(data: bytes) -> str:
    """Bytes, compressed and in base64."""
    return base64.b64encode(zlib.compress(data, 6)).decode()


def embedded_json(value: Any) -> str:
    """A JSON value, compressed and in base64."""
    return embedded(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace"))
