"""Settings in YAML: one mapping of names to values, in which no line can be without effect because a later one replaces it."""

from collections import Counter
from typing import Any

import yaml

from asap.errors import UsageError, one_line


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that names a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        typed = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge"]
        if twice := [name for name, times in Counter(typed).items() if times > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def yaml_mapping(text: str, what: str, example: str) -> dict[str, Any]:
    """The values in a YAML text by name. Raises UsageError, which calls the text `what` and shows an `example` line."""
    try:
        values = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{what} is not valid YAML: {one_line(error)}") from error
    except RecursionError as error:
        raise UsageError(f"{what} is nested too deeply; write one setting a line, for example {example}") from error
    except ValueError as error:  # a date or a number that there is not
        raise UsageError(f"{what} is not valid YAML: {one_line(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{what} holds no mapping; write one setting a line, for example {example}")
    if wrong := [key for key in values if not isinstance(key, str)]:
        raise UsageError(f"{what} names {wrong[0]!r}, which is no name of a setting; write one setting a line, for example {example}")
    return values
