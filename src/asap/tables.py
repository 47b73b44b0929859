"""Tables of text, as Markdown, LaTeX, HTML and CSV.

A table contains finished cells: its maker rounds and words them. This module escapes text for each format.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from asap.revealed import revealed


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header. `columns` aligns each column, l left or r right; its last letter applies to all further columns."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    columns: str = "l"

    @property
    def sides(self) -> str:
        """The alignment letters of all columns."""
        return self.columns.ljust(len(self.header), self.columns[-1])

    def markdown(self, *, padded: bool = False) -> str:
        """A GitHub table; `padded` aligns its columns in a terminal too."""
        escaped = [[markdown_escaped(cell) for cell in row] for row in (self.header, *self.rows)]
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
        head, *body = (" & ".join(map(latex_escaped, row)) + r" \\" for row in (self.header, *self.rows))
        lines = [f"\\begin{{tabular}}{{{self.sides}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
        return "\n".join(lines)

    def html(self) -> str:
        """A `<table>`, whose alignment is up to the page's style."""
        head = "".join(f"<th>{escape(revealed(cell))}</th>" for cell in self.header)
        body = "\n".join(f"<tr>{''.join(f'<td>{escape(revealed(cell))}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def csv(self) -> str:
        """Comma-separated lines that end with a line feed."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([map(_no_formula, row) for row in (self.header, *self.rows)])
        return out.getvalue()


def _aligned(cell: str, side: str, width: int) -> str:
    return cell.rjust(width) if side == "r" else cell.ljust(width)


def markdown_escaped(text: str) -> str:
    """The text on one line, escaped for Markdown."""
    return re.sub(r"[\\`*|]|<(?=[a-zA-Z/!?])|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", _one_line(text))


_LATEX = {"\\": "textbackslash", "~": "textasciitilde", "^": "textasciicircum", "<": "textless", ">": "textgreater", "|": "textbar"}


def latex_escaped(text: str) -> str:
    """The text on one line, escaped for LaTeX; a minus sign before a number is set in mathematics."""
    escaped = re.sub(
        r"[\\~^<>|]|[&%$#_{}]", lambda found: f"\\{_LATEX.get(found[0], found[0])}" + "{}" * (found[0] in _LATEX), _one_line(text)
    )
    return re.sub(r"(?<![\w.-])-(?=\d|inf)", "$-$", escaped)


def _one_line(text: str) -> str:
    return revealed(" ".join(text.split()), keep="")


def _no_formula(cell: str) -> str:
    """The cell, with an apostrophe before what a spreadsheet would take for a formula and is no number."""
    return f"'{cell}" if re.match(r"[=+@\t\r-]", cell) and not re.fullmatch(r"[+-]?(?:\d[\d.,e+-]*|inf|nan)%?", cell) else cell
