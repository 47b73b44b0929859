"""Options made from records of settings: each field is an option, and the docstring under it is its help."""

import ast
import inspect
import textwrap
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass, make_dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from asap.cli.options import floats, whole
from asap.errors import UsageError


def options_of(records: Mapping[type, Group], *, groups: Mapping[str, Group] | None = None, without: Sequence[str] = ()) -> type:
    """A class of options, None unless typed: one for each field of the records and of the records inside them.

    `records` maps each record to the group of its options, `groups` single options to theirs. Fields with the same name share an option.
    """
    made = dict[str, Any]()
    for record, group in records.items():
        for found, annotation, text in _leaves(record):
            if found.name not in without:
                made.setdefault(found.name, _option(annotation, text, found, (groups or {}).get(found.name, group)))
    named = [(name, annotation, field(default=None)) for name, annotation in made.items()]
    return make_dataclass("Options", named, frozen=True, namespace={"__module__": __name__})


def typed(options: Any) -> dict[str, Any]:
    """The values of the options that were typed, by name."""
    return {found.name: value for found in fields(options) if (value := getattr(options, found.name)) is not None}


def record_of(record: type, values: dict[str, Any]) -> Any:
    """A record with the typed values of its fields, which this function removes from `values`."""
    made = dict[str, Any]()
    for found in fields(record):
        if is_dataclass(inside := get_type_hints(record)[found.name]):
            made[found.name] = record_of(inside, values)  # type: ignore[arg-type]
        elif found.name in values:
            made[found.name] = values.pop(found.name)
    return record(**made)


def refuse_others(values: Mapping[str, Any], records: Iterable[type], chosen: str) -> None:
    """Raise UsageError for a typed value that no chosen record took; the message names the records that have it.

    A field's default is accepted, so that a configuration file may list it.
    """
    for name, value in values.items():
        owners = [record for record in records if any(found.name == name for found, _, _ in _leaves(record))]
        defaults = [_default(found) for record in owners for found, _, _ in _leaves(record) if found.name == name]
        if value not in defaults:
            *others, last = dict.fromkeys(_shown(record) for record in owners)
            shown = f"{', '.join(others)} and {last}" if others else last
            raise UsageError(f"{name} is for {shown}, not for {chosen}; leave it out")


def _shown(record: Any) -> str:
    return f"coarse {record.name}" if ".coarse." in record.__module__ else str(record.name)


def _leaves(record: type) -> Iterable[tuple["Field[Any]", Any, str]]:
    """The fields of a record and of the records inside it, except those records themselves, with types and docstrings."""
    hints, texts = get_type_hints(record), field_texts(record)
    for found in fields(record):
        if is_dataclass(inside := hints[found.name]):
            yield from _leaves(inside)  # type: ignore[arg-type]
        else:
            yield found, hints[found.name], texts[found.name]


@cache
def field_texts(record: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, on one line."""
    [made] = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(made, ast.ClassDef)
    texts = dict[str, str]()
    for named, text in pairwise(made.body):
        if isinstance(named, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            texts[ast.unparse(named.target)] = " ".join(str(text.value.value).split())
    return texts


def _option(annotation: Any, text: str, found: "Field[Any]", group: Group) -> Any:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    default = _default(found)
    if default is not None and default is not False and default != "" and "[default:" not in text:
        text += f" [default: {','.join(map(str, default)) if isinstance(default, tuple) else default}]"
    converter = whole if int in kinds else floats if get_origin(annotation) is tuple else None
    how = Parameter(help=text, group=group, negative="" if bool in kinds else None, converter=converter)
    return Annotated[annotation | None, how]


def _default(found: "Field[Any]") -> Any:
    return found.default if found.default is not MISSING else None
