"""Decodes the lists and objects that data sets keep in columns of text: as JSON, or as Python writes them."""

import ast
import json
from decimal import Decimal


def decoded(value: object) -> object:
    """A column's value; a text that is a list or an object is decoded. Any other stays as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return _of_python(value)
    except RecursionError:
        return value
    except ValueError:  # an integer of more digits than `int` reads
        return json.loads(value, parse_int=_whole)


def _of_python(value: str) -> object:
    """What `str` or `repr` of a list or dict has written."""
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return value
    return found if isinstance(found, list | dict) else value


def _whole(digits: str) -> int:
    return int(Decimal(digits)) if len(digits) > 4000 else int(digits)
