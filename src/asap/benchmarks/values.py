"""Compares a solution's outputs with the expected values. Outputs may be anything, and no function here raises for them."""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

RTOL = 1e-7

Equal = Callable[[Sequence[Any], Any, Any], bool]


def is_floats(value: Any) -> bool:
    """Whether a value is a float, or a list or tuple of floats only (at least one)."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def close(output: Any, expected: Any, atol: float) -> bool:
    """Whether numbers, or lists of them of one shape, differ by at most atol + 1e-7 of the expected size; NaN is close to nothing."""
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(output, (list, tuple))
            and len(output) == len(expected)
            and all(close(one, other, atol) for one, other in zip(output, expected, strict=True))
        )
    if not isinstance(output, (int, float, complex)) or not isinstance(expected, (int, float, complex)):
        return False
    return output == expected or abs(output - expected) <= atol + RTOL * abs(expected)


def never_raising(equal: Equal) -> Equal:
    """The comparison, returning False instead of raising for strange values."""

    def safe(arguments: Sequence[Any], output: Any, expected: Any) -> bool:
        try:
            return bool(equal(arguments, output, expected))
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError):
            return False

    return safe


def same_value(arguments: Sequence[Any], output: Any, expected: Any) -> bool:
    """LiveCodeBench's comparison of values: a tuple counts as a list, otherwise Python's own equality."""
    return bool((list(output) if isinstance(output, tuple) else output) == expected)


def same_output(output: str, expected: str) -> bool:
    """LiveCodeBench's comparison of printed text: line by line without outer white space, and numbers by their value."""
    lines, wanted = ([line.strip() for line in text.strip().split("\n")] for text in (output, expected))
    return len(lines) == len(wanted) and all(line == other or _same_numbers(line, other) for line, other in zip(lines, wanted, strict=True))


def _same_numbers(line: str, other: str) -> bool:
    try:
        return [Decimal(word) for word in line.split()] == [Decimal(word) for word in other.split()]
    except (InvalidOperation, ValueError):
        return False
