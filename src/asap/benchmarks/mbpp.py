"""The Python types of arguments that MBPP+'s JSON has lost, and the comparisons of some problems."""

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from asap.benchmarks.values import Equal

Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _inner(value: Any) -> Any:
    return [_tuple(item) for item in value]


def _tuple(value: Any) -> Any:
    return tuple(value)


def _nested(value: Any) -> Any:
    return tuple(_inner(value))


def _mixed(value: Any) -> Any:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _deep(value: Any) -> Any:
    return tuple(_deep(item) for item in value) if isinstance(value, list) else value


def _sets(value: Any) -> Any:
    return [set(item) if isinstance(item, list) and item else {} for item in value]  # an empty one is a dict upstream too


def _values(value: Any) -> Any:
    return {key: tuple(item) for key, item in value.items()}


_EACH: dict[Convert, str] = {
    _tuple: "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809",
    _inner: "63 64 70 94 120 237 272 299 400 409 417 438 473 614 780",
    _nested: "259 401 445",
    _deep: "580 615 791",
}
"""Problems whose arguments are all converted alike."""

_ONE_BY_ONE: dict[tuple[Convert, ...], str] = {
    (_inner, _same): "75 413 444 753",
    (_same, _tuple): "106 750",
    (_sets,): "115",
    (float, complex): "124",
    (_tuple, _same): "250 405 446 617 720 763 808",
    (complex,): "252",
    (_mixed,): "278",
    (_tuple, _same, _same): "307",
    (_values, _same): "722",
}
_OF_EACH = {f"Mbpp/{number}": convert for convert, numbers in _EACH.items() for number in numbers.split()}
_OF_ONE = {f"Mbpp/{number}": converts for converts, numbers in _ONE_BY_ONE.items() for number in numbers.split()}

_ORDER_FREE = (
    "similar_elements",
    "find_char_long",
    "common_in_nested_lists",
    "extract_singly",
    "larg_nnum",
    "intersection_array",
    "find_dissimilar",
    "Diff",
)
LEFT_OUT = {"Mbpp/255": {88, 89, 93, 99, 103}}
"""Unused inputs, by their number: the right outputs have 6 to 130 million values, too many to send between processes."""

_FOUND_OR_NOT = ("check_str", "text_match_three", "text_starta_endb")


def mbpp_arguments(task_id: str, arguments: Sequence[Any]) -> list[Any]:
    """The arguments of one call with the types that the problem expects: tuples, sets, complex numbers."""
    if each := _OF_EACH.get(task_id):
        return [each(argument) for argument in arguments]
    converts = _OF_ONE.get(task_id, ())
    return [convert(argument) for convert, argument in zip_longest(converts, arguments, fillvalue=_same)]


def mbpp_equal(entry_point: str, atol: float, equal: Equal) -> Equal:
    """The comparison of a problem: for most `equal`, for a few what EvalPlus also accepts, or accepts instead."""

    def found_or_not(_: Sequence[Any], output: Any, expected: Any) -> bool:
        return (output if isinstance(output, bool) else output is not None) == (expected is not None)

    special: dict[str, Equal] = {
        "are_equivalent": lambda arguments, output, expected: True,  # its reference is useless
        "sum_div": lambda arguments, output, expected: output == 0 or equal(arguments, output, expected),
        "surface_Area": lambda arguments, output, expected: (
            abs(output - _pyramid_surface(*arguments)) <= atol or equal(arguments, output, expected)
        ),
        "digit_distance_nums": lambda arguments, output, expected: (
            output == _digit_distance(*arguments) or equal(arguments, output, expected)
        ),
    }
    special |= dict.fromkeys(_ORDER_FREE, lambda arguments, output, expected: set(output) == set(expected))
    special |= dict.fromkeys(_FOUND_OR_NOT, found_or_not)
    return special.get(entry_point, equal)


def _pyramid_surface(base: float, height: float) -> int:
    """Mbpp/581 with `height` as the height of the apex above the base, the other reading of its text."""
    return round(base**2 + 2 * base * math.hypot(base / 2, height))


def _digit_distance(one: int, other: int) -> int:
    """Mbpp/558 with leading zeros, the other reading of its text: the sum of the differences of the digits, position by position."""
    width = max(len(str(one)), len(str(other)))
    return sum(abs(int(a) - int(b)) for a, b in zip(str(one).zfill(width), str(other).zfill(width), strict=True))
