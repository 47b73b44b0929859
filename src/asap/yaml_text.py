"""Settings in YAML: one mapping of names to values, in which no line can be without effect because a later one replaces it.

Plain words are read as YAML 1.2 has them: only true and false are truth values, so `no`, `off` and `on` stay text, a date too, and 1e-5
is a number. Where the reader knows what each word must be, such as an option of the command line, words stay as they are written.
"""

import re
from collections import Counter
from typing import Any

import yaml

from asap.errors import UsageError, one_line

_PLAIN = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "null": r"~|null|Null|NULL|",
    "int": r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "merge": "<<",
}


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, and reads plain words as YAML 1.2 has them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        typed = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge"]
        if twice := [name for name, times in Counter(typed).items() if times > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """The number, which a zero at its front does not make octal."""
        text = node.value.replace("_", "").lower()
        return int(text, 0 if text.startswith(("0x", "0o")) else 10)


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


class _WordLoader(_Loader):
    """Leaves plain words as text, except null."""


_WordLoader.yaml_implicit_resolvers = {}
for _kind in ("null", "merge"):
    _WordLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_PLAIN[_kind]})$"), None)


def yaml_value(text: str, *, words: bool = False) -> Any:
    """The value in a YAML text, its plain words as they are written with `words`.

    Raises ValueError, or a subclass, which says what is wrong, or RecursionError.
    """
    try:
        return yaml.load(text, _WordLoader if words else _Loader)
    except yaml.YAMLError as error:
        raise ValueError(one_line(error)) from error


def yaml_mapping(text: str, what: str, example: str, *, words: bool = False) -> dict[str, Any]:
    """The values in a YAML text by name (`yaml_value`). Raises UsageError, which calls the text `what` and shows an `example` line."""
    try:
        values = yaml_value(text, words=words)
    except RecursionError as error:
        raise UsageError(f"{what} is nested too deeply; write one setting a line, for example {example}") from error
    except ValueError as error:  # also a number that there is not
        raise UsageError(f"{what} is not valid YAML: {one_line(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{what} holds no mapping; write one setting a line, for example {example}")
    if wrong := [key for key in values if not isinstance(key, str)]:
        raise UsageError(f"{what} names {wrong[0]!r}, which is no name of a setting; write one setting a line, for example {example}")
    return values
