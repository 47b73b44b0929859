"""The table of a comparison: one line for each view, ratio and method, and the same numbers as Markdown, CSV, LaTeX and HTML.

Differences are taken row by row and then averaged. Shares of the distance between no trace and full trace are never averaged:
that distance is near zero for easy rows.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

import numpy as np

from asap.compare.judged import Judged, View
from asap.errors import UsageError
from asap.stats import holm, interval, smallest_difference, wilcoxon

NO_TRACE, FULL_TRACE = "no trace", "full trace"
CONTROL = "random"
ALPHA = 0.05
OFF_BY = 0.05
_FORM = ("last_kept", "dangling", "open_fences")

INTRO = (
    "Support is the mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace; "
    "it is no proof of what training on the trace gives."
)
NOTE = (
    "Differences are means over the same rows, with 95 % bootstrap intervals. p: Wilcoxon's signed-rank test, adjusted by Holm over "
    "all cells of its column. could show: the difference that so many rows of this spread show four times in five, at the strictest "
    "level that Holm may ask for. end kept: share of the last three steps; dangling: names still used whose definition was cut; open "
    "fences: code fences that the cut leaves open; both a row. pass: answers that the judge wrote after the trace and that pass the "
    "row's own tests. *: the kept share is more than 5 points off what was asked, so the tokens are not the same."
)


class Against(NamedTuple):
    """A method minus a reference at the same ratio and in the same view, over the rows that both have, in nats per token.

    `p` is adjusted over all cells of the reference; `smallest` is what the sample could show where Holm is strictest.
    """

    rows: int
    mean: float
    low: float
    high: float
    p: float
    smallest: float


class Line(NamedTuple):
    """One method at one ratio in one view; `no trace` and `full trace` (ratio 0 and 1) are the fixed points of the view.

    `share` is tokens kept of tokens before, over all rows together (1 where there were none). `mean`, `low` and `high` are of
    support minus that of the full trace. `against` has a key for each reference; None where there is nothing to compare.
    `passed` is the share of the answers written after the trace that pass (None: none were written); `last_kept`, `dangling`
    and `open_fences` are means over rows of what `Structure` counts.
    """

    view: View
    ratio: float
    method: str
    rows: int
    share: float
    marked: bool
    mean: float
    low: float
    high: float
    against: Mapping[str, Against | None]
    last_kept: float
    dangling: float
    open_fences: float
    passed: float | None = None


class _Cell(NamedTuple):
    view: View
    ratio: float
    method: str


_Cells = Mapping[_Cell, Mapping[str, Judged]]


def summarise(judged: Iterable[Judged], *, reference_methods: Sequence[str] = ("asap", CONTROL)) -> list[Line]:
    """The lines by view, ratio (largest first) and support (best first); the order of `judged` does not matter.

    Raises UsageError where a row was judged twice in a cell, has no finite support, or two values of a fixed point. What it cannot see is
    whether two methods saw the same rows: only rows that both have are compared, and `Against.rows` says how many.
    """
    cells = _cells(judged)
    against = {name: _against(cells, name) for name in reference_methods}
    lines = [_line(cell, rows, {name: of.get(cell) for name, of in against.items()}) for cell, rows in cells.items()]
    nothing = dict.fromkeys(reference_methods)
    for view in {cell.view for cell in cells}:
        lines += _fixed(view, [row for cell, rows in cells.items() if cell.view == view for row in rows.values()], nothing)
    return sorted(lines, key=lambda line: (line.view, -line.ratio, -line.mean, line.method))


def _cells(judged: Iterable[Judged]) -> dict[_Cell, dict[str, Judged]]:
    cells = dict[_Cell, dict[str, Judged]]()
    for one in judged:
        cell = cells.setdefault(_Cell(one.view, one.ratio, one.method), {})
        if one.id in cell:
            raise UsageError(f"row {one.id} was judged twice: method {one.method}, ratio {one.ratio:g}, traces {one.view}")
        if not all(map(math.isfinite, (one.support, one.support_none, one.support_full))):
            raise UsageError(f"row {one.id} has a support that is not finite: method {one.method}, ratio {one.ratio:g}, traces {one.view}")
        cell[one.id] = one
    # the bootstrap draws by place, so a place must not depend on the order of the input
    return {key: dict(sorted(cells[key].items())) for key in sorted(cells)}


def _against(cells: _Cells, reference: str) -> dict[_Cell, Against]:
    pairs = dict[_Cell, list[float]]()
    for cell, rows in cells.items():
        others = cells.get(cell._replace(method=reference), {})
        both = [(row.support, others[row.id].support) for row in rows.values() if row.id in others]
        if cell.method != reference and both:
            pairs[cell] = _differences(both)
    adjusted = holm([wilcoxon(differences) for differences in pairs.values()])
    return {
        cell: Against(
            len(differences),
            float(np.mean(differences)),
            *interval(differences),
            p,
            smallest_difference(differences, alpha=ALPHA / len(pairs)),
        )
        for (cell, differences), p in zip(pairs.items(), adjusted, strict=True)
    }


def _differences(pairs: Iterable[tuple[float, float]]) -> list[float]:
    # without rounding, 0.3 - 0.1 and 0.5 - 0.3 would not tie
    return [round(one - other, 9) for one, other in pairs]


def _line(cell: _Cell, rows: Mapping[str, Judged], against: Mapping[str, Against | None]) -> Line:
    before = sum(row.tokens_before for row in rows.values())
    share = sum(row.tokens for row in rows.values()) / before if before else 1.0
    marked = round(abs(share - cell.ratio), 9) > OFF_BY
    differences = _differences((row.support, row.support_full) for row in rows.values())
    last_kept, dangling, fences = (float(np.mean([getattr(row, name) for row in rows.values()])) for name in _FORM)
    passed = _share_of(row.passed for row in rows.values())
    return Line(
        *cell, len(rows), share, marked, float(np.mean(differences)), *interval(differences), against, last_kept, dangling, fences, passed
    )


def _fixed(view: View, rows: Iterable[Judged], nothing: Mapping[str, None]) -> list[Line]:
    points, passed = dict[str, tuple[float, float]](), dict[str, tuple[bool | None, bool | None]]()
    for row in rows:
        point = row.support_none, row.support_full
        if points.setdefault(row.id, point) != point:
            raise UsageError(f"row {row.id} has two values for no trace or full trace (traces {view}): was there more than one judge?")
        passed[row.id] = row.passed_none, row.passed_full
    distances = _differences(points.values())
    without, full = (_share_of(pair[place] for pair in passed.values()) for place in (0, 1))
    none = Line(
        view, 0.0, NO_TRACE, len(points), 0.0, False, float(np.mean(distances)), *interval(distances), nothing, 0.0, 0.0, 0.0, without
    )
    return [none, Line(view, 1.0, FULL_TRACE, len(points), 1.0, False, 0.0, 0.0, 0.0, nothing, 1.0, 0.0, 0.0, full)]


def _share_of(passed: Iterable[bool | None]) -> float | None:
    known = [one for one in passed if one is not None]
    return sum(known) / len(known) if known else None


def markdown(lines: Sequence[Line], caption: str) -> str:
    """A table for each view, with `caption` (who pruned, who judged) in the sentence above it. Columns are aligned for terminals."""
    parts = []
    for view, header, rows in _tables(lines):
        escaped = [[_markdown_escaped(cell) for cell in row] for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
        rule = ["-" * width if number == 0 else "-" * (width - 1) + ":" for number, width in enumerate(widths)]
        padded = [
            [cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))] for row in escaped
        ]
        table = "\n".join(f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:]))
        parts.append(f"## Traces {view}\n\n{INTRO} {_markdown_escaped(caption)}\n\n{table}\n")
    return "\n".join([*parts, f"{_markdown_escaped(NOTE)}\n"]) if parts else f"{INTRO} {_markdown_escaped(caption)}\n\nNo rows.\n"


def latex(lines: Sequence[Line], caption: str) -> str:
    """A booktabs table* for each view; needs \\usepackage{booktabs}. The numbers are those of `markdown`."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    for view, header, rows in _tables(lines):
        body = [" & ".join(_latex_escaped(cell) for cell in row) + r" \\" for row in (header, *rows)]
        parts.append(
            f"\\begin{{table*}}\n\\centering\\scriptsize\\setlength{{\\tabcolsep}}{{3pt}}\n"
            f"\\caption{{Traces {view}. {_latex_escaped(f'{INTRO} {caption} {NOTE}')}}}\n"
            f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}\n\\toprule\n{body[0]}\n\\midrule\n"
            + "\n".join(body[1:])
            + "\n\\bottomrule\n\\end{tabular}\n\\end{table*}\n"
        )
    return "\n".join(parts)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pruning methods compared</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto; max-width: 88rem; padding: 0 1rem }}
