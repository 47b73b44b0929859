"""Values as JSON has them: browsers and other tools refuse the NaN and Infinity that Python writes."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def as_json(value: Any) -> Any:
    """The value as JSON has it: NaN and infinity become null, named tuples objects, paths and other objects text."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if hasattr(value, "_asdict"):
        return as_json(value._asdict())
    if isinstance(value, Sequence | set | frozenset):
        return [as_json(one) for one in value]
    return str(value)
