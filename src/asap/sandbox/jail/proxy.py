"""Objects of the other end of a link: functions, classes and objects whose work happens in the other process.

A solution may supply values but never judgements. So where the tests' end looks at an object of the solution, it equals no plain value,
whatever the solution's `__eq__` returns; it compares only with other objects of the solution, and arithmetic with a plain value returns
another object or fails. Objects that are also a value or a container compare as that.
"""

import inspect
import types
from collections.abc import Iterator
from typing import Any

from asap.sandbox.jail.link import Link
from asap.sandbox.jail.names import known_type
from asap.sandbox.jail.packing import ENTRY
from asap.sandbox.jail.special import ARITHMETIC, COMPARISONS, READABLE, is_native


class RemoteClass(type):
    """A class of the other end. Calling it creates the object there."""

    _asap: tuple[Link, int]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **more: Any) -> "RemoteClass":
        """Refuse a subclass of the other end's class: half of its objects would be here, half there."""
        if "_asap" not in body:
            link = next(base._asap[0] for base in bases if isinstance(base, RemoteClass))
            link.misses(f"a subclass of {bases[0].__name__} in the solution's process")
            raise TypeError(f"a subclass of {bases[0].__name__} cannot live in another process")
        return super().__new__(cls, name, bases, body)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """A new object, created by the other end."""
        link, number = cls._asap
        return link.call(number, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if _is_hook(name):
            raise AttributeError(name)
        link, number = cls._asap
        return link.ask("get", target=number, name=name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if _is_hook(name) or name.startswith("_abc_"):
            super().__setattr__(name, value)
            return
        link, number = cls._asap
        link.ask("set", target=number, name=name, args=(value,))

    def __getitem__(cls, key: Any) -> Any:
        link, number = cls._asap
        return link.ask("item", target=number, args=(key,))

    def __iter__(cls) -> Iterator[Any]:
        link, number = cls._asap
        return iter(link.ask("items", target=number))

    def __len__(cls) -> int:
        link, number = cls._asap
        return len(link.ask("items", target=number))

    def __contains__(cls, item: Any) -> bool:
        link, number = cls._asap
        return item in link.ask("items", target=number)

    def __bool__(cls) -> bool:
        return True


def attributes(self: "Proxy") -> Any:
    """An object's `__dict__`, as the other end has it."""
    link, number = self._asap
    return link.ask("get", target=number, name="__dict__")


def reader(name: str) -> Any:
    """A function that reads an attribute at the other end."""
    return lambda self: self._asap[0].ask("get", target=self._asap[1], name=name)


class Proxy:
    """An object of the other end. `_asap` holds the link and its number."""

    __dict__ = property(attributes)

    def __getattr__(self, name: str) -> Any:
        if name == "_asap" or _is_hook(name):
            raise AttributeError(name)
        link, number = self._asap
        return link.ask("get", target=number, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_hook(name):  # an exception's traceback and its like
            object.__setattr__(self, name, value)
            return
        link, number = self._asap
        link.ask("set", target=number, name=name, args=(value,))

    def __delattr__(self, name: str) -> None:
        link, number = self._asap
        link.ask("delete", target=number, name=name)

    def __copy__(self) -> Any:
        link, number = self._asap
        return link.ask("copy", target=number)

    def __deepcopy__(self, memo: Any) -> Any:
        link, number = self._asap
        return link.ask("deepcopy", target=number)

    def __dir__(self) -> list[str]:
        link, number = self._asap
        return list(link.ask("dir", target=number))


class Function(Proxy):
    """A function of the other end: the entry point, or one that it returned."""

    def __init__(
        self, remote: Link, name: str, number: int = ENTRY, kind: str = "builtins.function", more: tuple[str, str, str | None] | None = None
    ) -> None:
        qualname, module, document = more or (name, "solution", None)
        own = {"__name__": name.rpartition(".")[2], "__qualname__": qualname, "__module__": module, "__doc__": document}
        for key, value in {**own, "_asap": (remote, number), "_kind": kind}.items():
            object.__setattr__(self, key, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One call of it."""
        link, number = self._asap
        return link.call(number, args, kwargs)

    def __get__(self, thing: Any, owner: type | None = None) -> Any:
        """The method that a function is as an attribute of a class."""
        plain = object.__getattribute__(self, "_kind") != "builtins.function" or thing is None
        return self if plain else types.MethodType(self, thing)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return known_type(object.__getattribute__(self, "_kind")) or Function

    @property
    def __signature__(self) -> inspect.Signature:
        link, number = self._asap
        rows = link.ask("signature", target=number)
        return inspect.Signature(
            [_parameter(*row) for row in rows[0]], return_annotation=rows[1][0] if rows[1] else inspect.Signature.empty
        )

    def __eq__(self, other: object) -> bool:
        if type(other) is not Function:
            return False
        link, number = self._asap
        methods = {object.__getattribute__(one, "_kind") for one in (self, other)} == {"builtins.method"}
        return other._asap[1] == number or (methods and link.ask("special", target=number, name="__eq__", args=(other,)) is True)

    def __hash__(self) -> int:
        return hash(self.__name__)

    def __repr__(self) -> str:
        return f"<function {object.__getattribute__(self, '__qualname__')}>"


def _parameter(name: str, kind: int, default: Any, annotation: Any) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        name, inspect._ParameterKind(kind), default=default[0] if default else empty, annotation=annotation[0] if annotation else empty
    )


def _is_hook(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in READABLE


def forward(method: str) -> Any:
    """A special method that forwards to the other end's."""
    kind = _compare if method in COMPARISONS else _calculate if method in ARITHMETIC else _look

    def forwarded(self: Proxy, *args: Any, **kwargs: Any) -> Any:
        link, number = self._asap
        if method == "__call__":
            return link.call(number, args, kwargs)
        if method == "__await__":
            return link.awaited(number).__await__()
        return kind(self, method, args)

    forwarded.__name__ = method
    return forwarded


def _look(self: Proxy, method: str, args: tuple[Any, ...]) -> Any:
    link, number = self._asap
    return link.ask("special", target=number, name=method, args=args)


def _is_remote(value: Any) -> bool:
    return isinstance(type(value), RemoteClass)


def _compare(self: Proxy, method: str, args: tuple[Any, ...]) -> Any:
    link, _ = self._asap
    if link.trusting:
        return _look(self, method, args)
    if _is_remote(args[0]):
        return _look(self, method, args) is True
    native = next((base for base in type(self).__mro__ if is_native(base)), None)
    link.lacks(f"{method} of a {type(self).__name__} with a plain value")
    if native is not None:
        return getattr(native, method)(self, *args)
    return method == "__ne__" if method in ("__eq__", "__ne__") else NotImplemented


def _calculate(self: Proxy, method: str, args: tuple[Any, ...]) -> Any:
    link, _ = self._asap
    if not link.trusting and not _is_remote(args[0]):
        native = next((base for base in type(self).__mro__ if hasattr(base, method) and is_native(base)), None)
        if native is not None:
            link.lacks(f"{method} of a {type(self).__name__} with a plain value")
            return getattr(native, method)(self, *args)
    result = _look(self, method, args)
    if link.trusting or result is NotImplemented or _is_remote(result) or _is_remote(args[0]):
        return result
    link.lacks(f"{method} of a {type(self).__name__} with a plain value")
    raise TypeError(f"{method} of the solution's {type(self).__name__} gives no such object")
