"""A solution's exception described in plain words: what verdicts are made of."""

import builtins
from typing import Any

from asap.sandbox.jail.limits import BadValue


def fault(error: BaseException) -> dict[str, Any]:
    """An exception described for the other side: its class, the builtin classes above it, its message."""
    try:
        message = str(error)[:300]
    except Exception:  # its own __str__ may raise anything
        message = ""
    above = [kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    number = error.errno if isinstance(error, OSError) else None
    return {"type": type(error).__name__[:80], "above": above, "message": message, "errno": number if type(number) is int else None}


def checked_fault(data: Any) -> dict[str, Any]:
    """The other side's description of an exception, reduced to its valid parts."""
    if type(data) is not dict:
        raise BadValue("not an exception")
    above = data.get("above")
    return {
        "type": str(data.get("type"))[:80],
        "above": [name for name in above if type(name) is str] if type(above) is list else [],
        "message": str(data.get("message"))[:300],
        "errno": data.get("errno") if type(data.get("errno")) is int else None,
    }


def plain_error(told: dict[str, Any], lowest: type[BaseException] | tuple[type[BaseException], ...]) -> BaseException:
    """An exception of the nearest builtin class, which is one of `lowest`, with the message."""
    kinds = [getattr(builtins, name, None) for name in told["above"]]
    kind = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, lowest)), Exception)
    try:
        return kind(told["message"])
    except TypeError:  # UnicodeDecodeError and others take more arguments
        return Exception(told["message"])
