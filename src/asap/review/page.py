"""Writes the review page: what was removed from every trace, and why."""

from pathlib import Path
from typing import NamedTuple

from asap.errors import UsageError
from asap.ownership import check_file
from asap.page.embedded import embedded, embedded_json
from asap.page.html import Assets, write_html
from asap.review.data import MOST_TRACES, page_data
from asap.review.folder import FinishedRun

REVIEW = Assets(
    "asap.review",
    (
        "data.js",
        "cut.js",
        "reason.js",
        "chart.js",
        "state.js",
        "rulings.js",
        "control.js",
        "list.js",
        "tools.js",
        "overview.js",
        "strip.js",
        "lane.js",
        "rows.js",
        "trace.js",
        "main.js",
    ),
)
_TITLE = ": what was cut and why"


class WrittenPage(NamedTuple):
    """The number of traces on a page, the total number, and the page's size in bytes."""

    shown: int
    total: int
    size: int


def write_review(folder: Path, out: Path, other: Path | None = None, *, most: int = MOST_TRACES) -> WrittenPage:
    """Write the page about a finished run, or about two runs of the same data. The same input gives the same bytes.

    Raises InputError if a folder holds no finished run or `out` cannot be written.
    """
    if most < 1:
        raise UsageError(f"limit is {most}; 1 or more is expected")
    check_page(out)
    data = page_data([FinishedRun.open(path) for path in (folder, other) if path is not None], most)
    title = " and ".join(run["name"] for run in data.overview["runs"]) + _TITLE
    series = {f"series-{number}": embedded(run) for number, run in enumerate(data.series)}
    write_html(out, REVIEW, title, {"index": embedded_json(data.overview), **series}, data.pieces)
    return WrittenPage(data.shown, data.total, out.stat().st_size)


def check_page(out: Path) -> None:
    """Raise InputError if a page cannot be written because another file is there."""
    check_file(out, lambda head: f"{_TITLE}</title>".encode() in head, "review.html")
