"""Values as JSON has them: browsers and other tools refuse the NaN and Infinity that Python writes."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinity become null, named tuples objects, paths and other objects text."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Sequence | set | frozenset):
        return [plain(one) for one in value]
    return str(value)
