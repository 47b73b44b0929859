"""Tables of text, as Markdown, LaTeX, HTML and CSV.

A table contains finished cells: its maker rounds and words them. This module escapes text for each format.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from asap.revealed import revealed

Mark = Literal["best", "second"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header. `columns` aligns each column, l left or r right; its last letter applies to all further columns.

    `marks` tells the best and the second cell of a comparison by row and column: bold and underlined, except in CSV.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    columns: str = "l"
    marks: Mapping[tuple[int, int], Mark] = field(default_factory=dict)

    @property
    def sides(self) -> str:
        """The alignment letters of all columns."""
        return self.columns.ljust(len(self.header), self.columns[-1])

    def markdown(self, *, padded: bool = False) -> str:
        """A GitHub table; `padded` aligns its columns in a terminal too."""
        rows = self._marked(markdown_escaped, {"best": ("**", "**"), "second": ("<u>", "</u>")})
        escaped = [list(map(markdown_escaped, self.header)), *rows]
        if not padded:
            rule = "".join("---:|" if side == "r" else "---|" for side in self.sides)
            first, *others = (f"| {' | '.join(row)} |" for row in escaped)
            return "\n".join([first, f"|{rule}", *others])
        widths = [max(2, *map(len, column)) for column in zip(*escaped, strict=True)]  # "-:" is the shortest rule
        rules = ["-" * (width - 1) + (":" if side == "r" else "-") for side, width in zip(self.sides, widths, strict=True)]
        head, *body = ([_aligned(*cell) for cell in zip(row, self.sides, widths, strict=True)] for row in escaped)
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *body))

    def latex(self) -> str:
        """A `tabular` with the rules of booktabs."""
        rows = self._marked(latex_escaped, {"best": (r"\textbf{", "}"), "second": (r"\underline{", "}")})
        head, *body = (" & ".join(row) + r" \\" for row in (map(latex_escaped, self.header), *rows))
        lines = [f"\\begin{{tabular}}{{{self.sides}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
        return "\n".join(lines)

    def html(self) -> str:
        """A `<table>`, whose alignment is up to the page's style."""
        head = "".join(f"<th>{escape(revealed(cell))}</th>" for cell in self.header)
        rows = self._marked(lambda cell: escape(revealed(cell)), {"best": ("<strong>", "</strong>"), "second": ("<u>", "</u>")})
        body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def csv(self) -> str:
        """Comma-separated lines that end with a line feed."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([map(_no_formula, row) for row in (self.header, *self.rows)])
        return out.getvalue()

    def _marked(self, escaped: Callable[[str], str], around: Mapping[Mark, tuple[str, str]]) -> list[list[str]]:
        """The rows of escaped cells, with what a format puts around the marked ones."""

        def cell(at: tuple[int, int], text: str) -> str:
            begin, end = around[mark] if (mark := self.marks.get(at)) else ("", "")
            return f"{begin}{escaped(text)}{end}"

        return [[cell((row, column), text) for column, text in enumerate(cells)] for row, cells in enumerate(self.rows)]


def number_of(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def number_cell(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _aligned(cell: str, side: str, width: int) -> str:
    return cell.rjust(width) if side == "r" else cell.ljust(width)


_MARKDOWN = r"[\\`*|]|<(?=[a-zA-Z/!?])|(?<![^\W_])_|_(?![^\W_])"
_LINKING, _BRACKETS = r"|\](?=[(\[:])", r"|[\[\]]"


def markdown_escaped(text: str, *, brackets: bool = False) -> str:
    """The text on one line, escaped for Markdown: no table, emphasis, tag, link or image. `brackets`: even where definitions are."""
    return re.sub(_MARKDOWN + (_BRACKETS if brackets else _LINKING), r"\\\g<0>", _one_line(text))


_LATEX = {"\\": "textbackslash", "~": "textasciitilde", "^": "textasciicircum", "<": "textless", ">": "textgreater", "|": "textbar"}


def latex_escaped(text: str) -> str:
    """The text on one line, escaped for LaTeX; a minus sign before a number is set in mathematics.

    A row that begins with a bracket or an asterisk would be an option of the line break before it, and two hyphens would be a dash.
    """
    escaped = re.sub(
        r"[\\~^<>|]|[&%$#_{}]", lambda found: f"\\{_LATEX.get(found[0], found[0])}" + "{}" * (found[0] in _LATEX), _one_line(text)
    )
    escaped = re.sub(r"^(?=[*\[])|(?<=-)(?=-)", "{}", escaped)
    return re.sub(r"(?<![\w.{}-])-(?=\d|inf)", "$-$", escaped)


def _one_line(text: str) -> str:
    return revealed(" ".join(text.split()), keep="")


def _no_formula(cell: str) -> str:
    """The cell, with an apostrophe before what a spreadsheet would take for a formula and is no number."""
    return f"'{cell}" if re.match(r"[=+@\t\r-]", cell) and not re.fullmatch(r"[+-]?(?:\d[\d.,e+-]*|inf|nan)%?", cell) else cell
