"""Checks of settings: each raises UsageError with the setting's name, its value and the expected values."""

from collections.abc import Sequence

from asap.errors import UsageError


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """The value must be one of the choices."""
    if value not in choices:
        raise UsageError(f"unknown {name} {value!r}; choose from {', '.join(choices)}")


def check_least(name: str, value: int, least: int) -> None:
    """The value must not be smaller than `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} is {value!r}; a whole number is expected")
    if value < least:
        raise UsageError(f"{name} is {value}; {least} or more is expected")


def check_fraction(name: str, value: float) -> None:
    """The value must be from 0 to 1."""
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise UsageError(f"{name} is {value!r}; a number from 0 to 1 is expected")
