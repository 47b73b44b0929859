"""Writes a page: one HTML file with its style, script and data.

The policy names the style and the script by their hashes, allows no connections, and disables every way to turn text into
markup. The data are compressed and base64-encoded, so no text of a trace is ever parsed as HTML.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from asap.atomic import replacing
from asap.errors import InputError
from asap.revealed import revealed

_SHARED = "asap.page"
_MODULES = ("dom.js", "inflate.js", "frame.js", "text.js", "scroller.js")  # of every page, in order
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?=\w)", re.MULTILINE)


class Assets(NamedTuple):
    """What makes a page beside what all pages share: the package with its modules and style.css, and the modules in order."""

    package: str
    modules: tuple[str, ...]

    def sources(self) -> dict[str, str]:
        """The text of each module by name, in order."""
        own = {name: resource(self.package, name) for name in self.modules}
        return {**{name: resource(_SHARED, name) for name in _MODULES}, **own}

    def script(self) -> str:
        """The page's script: its modules, concatenated in one private scope without their import lines."""
        parts = [_EXPORT.sub("", _IMPORT.sub("", text)) for text in self.sources().values()]
        return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"

    def style(self) -> str:
        """The page's style: what all pages share, then its own."""
        return resource(_SHARED, "base.css") + resource(self.package, "style.css")


def write_html(out: Path, assets: Assets, title: str, first: Mapping[str, str], pieces: Iterable[str]) -> None:
    """Write a page with embedded blocks: `first` by id, before the script runs, then `pieces`, which a browser need not wait for.

    Raises InputError if it cannot be written.
    """
    import jinja2

    script, style = assets.script(), assets.style()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    page = environment.from_string(resource(_SHARED, "template.html")).generate(
        title=revealed(title, keep=""),
        script_hash=_hash(script),
        style_hash=_hash(style),
        script=script,
        style=style,
        first=first.items(),
        pieces=pieces,
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out.parent} cannot be made ({error.strerror})") from error
    with replacing(out) as file:
        file.writelines(page)


def resource(package: str, name: str) -> str:
    """The text of a file that belongs to a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
