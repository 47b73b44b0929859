"""What stands for an object of the other end, made of its description."""

import dataclasses
from typing import Any

from asap.sandbox.jail.containers import blank
from asap.sandbox.jail.generators import Stepper, stands_for
from asap.sandbox.jail.limits import BadValue
from asap.sandbox.jail.link import Link
from asap.sandbox.jail.names import stdlib_class, texts
from asap.sandbox.jail.proxy import Function, Proxy, RemoteClass, attributes, forward, reader
from asap.sandbox.jail.special import IMMUTABLE, SPECIAL, abstract, is_native


def made(link: Link, number: int, tag: str, content: Any) -> Any:
    """The object that stands for one of the other end, by its description. Raises BadValue."""
    if tag == "class" and type(content) is dict:
        return _made_class(link, number, content)
    if tag == "function":
        kind, name, qualname, module = texts(content[:4], 4)
        return Function(link, name, number, kind, (qualname, module, content[4] if type(content[4]) is str else None))
    if tag in ("generator", "awaitable"):
        name, qualname, _ = texts(content, 3)
        running: Any = stands_for(Stepper(link.ask, number)) if tag == "generator" else link.awaited(number)
        running.__name__, running.__qualname__ = name, qualname
        return running
    if tag == "exception":
        return _made_exception(link, number, *(link.decoded(part) for part in content))
    if tag == "object":
        return _set(object.__new__(_class(link, content)), link, number)
    kind = _class(link, content[0])
    if tag == "sub":
        return _set(blank(content[1], link.decoder, kind), link, number)
    value = link.decoded(content[1])
    if tag != "value" or type(value) not in IMMUTABLE or type(value) not in kind.__mro__:
        raise BadValue("no such object")
    new: Any = type(value).__new__
    return _set(new(kind, value), link, number)


def _set(thing: Any, link: Link, number: int) -> Any:
    object.__setattr__(thing, "_asap", (link, number))
    return thing


def _class(link: Link, data: Any) -> Any:
    kind = link.decoded(data)
    if not isinstance(kind, RemoteClass):
        raise BadValue("no class")
    return kind


def _made_exception(link: Link, number: int, kind: Any, args: Any, cause: Any, context: Any, attributes: Any) -> BaseException:
    if not issubclass(kind, BaseException) or type(args) is not tuple:
        raise BadValue("no exception")
    if isinstance(kind, RemoteClass):
        base = next(base for base in kind.__mro__ if is_native(base))
        new: Any = base.__new__
        error: BaseException = _set(new(kind, *args), link, number)
        object.__setattr__(error, "fault", None)
    else:
        try:
            error = kind(*args)
        except Exception:  # border: it takes other arguments than it keeps
            error = kind.__new__(kind)
    object.__setattr__(error, "args", args)
    for name, value in dict(attributes).items():
        object.__setattr__(error, name, value)
    if isinstance(context, BaseException):
        object.__setattr__(error, "__context__", context)
    if isinstance(cause, BaseException):
        object.__setattr__(error, "__cause__", cause)
    return error


def _made_class(link: Link, number: int, content: dict[str, Any]) -> RemoteClass:
    """The local class for one of the other end's, with the special methods that it defines."""
    name, qualname, module = texts([content["name"], content["qualname"], content["module"]], 3)
    bases = [_base(link.decoded(base)) for base in content["bases"]]
    kept = [base for base in dict.fromkeys(bases) if base is not None]
    if not any(isinstance(base, RemoteClass) for base in kept):
        kept.insert(0, Proxy)
    native = next((base for kind in kept for base in kind.__mro__ if is_native(base)), None)
    body = _body(link, content, native)
    body |= {"_asap": (link, number), "__module__": module, "__qualname__": qualname, "__doc__": content.get("doc")}
    try:
        kind = RemoteClass(name, tuple(kept), body)
    except TypeError:  # an order or a layout that only the other end can have
        kind = RemoteClass(name, (Proxy,), body)
    for base in content["abstract"]:
        if (found := abstract(base)) is not None:
            found.register(kind)
    return kind


def _base(kind: Any) -> type | None:
    """What the local class inherits for one of the bases; None for nothing."""
    if isinstance(kind, RemoteClass):
        return kind
    if not isinstance(kind, type) or not is_native(kind):
        return None
    if issubclass(kind, BaseException) and not issubclass(kind, Exception | SystemExit):
        return Exception  # or it would end the tests
    return kind


def _body(link: Link, content: dict[str, Any], native: type | None) -> dict[str, Any]:
    special = SPECIAL.intersection(name for name in content["special"] if type(name) is str)
    body: dict[str, Any] = {name: forward(name) for name in special}
    if native is not None or "__hash__" not in special:
        body["__hash__"] = None if native is None and content["unhashable"] else (native or object).__hash__
    for name in content["shadowed"]:
        if type(name) is str and not name.startswith("__"):
            body[name] = property(reader(name))
    body["__dict__"] = property(attributes)
    known = stdlib_class(content.get("known"))
    if known is not None and not is_native(known):
        body["__class__"] = property(lambda self: known)
    if content["fields"] is not None:
        body["__dataclass_fields__"] = _fields(content["fields"])
    return body


def _fields(rows: Any) -> Any:
    names = [(name, Any, dataclasses.field(init=init, default=None)) for name, init in rows]
    return dataclasses.make_dataclass("Fields", names).__dataclass_fields__  # type: ignore[attr-defined]
