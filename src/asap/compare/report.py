"""The files of a comparison: judged.jsonl, tables in four formats, a plot, and manifest.json last."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from asap.atomic import remove_partials, replacing
from asap.compare.aggregate import CONTROL, Aggregate, summarise
from asap.compare.measurement import Measure, Measurement
from asap.compare.page import html
from asap.compare.plot import pareto
from asap.compare.table import csv_text, latex, markdown
from asap.errors import MissingExtra, RowError
from asap.totals import Totals
from asap.versions import versions_of

REPORT_FILES = ("judged.jsonl", *(f"table.{suffix}" for suffix in ("md", "csv", "tex", "html")), "pareto.png", "manifest.json")
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


class Comparison(NamedTuple):
    """The aggregates of the tables, the notes about them, the files written, and the reason if there is no plot."""

    aggregates: list[Aggregate]
    caption: str
    files: list[str]
    no_plot: str | None


def write_report(folder: Path, measurements: Iterable[Measurement | RowError], settings: Mapping[str, Any], totals: Totals) -> Comparison:
    """Write everything. `totals` are those of the pruned rows."""
    remove_partials(folder)
    seen = _Seen({}, set(), set(), {}, [])
    with replacing(folder / "judged.jsonl") as file:
        aggregates = summarise(_written(measurements, file, seen))
    caption = _caption(settings, seen, totals)
    texts = {
        "md": markdown(aggregates, caption),
        "csv": csv_text(aggregates),
        "tex": latex(aggregates, caption),
        "html": html(aggregates, caption),
    }
    for suffix, text in texts.items():
        with replacing(folder / f"table.{suffix}") as file:
            file.write(text)
    no_plot = _plot(aggregates, folder / "pareto.png", caption)
    counts = {
        "rows": totals.rows,
        "rejected": totals.rejected,
        "rejected_by": totals.rejected_by,
        "judged": len(seen.judged),
        "problems": len({*seen.judged.values()}),
    }
    manifest = {
        "settings": dict(settings),
        "counts": {**counts, "windowed": len(seen.windowed)},
        "rows_without_numbers": seen.errors,
        "plot": no_plot,
        "versions": versions_of(_PACKAGES),
    }
    with replacing(folder / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return Comparison(aggregates, caption, [name for name in REPORT_FILES if name != "pareto.png" or not no_plot], no_plot)


class _Seen(NamedTuple):
    """What the measurements show while they are written; rows are known by their ids."""

    judged: dict[str, str | None]
    """The rows with a number, and the problem of each."""
    windowed: set[str]
    """The rows that were read in windows."""
    texts: set[str]
    """The rows whose answer has neither code nor a result."""
    passes: dict[Measure, dict[str, set[float]]]
    """By measure of passing answers and by row, the values that its answers have: two where some pass and some fail."""
    errors: list[dict[str, str | None]]
    """The rows without numbers, with the reasons."""


def _written(measurements: Iterable[Measurement | RowError], file: IO[str], seen: _Seen) -> Iterator[Measurement]:
    """The measurements, each written as a line."""
    for one in measurements:
        if isinstance(one, RowError):
            seen.errors.append({"id": one.row_id, "reason": one.reason, "detail": one.detail})
            continue
        seen.judged[one.id] = one.cluster
        if one.windowed:
            seen.windowed.add(one.id)
        if one.near_copies is None:
            seen.texts.add(one.id)
        if one.measure.startswith("passing"):
            of_measure = seen.passes.setdefault(one.measure, {})
            of_measure.setdefault(one.id, set()).update((one.value, one.value_none, one.value_full))
        file.write(json.dumps(one._asdict(), ensure_ascii=False) + "\n")
        yield one


def _caption(settings: Mapping[str, Any], seen: _Seen, totals: Totals) -> str:
    scorer, judge = settings["scorer"], settings["judge"]
    by = f" (by {settings['cluster']})" if settings["cluster"] else ""
    rows = f"{len(seen.judged)} rows on {len({*seen.judged.values()})} problems{by}"
    said = [f"{rows}; pruned by {_known_name(scorer)}, judged by {_known_name(judge)}."]
    if ends := " and ".join(f"the {name} {settings[f'keep_{name}']}" for name in ("first", "last") if settings[f"keep_{name}"]):
        said.append(f"Of each trace's steps {ends} always stay, in every method.")
    if scorer == judge:
        said.append("The judge is the scorer itself, which favours the methods that use it.")
    if CONTROL not in settings["methods"]:
        said.append(f"Without {CONTROL} among the methods, nothing here says which of them is better than chance.")
    if totals.rejected:
        said.append(f"{totals.rejected} of {totals.rows} rows read could not be used (runs/asap/rejected.jsonl).")
    if seen.errors:
        said.append(f"{len(seen.errors)} rows gave no number.")
    if seen.texts and settings["strip"] != "none":
        said.append(f"In {len(seen.texts)} rows nothing could be blanked: their answers have neither code nor a boxed result.")
    if settings.get("generate") and not seen.passes:
        said.append("No answers could be judged: no row has tests or a gold answer under its id.")
    for measure, rows_of in seen.passes.items():
        informative = sum(len(found) > 1 for found in rows_of.values())
        said.append(f"{measure.capitalize()}: {informative} of {len(rows_of)} rows have answers that pass and answers that fail.")
    if seen.windowed:
        said.append(f"{len(seen.windowed)} rows are longer than the context of scorer or judge, which read them in overlapping windows.")
    return " ".join(said)


_STORED = re.compile(r"(?P<model>.+?)(?:\.(?P<kind>I?Q\d\w*|BF16|F16|F32))?-[0-9a-f]{16}-\d+")


def _known_name(identity: Mapping[str, Any]) -> str:
    """The name of a model as people know it, without the digest of its stored copy: SmolLM2-135M-Instruct (Q4_1, bfloat16)."""
    found = _STORED.fullmatch(identity["model"])
    kinds = [kind for kind in (found and found["kind"], identity["dtype"]) if kind]
    return f"{found['model'] if found else identity['model']} ({', '.join(kinds)})"


def _plot(aggregates: Sequence[Aggregate], path: Path, caption: str) -> str | None:
    try:
        pareto(aggregates, path, caption)
    except MissingExtra as error:
        return str(error)
    return None