p {{ max-width: 60rem }}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }}
th {{ border-bottom: 2px solid #222 }}
th:first-child, td:first-child {{ text-align: left }}
</style>
</head>
<body>
<h1>Pruning methods compared</h1>
{body}
</body>
</html>
"""


def html(lines: Sequence[Line], caption: str) -> str:
    """One page that needs nothing else, with a table for each view. The numbers are those of `markdown`."""
    parts = []
    for view, header, rows in _tables(lines):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        parts += [f"<h2>Traces {escape(view)}</h2>", f"<p>{escape(f'{INTRO} {caption}')}</p>"]
        parts.append(f"<div><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>")
    last = NOTE if parts else f"{INTRO} {caption} No rows."
    return _PAGE.format(body="\n".join([*parts, f"<p>{escape(last)}</p>"]))


def csv_text(lines: Sequence[Line]) -> str:
    """The numbers of `markdown`, one in each column, for all views; empty where there is nothing to compare."""
    names = _references(lines)
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    compared = [f"{column}_{name}" for name in names for column in ("rows", "minus", "low", "high", "p", "could_show")]
    fixed = ["view", "method", "asked_percent", "kept_percent", "off", "rows", "minus_full", "low_full", "high_full"]
    write([*fixed, *compared, "end_kept_percent", "dangling", "open_fences", "passed_percent"])
    for line in lines:
        row = [line.view, line.method, _percent(line.ratio), _percent(line.share), "yes" if line.marked else "no", str(line.rows)]
        row += [_nats(number) for number in (line.mean, line.low, line.high)]
        for one in map(line.against.get, names):
            numbers = [] if one is None else [str(one.rows), *map(_nats, one[1:4]), _p(one.p), _nats(one.smallest)]
            row += numbers or [""] * 6
        write([*row, *_form(line), "" if line.passed is None else _percent(line.passed)])
    return out.getvalue()


def _tables(lines: Sequence[Line]) -> Iterable[tuple[View, list[str], list[list[str]]]]:
    """For each view the header and the rows, as text."""
    names = _references(lines)
    header = ["method", "asked %", "kept %", "rows", "minus full trace"]
    for name in names:
        header += [f"minus {name}", "p", "could show"]
    header += ["end kept %", "dangling", "open fences"]
    for view, of_view in groupby(lines, key=lambda line: line.view):
        of_this = list(of_view)
        answers = any(line.passed is not None for line in of_this)
        rows = [_row(line, names, answers) for line in of_this]
        yield view, [*header, *(["pass %"] if answers else []), *([f"against {CONTROL}"] if CONTROL in names else [])], rows


def _row(line: Line, names: Sequence[str], answers: bool) -> list[str]:
    mark = " *" if line.marked else ""
    row = [line.method, _percent(line.ratio), _percent(line.share) + mark, str(line.rows), _estimate(line.mean, line.low, line.high)]
    for one in map(line.against.get, names):
        if one is None:
            row += ["-", "-", "-"]
            continue
        rows = "" if one.rows == line.rows else f" ({one.rows} rows)"
        row += [_estimate(one.mean, one.low, one.high) + rows, _p(one.p), _nats(one.smallest)]
    passed = ["-" if line.passed is None else _percent(line.passed)] if answers else []
    return [*row, *_form(line), *passed, *([_verdict(line.against[CONTROL]) + mark] if CONTROL in names else [])]


def _form(line: Line) -> list[str]:
    return [_percent(line.last_kept), f"{line.dangling:.2f}", f"{line.open_fences:.2f}"]


def _verdict(one: Against | None) -> str:
    if one is None:
        return "-"
    return "difference shown" if one.p < ALPHA else "no difference shown"


def _references(lines: Sequence[Line]) -> list[str]:
    return list(lines[0].against) if lines else []


def _estimate(mean: float, low: float, high: float) -> str:
    return f"{_nats(mean)} [{_nats(low)}, {_nats(high)}]"


def _nats(number: float) -> str:
    return f"{round(number, 3) + 0.0:.3f}"  # + 0.0 makes -0.0 a plain zero


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _markdown_escaped(text: str) -> str:
    return re.sub(r"[\\`*|]|<(?=[a-zA-Z/!?])|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", _one_line(text))


_LATEX = {"\\": "textbackslash", "~": "textasciitilde", "^": "textasciicircum", "<": "textless", ">": "textgreater", "|": "textbar"}


def _latex_escaped(text: str) -> str:
    escaped = re.sub(
        r"[\\~^<>|]|[&%$#_{}]", lambda found: f"\\{_LATEX.get(found[0], found[0])}" + "{}" * (found[0] in _LATEX), _one_line(text)
    )
    return re.sub(r"(?<![\w.-])-(?=\d|inf)", "$-$", escaped)


def _one_line(text: str) -> str:
    return " ".join(text.split())
