"""The wording of the requests to a model: the texts are in `prompts/`, and every result contains their hash."""

import re
from functools import cache
from importlib.resources import files

from asap.digest import content_digest

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@cache
def template(name: str) -> str:
    """The wording of a request, with its placeholders in braces."""
    return files("asap.benchmarks").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def worded(name: str, **values: str) -> str:
    """The wording with each placeholder replaced. Braces in the values are kept."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template(name))


def template_digest(*names: str) -> str:
    """Sixteen hex digits that identify these wordings."""
    return content_digest(*(template(name) for name in names))[:16]
