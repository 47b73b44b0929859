"""Refuses keys and items that are chosen to collide, which would make a dict or set quadratic for whoever builds it."""

import decimal
import fractions
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

_HASHED = {bool, str, float, type(None), int, tuple, bytes, frozenset}
_NUMBERS = {int, float, decimal.Decimal, fractions.Fraction}
_SAME_KEYS = 64  # dict keys that may share a hash: each further key is compared with all earlier ones
SAME_ITEMS = 1000  # list items that may share a hash: a comparison may put them into a set


def plain_keys(keys: Iterable[Any]) -> Iterator[Any]:
    """Those keys of a solution whose hash is not the solution's own."""
    return (key for key in keys if type(key) in _HASHED)


def known_keys(keys: Iterable[Any]) -> Iterator[Any]:
    """Those decoded keys that are no proxies."""
    return (key for key in keys if type(type(key)) is type)


def refuse_equal_hashes(keys: Iterable[Any], error: type[Exception]) -> None:
    """Raise the error if many keys share a hash: they make a dict or set quadratic, and only a deliberate choice of keys does that."""
    counts = Counter(map(hash, keys))
    if len(counts) and max(counts.values()) > _SAME_KEYS:
        raise error("keys that collide")


def refuse_made_to_collide(items: Any, error: type[Exception]) -> None:
    """The same for the items of a list, many of which may be equal."""
    hashes = [(hash(item), item) for item in items if _has_hash(item)]
    if not hashes:
        return
    common, count = Counter(number for number, _ in hashes).most_common(1)[0]
    if count > SAME_ITEMS and len({repr(item) for number, item in hashes if number == common}) > SAME_ITEMS:
        raise error("items that collide")


def _has_hash(item: Any) -> bool:
    kind = type(item)
    if kind is tuple or kind is frozenset:
        return all(map(_has_hash, item))
    return kind in _NUMBERS or kind in _HASHED
