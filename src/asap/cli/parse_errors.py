"""What the parser refuses, in words that say what to type."""

from cyclopts import CycloptsError
from cyclopts.exceptions import CoercionError, MissingArgumentError

from asap.errors import one_line

_NUMBERS = {float: "a number", int: "a whole number"}


def in_our_words(error: CycloptsError) -> str:
    """The sentence about an error of the parser."""
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return _missing(error)
    if isinstance(error, CoercionError) and error.target_type in _NUMBERS and error.token is not None and error.argument is not None:
        name = error.token.keyword or error.argument.name
        return f"{name} is {error.token.value!r}; {_NUMBERS[error.target_type]} is expected"
    return one_line(error)


def _missing(error: MissingArgumentError) -> str:
    """A required argument that was not typed, or an option that was typed without its value."""
    assert error.argument is not None
    typed = error.keyword or next((token.keyword for token in reversed(error.argument.tokens) if token.keyword), None)
    what = f"{typed} has no value" if typed else f"{error.argument.name} is missing"
    meaning = (error.argument.parameter.help or "").partition(". ")[0].rstrip(".")
    return f"{what}{f' ({meaning})' if meaning else ''}; see asap {' '.join(error.command_chain or ())} --help"
