"""Writes the page: one HTML file with its style, script and data, and a policy that admits nothing else.

The policy names the style and the script by their hashes, allows no connections, and disables every way to turn text into
markup. The data are compressed and base64-encoded, so no text of a trace is ever parsed as HTML.
"""

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from asap.atomic import replacing
from asap.errors import InputError, UsageError
from asap.ownership import check_file
from asap.revealed import revealed
from asap.review.data import MOST_TRACES, page_data
from asap.review.embedded import embedded, embedded_json
from asap.review.folder import FinishedRun

MODULES = (
    "dom.js",
    "data.js",
    "cut.js",
    "text.js",
    "reason.js",
    "chart.js",
    "state.js",
    "control.js",
    "list.js",
    "tools.js",
    "overview.js",
    "strip.js",
    "lane.js",
    "rows.js",
    "trace.js",
    "main.js",
)
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_TITLE = ": what was cut and why</title>"
_EXPORT = re.compile(r"^export (?=\w)", re.MULTILINE)


class WrittenPage(NamedTuple):
    """The number of traces on a page, the total number, and the page's size in bytes."""

    shown: int
    total: int
    size: int


def write_review(folder: Path, out: Path, other: Path | None = None, *, most: int = MOST_TRACES) -> WrittenPage:
    """Write the page about a finished run, or about two runs of the same data. The same input gives the same bytes.

    Raises InputError if a folder holds no finished run or `out` cannot be written.
    """
    import jinja2

    if most < 1:
        raise UsageError(f"limit is {most}; 1 or more is expected")
    check_page(out)
    data = page_data([FinishedRun.open(path) for path in (folder, other) if path is not None], most)
    script, style = script_text(), _resource("style.css")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    page = environment.from_string(_resource("template.html")).generate(
        title=revealed(" and ".join(run["name"] for run in data.overview["runs"]), keep=""),
        script_hash=_hash(script),
        style_hash=_hash(style),
        script=script,
        style=style,
        index=embedded_json(data.overview),
        series=[embedded(series) for series in data.series],
        pieces=data.pieces,
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out.parent} cannot be made ({error.strerror})") from error
    with replacing(out) as file:
        file.writelines(page)
    return WrittenPage(data.shown, data.total, out.stat().st_size)


def check_page(out: Path) -> None:
    """Raise InputError if a page cannot be written because another file is there."""
    check_file(out, lambda head: _TITLE.encode() in head, "review.html")


def script_text() -> str:
    """The page's script: its modules, concatenated in one private scope without their import lines."""
    parts = [_EXPORT.sub("", _IMPORT.sub("", _resource(name))) for name in MODULES]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def _resource(name: str) -> str:
    return files("asap.review").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
