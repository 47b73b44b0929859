"""The solution as the test code sees it: functions, classes and objects whose work happens in the solution's own process.

The solution may supply values but never judgements. So a proxy equals no plain value, whatever the solution's `__eq__` returns;
it compares only with other proxies, and arithmetic with it returns another proxy or fails.
"""

from typing import Any, Protocol

from asap.sandbox.jail.codec import Opaque
from asap.sandbox.jail.solution import ARITHMETIC, COMPARISONS, SPECIAL


class Link(Protocol):
    """The solution's process as a proxy needs it (`remote.Remote`)."""

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call of the solution's object returns."""

    def ask(self, operation: str, *, target: int = 0, name: str = "", args: list[Any] | None = None, kwargs: Any = None) -> Any:
        """What another operation on it returns."""


class RemoteClass(type):
    """A class of the solution. Calling it creates the object there. Holds the process, its number, and the numbers of it and its bases."""

    _asap_class: tuple[Link, int, frozenset[int]]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """A new object, created by the solution."""
        remote, number, _ = cls._asap_class
        return remote.call(number, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        remote, number, _ = cls._asap_class
        return remote.ask("get", target=number, name=name)

    def __instancecheck__(cls, thing: Any) -> bool:
        kind = type(thing)
        return type.__instancecheck__(cls, thing) or (isinstance(kind, RemoteClass) and cls._asap_class[1] in kind._asap_class[2])


class Proxy:
    """An object of the solution."""

    __slots__ = ("_asap_number", "_asap_remote")
    _asap_number: int
    _asap_remote: Link

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._asap_remote.ask("get", target=self._asap_number, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._asap_remote.ask("set", target=self._asap_number, name=name, args=[value])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and other._asap_number == self._asap_number

    def __hash__(self) -> int:
        return hash(self._asap_number)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Function:
    """The entry point, as test code gets it. Not a proxy, since all it can do is be called."""

    def __init__(self, remote: Link, name: str) -> None:
        self.remote = remote
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One call of the solution."""
        return self.remote.call(1, args, kwargs)


def made_class(remote: Link, number: int, name: str, special: list[Any], above: list[Any]) -> RemoteClass:
    """The local class for one of the solution's, with the special methods that it defines."""
    body: dict[str, Any] = {method: _forward(method) for method in SPECIAL.intersection(item for item in special if type(item) is str)}
    body.setdefault("__hash__", Proxy.__hash__)
    made = RemoteClass(name, (Proxy,), {**body, "__slots__": ()})
    made._asap_class = (remote, number, frozenset(item for item in above if type(item) is int))
    return made


def made_object(kind: Any, remote: Link, number: int) -> Any:
    """An object of such a class."""
    if not isinstance(kind, RemoteClass):  # an exception returned instead of raised
        return Opaque(getattr(kind, "__name__", "object"))
    new: Any = object.__new__
    thing = new(kind)
    object.__setattr__(thing, "_asap_number", number)
    object.__setattr__(thing, "_asap_remote", remote)
    return thing


def _forward(method: str) -> Any:
    """A special method that forwards to the solution's."""
    kind = _compare if method in COMPARISONS else _calculate if method in ARITHMETIC else _look

    def forwarded(self: Proxy, *args: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            return self._asap_remote.call(self._asap_number, args, kwargs)
        return kind(self, method, args)

    forwarded.__name__ = method
    return forwarded


def _look(self: Proxy, method: str, args: tuple[Any, ...]) -> Any:
    return self._asap_remote.ask("special", target=self._asap_number, name=method, args=list(args))


def _compare(self: Proxy, method: str, args: tuple[Any, ...]) -> Any:
    if not isinstance(args[0], Proxy):
        return False if method == "__eq__" else NotImplemented
    return _look(self, method, args) is True


def _calculate(self: Proxy, method: str, args: tuple[Any, ...]) -> Any:
    result = _look(self, method, args)
    if not isinstance(result, Proxy):
        raise TypeError(f"{method} of the solution's {type(self).__name__} gives no such object")
    return result
