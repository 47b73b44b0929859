"""Writes the page of a report: its figures, and every generation, which it inflates when it is opened."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asap.page.embedded import embedded_json
from asap.page.html import Assets, write_html
from asap.report.arms import Arm
from asap.report.attempt_index import OUTCOMES
from asap.report.contents import ArmReport, as_record

REPORT = Assets(
    "asap.report",
    ("dom.js", "inflate.js", "frame.js", "text.js"),
    ("data.js", "main.js"),
)


def write_report_page(report: ArmReport, out: Path) -> None:
    """Write the page. The same report gives the same bytes."""
    write_html(out, REPORT, f"{report.title}: report", {"index": embedded_json(page_record(report, out.parent))}, report.attempts.pieces)


def page_record(report: ArmReport, folder: Path) -> dict[str, Any]:
    """The index of the page that will lie in `folder`."""
    index = report.attempts
    return {
        **as_record(report),
        "outcomes": list(OUTCOMES.items()),
        "problems": {name: list(index.problems[name]) for name in report.benchmarks},
        "attempts": {name: [index.attempts[name].get(arm.name, []) for arm in report.arms] for name in report.benchmarks},
        "reviews": [[*_reviews(arm, folder)] for arm in report.arms],
        "published": [figure._asdict() for figure in report.paper],
    }


def _reviews(arm: Arm, folder: Path) -> Iterator[str]:
    """The review pages of what an arm was trained on, as links from a folder."""
    for pruned in dict.fromkeys(path for training in arm.trainings for path in training.pruned):
        if (page := pruned / "review.html").is_file():
            yield Path(os.path.relpath(page.resolve(), folder.resolve())).as_posix()
