"""The files of a comparison: judged.jsonl, tables in four formats, a plot, and manifest.json last."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asap.atomic import remove_partials, replacing
from asap.compare.judged import Judged
from asap.compare.lines import Line, summarise
from asap.compare.table import csv_text, html, latex, markdown
from asap.errors import MissingExtra, RowError
from asap.versions import versions_of

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


def write_report(folder: Path, judged: Iterable[Judged | RowError], settings: Mapping[str, Any]) -> tuple[list[Line], str]:
    """Write everything; returns the lines of the table and what one should know about them."""
    remove_partials(folder)
    good, errors = list[Judged](), list[dict[str, str | None]]()
    with replacing(folder / "judged.jsonl") as file:
        for one in judged:
            if isinstance(one, RowError):
                errors.append({"id": one.row_id, "reason": one.reason, "detail": one.detail})
                continue
            good.append(one)
            file.write(json.dumps(one._asdict(), ensure_ascii=False) + "\n")
    rows = len({one.id for one in good})
    lines = summarise(good)
    caption = _caption(settings, rows, len(errors), fenced=any(line.measure == "support without code" for line in lines))
    texts = {"md": markdown, "csv": csv_text, "tex": latex, "html": html}
    for suffix, render in texts.items():
        with replacing(folder / f"table.{suffix}") as file:
            file.write(render(lines) if suffix == "csv" else render(lines, caption))  # type: ignore[operator]
    plotted = _plot(lines, folder / "pareto.png", caption)
    versions = versions_of(_PACKAGES)
    manifest = {"settings": dict(settings), "rows": rows, "rows_without_numbers": errors, "plot": plotted, "versions": versions}
    with replacing(folder / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return lines, caption


def _caption(settings: Mapping[str, Any], rows: int, errors: int, *, fenced: bool) -> str:
    scorer, judge = settings["scorer"], settings["judge"]
    same = " The judge is the scorer itself, which favours the methods that use it." if scorer == judge else ""
    code = "" if fenced or not rows else " No trace has fenced code, so support without code is the same."
    lost = f" {errors} rows gave no number." if errors else ""
    return f"{rows} rows; pruned by {scorer['model']} ({scorer['dtype']}), judged by {judge['model']} ({judge['dtype']}).{same}{code}{lost}"


def _plot(lines: Sequence[Line], path: Path, caption: str) -> str | None:
    from asap.compare.plot import pareto

    try:
        pareto(lines, path, caption)
    except MissingExtra as error:
        return str(error)
    return None
