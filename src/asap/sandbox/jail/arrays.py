"""Values of numpy and sortedcontainers, which are imported only for them."""

import base64
import importlib
import re
import sys
from typing import Any

from asap.sandbox.jail.limits import BadValue

_SORTED = ("SortedList", "SortedSet", "SortedDict")
_DTYPE = re.compile(r"[<>|=]?[biufcSUMm?]\d*(\[\w+\])?")


def numpy_of(value: Any) -> Any:
    """numpy, if the value is an array or a scalar of it."""
    module = type(value).__module__
    if type(module) is not str or module.partition(".")[0] != "numpy":
        return None
    return importlib.import_module("numpy")


def sorted_of(value: Any) -> Any:
    """The class of a sorted container without a key, if the value is one."""
    kind = type(value)
    module = sys.modules.get("sortedcontainers") if str(kind.__module__).startswith("sortedcontainers") else None
    plain = module is not None and kind.__name__ in _SORTED and getattr(module, kind.__name__, None) is kind
    return kind if plain and value.key is None else None


def sorted_from(name: str) -> Any:
    """An empty sorted container. Raises BadValue."""
    if name not in _SORTED:
        raise BadValue("no such container")
    return getattr(importlib.import_module("sortedcontainers"), name)()


def to_scalar(value: Any) -> Any:
    """The body of a numpy scalar; None if its type has no text form."""
    return [value.dtype.str, base64.b64encode(value.tobytes()).decode()] if _DTYPE.fullmatch(value.dtype.str) else None


def from_scalar(body: Any) -> Any:
    """The scalar of a body."""
    kind, data = body
    return from_buffer(kind, [], data)[()]


def from_buffer(kind: str, shape: list[int], data: str) -> Any:
    """A numpy array of a type, a shape and its bytes in base 64."""
    numpy: Any = importlib.import_module("numpy")
    if not _DTYPE.fullmatch(kind):
        raise BadValue("no such dtype")
    return numpy.frombuffer(base64.b64decode(data, validate=True), numpy.dtype(kind)).reshape(shape).copy()


def is_buffer(value: Any) -> bool:
    """Whether an array's items are numbers, texts or times, so that its bytes are all there is to it."""
    return is_buffer_type(value.dtype)


def is_buffer_type(kind: Any) -> bool:
    """Whether a dtype is one of those."""
    return bool(_DTYPE.fullmatch(kind.str))
