"""The special methods that reach an object through the link, and how an object and its class are described to the other end."""

import asyncio
import collections.abc
import decimal
import inspect
import types
from collections.abc import Callable
from typing import Any

from asap.sandbox.jail.codec import CONTAINERS
from asap.sandbox.jail.names import type_name

COMPARISONS = frozenset(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift divmod"
ARITHMETIC = frozenset(f"__{way}{name}__" for name in _BINARY.split() for way in ("", "r", "i"))
_LOOKS = (
    "__len__ __iter__ __next__ __getitem__ __setitem__ __delitem__ __contains__ __reversed__ __missing__ __length_hint__ __call__ __bool__ "
    "__str__ __repr__ __format__ __bytes__ __hash__ __enter__ __exit__ __int__ __float__ __complex__ __index__ __neg__ __pos__ __abs__ "
    "__invert__ __round__ __trunc__ __floor__ __ceil__ __aiter__ __anext__ __aenter__ __aexit__ __await__ __fspath__ __array__"
)
SPECIAL = COMPARISONS | ARITHMETIC | frozenset(_LOOKS.split())
GENERATOR_STEPS = ("send", "throw", "close")
"""What a generator does beside `__next__`."""
READABLE = frozenset(
    [
        "__name__",
        "__qualname__",
        "__doc__",
        "__module__",
        "__annotations__",
        "__dict__",
        "__members__",
        "__match_args__",
        "__version__",
        "__author__",
        "__wrapped__",
        "__defaults__",
        "__kwdefaults__",
        "__code__",
        "__slots__",
        "__args__",
        "__origin__",
        "__func__",
        "__all__",
        "__abstractmethods__",
        "__total__",
    ]
)
"""Of the names with two underscores, those that the other end answers for. Others are hooks of libraries, or of Python's own."""

IMMUTABLE: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    complex: lambda value: complex(value.real, value.imag),
    str: str.__str__,
    bytes: lambda value: b"".join([value]),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    decimal.Decimal: lambda value: decimal.Decimal(value),
}
"""Types whose subclasses cross with their value: how to get that."""

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType, types.WrapperDescriptorType)
_AWAITABLE = (types.CoroutineType, asyncio.Future)
_MEMBERS = ("filename", "filename2", "name", "path")  # of exceptions, beside their arguments
_TEXT = 2000


def described(thing: Any, encode: Callable[[Any], Any], class_of: Callable[[Any], Any]) -> dict[str, Any]:
    """An object for the other end: its kind, its class, and what does not change."""
    kind = type(thing)
    if issubclass(kind, type):
        return {"class": _class(thing, encode)}
    if issubclass(kind, BaseException):
        return {"exception": _exception(thing, encode, class_of)}
    base = next((base for base in kind.__mro__ if base in IMMUTABLE), None)
    if base is not None:
        return {"value": [class_of(thing), encode(IMMUTABLE[base](thing))]}
    if kind in _FUNCTIONS:
        document = getattr(thing, "__doc__", None)
        return {"function": [f"builtins.{kind.__name__}", *_names(thing), document[:_TEXT] if type(document) is str else None]}
    if kind is types.GeneratorType:
        return {"generator": _names(thing)}
    if issubclass(kind, _AWAITABLE) or kind.__name__ in ("async_generator_asend", "async_generator_athrow"):
        return {"awaitable": _names(thing) if kind is types.CoroutineType else ["coroutine", "coroutine", ""]}
    return {"object": class_of(thing)}


def _names(thing: Any) -> list[str]:
    names = [getattr(thing, name, "") for name in ("__name__", "__qualname__", "__module__")]
    return [name[:_TEXT] if type(name) is str else "" for name in names]


def signature_of(thing: Any, defaults: bool = True) -> tuple[Any, ...]:
    """The rows of a function's signature, and what it returns; without `defaults`, only whether there are any."""
    signature = inspect.signature(thing)
    rows = [
        (name, int(each.kind), _told(each.default if defaults or each.default is each.empty else ...), _told(each.annotation))
        for name, each in signature.parameters.items()
    ]
    return tuple(rows), _told(signature.return_annotation)


def _told(part: Any) -> tuple[Any, ...]:
    """A part of a signature, if it is there."""
    return () if part is inspect.Parameter.empty else (part,)


def _exception(error: BaseException, encode: Callable[[Any], Any], class_of: Callable[[Any], Any]) -> list[Any]:
    name = type_name(type(error))
    kind = class_of(error) if name is None else {"type": name}
    attributes = {} if name is None else dict(vars(error))
    if name is not None or isinstance(error, OSError):
        attributes |= {key: getattr(error, key) for key in _MEMBERS if getattr(error, key, None) is not None}
    if getattr(error, "__notes__", None):
        attributes["__notes__"] = list(error.__notes__)
    args = (error.message, error.exceptions) if isinstance(error, BaseExceptionGroup) else error.args
    return [kind, encode(args), encode(error.__cause__), encode(error.__context__), encode(tuple(attributes.items()))]


def _class(kind: type, encode: Callable[[Any], Any]) -> dict[str, Any]:
    bases = kind.__mro__
    own = [base for base in bases if not is_native(base) and base is not object]
    defined = {name: value for base in reversed(own) for name, value in vars(base).items()}
    special = sorted(name for name in SPECIAL if defined.get(name) is not None)
    native = [base for base in bases if is_native(base)]
    fields = getattr(kind, "__dataclass_fields__", None)
    document = kind.__doc__
    return {
        "name": kind.__name__[:_TEXT],
        "qualname": kind.__qualname__[:_TEXT],
        "module": str(kind.__module__)[:_TEXT],
        "doc": document[:_TEXT] if type(document) is str else None,
        "bases": [encode(base) for base in kind.__bases__ if base is not object],
        "abstract": [base.__name__ for base in bases if base.__module__ == "collections.abc"],
        "special": special,
        "unhashable": "__hash__" in defined and defined["__hash__"] is None,
        "shadowed": sorted(name for name in defined if not name.startswith("__") and any(hasattr(base, name) for base in native)),
        "fields": [[name, bool(field.init)] for name, field in fields.items()] if type(fields) is dict else None,
        "known": f"{kind.__module__}.{kind.__qualname__}",
    }


def is_native(kind: type) -> bool:
    """Whether a class that stands for one of the other end inherits from this type itself: containers, values, exceptions."""
    return kind in CONTAINERS or kind in IMMUTABLE or (issubclass(kind, BaseException) and type_name(kind) is not None)


def abstract(name: Any) -> Any:
    """One of the abstract classes of containers, by name."""
    return getattr(collections.abc, name, None) if type(name) is str and name in collections.abc.__all__ else None
