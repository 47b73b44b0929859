"""Writes the page of a report: its figures, and every generation, which it inflates when it is opened."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asap.page.embedded import embedded_json
from asap.page.html import Assets, write_html
from asap.page.looks import LOOKS, is_stroked, looks_in_order, mark_path
from asap.report.arms import Arm
from asap.report.attempt_index import NOWHERE, OUTCOMES
from asap.report.contents import ArmReport, as_record
from asap.report.paper import method_of
from asap.store.work import Store

REPORT = Assets(
    "asap.report",
    ("data.js", "looks.js", "words.js", "verdict.js", "tables.js", "plots.js", "matrix.js", "problem.js", "overview.js", "main.js"),
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
        "questions": {
            name: [index.questions[name].get(number, NOWHERE) for number in index.problems[name].values()] for name in report.benchmarks
        },
        "attempts": {name: [index.attempts[name].get(arm.name, []) for arm in report.arms] for name in report.benchmarks},
        "reviews": [[*_reviews(arm, folder, index.problems)] for arm in report.arms],
        "looks": [*_looks(report.arms)],
        "published": [{"arm": arm, **figure._asdict()} for (arm, _), cells in report.beside.items() for figure in cells],
    }


def _looks(arms: Sequence[Arm]) -> Iterator[dict[str, Any]]:
    """The colours and the mark of each arm, by its method. A reference that is no method looks like the original."""
    methods = [method_of(arm.name) or arm.name.partition("(")[0].strip().lower() for arm in arms]
    if method_of(arms[0].name) is None and methods[0] not in LOOKS and "original" not in methods:
        methods[0] = "original"
    for look in looks_in_order(methods):
        yield {"light": look.light, "dark": look.dark, "path": mark_path(look), "stroked": is_stroked(look)}


def _reviews(arm: Arm, folder: Path, problems: Mapping[str, Mapping[str, int]]) -> Iterator[dict[str, Any]]:
    """The review pages of what an arm was trained on, as links from a folder, and the problems whose traces are on them."""
    for pruned in dict.fromkeys(path for training in arm.trainings for path in training.pruned):
        if (page := pruned / "review.html").is_file():
            with Store.reading(pruned) as store:
                found = {name: [number for task_id, number in ids.items() if store.digest_of(task_id)] for name, ids in problems.items()}
            href = Path(os.path.relpath(page.resolve(), folder.resolve())).as_posix()
            yield {"href": quote(href), "problems": found}
