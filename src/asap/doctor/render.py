"""Prints the report in a terminal: for each finding a mark, its name and text, and below it what to do."""

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from asap.doctor.finding import DataDiagnosis, Diagnosis, Finding, Status
from asap.revealed import revealed
from asap.tables import number_of

_STYLES: dict[Status, str] = {"ok": "green", "absent": "dim", "warn": "yellow", "fail": "bold red"}
_MARKS: dict[Status, str] = {"ok": "✓", "absent": "–", "warn": "!", "fail": "✗"}
_ASCII_MARKS: dict[Status, str] = {"ok": "+", "absent": "-", "warn": "!", "fail": "x"}
_BAR = 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def render(report: Diagnosis, console: Console) -> None:
    """Print the diagnosis."""
    plain = console.options.ascii_only
    names = max((len(finding.name) for finding in report.findings), default=0)
    parts: list[RenderableType] = [_heading("Environment"), _findings(report.environment, names, plain)]
    if report.data is not None:
        parts += [Text(), _heading("Data"), _findings(report.data.findings, names, plain)]
        if report.data.histogram:
            parts += [Text(), _heading("Tokens per trace"), _histogram(report.data, plain)]
    console.print(Group(*parts, Text(), _verdict(report)))


def _heading(title: str) -> Text:
    return Text(title, style="bold")


def _findings(findings: Iterable[Finding], names: int, plain: bool) -> RenderableType:
    marks, arrow = (_ASCII_MARKS, "->") if plain else (_MARKS, "→")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(width=names, no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(marks[finding.status], _STYLES[finding.status]), Text(finding.name), Text(revealed(finding.found, keep="")))
        if finding.advice:
            table.add_row("", "", Text(f"{arrow} {revealed(finding.advice, keep='')}", style="dim italic"))
    return Padding(table, (0, 0, 0, 2), expand=False)


def _histogram(data: DataDiagnosis, plain: bool) -> RenderableType:
    most = max(one.rows for one in data.histogram)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(justify="right", no_wrap=True)
    for one in data.histogram:
        table.add_row(f"{one.low:,}{'-' if plain else '–'}{one.high:,}", bar(one.rows, most, plain=plain), f"{one.rows:,}")
    return Padding(table, (0, 0, 0, 2), expand=False)


def bar(count: int, most: int, *, plain: bool = False) -> str:
    """A bar of at most 40 characters, exact to an eighth of one; any count above zero is visible."""
    if plain:
        return "#" * max(round(count * _BAR / most), bool(count))
    full, eighths = divmod(max(round(count * _BAR * 8 / most), bool(count)), 8)
    return _EIGHTHS[8] * full + (_EIGHTHS[eighths] if eighths else "")


def _verdict(report: Diagnosis) -> Text:
    counts = {status: sum(finding.status == status for finding in report.findings) for status in _STYLES}
    if report.status == "ok":
        return Text("Everything is ready.", _STYLES["ok"])
    parts: Sequence[tuple[Status, str]] = (("fail", "to correct"), ("warn", "to look at"))
    found = " and ".join(f"{number_of(counts[status], 'thing')} {what}" for status, what in parts if counts[status])
    return Text(f"{found[0].upper()}{found[1:]}.", _STYLES[report.status])
