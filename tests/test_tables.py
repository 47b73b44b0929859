"""Each format holds the same cells, whatever is in them."""

import csv
import io
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from asap.revealed import revealed
from asap.tables import Table, latex_escaped, markdown_escaped

TABLE = Table(["method", "kept %", "note"], [["asap", "50.0", "a|b"], ["keep-head", "-7.5", ""]], "lrl")


def test_markdown() -> None:
    assert TABLE.markdown() == "| method | kept % | note |\n|---|---:|---|\n| asap | 50.0 | a\\|b |\n| keep-head | -7.5 |  |"


def test_padded_markdown_lines_up() -> None:
    assert TABLE.markdown(padded=True).splitlines() == [
        "| method    | kept % | note |",
        "| --------- | -----: | ---- |",
        "| asap      |   50.0 | a\\|b |",
        "| keep-head |   -7.5 |      |",
    ]
    assert Table(["", ""], [], "lr").markdown(padded=True) == "|    |    |\n| -- | -: |"


def test_latex() -> None:
    assert TABLE.latex().splitlines() == [
        r"\begin{tabular}{lrl}",
        r"\toprule",
        r"method & kept \% & note \\",
        r"\midrule",
        r"asap & 50.0 & a\textbar{}b \\",
        r"keep-head & $-$7.5 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_the_last_letter_holds_for_the_rest() -> None:
    assert Table(["a", "b", "c"], [], "lr").sides == "lrr"
    assert Table(["a", "b"], []).sides == "ll"


def test_escapes() -> None:
    assert markdown_escaped("a_b _c_ <b> x < y \\ `d`\n*e* | f") == r"a_b \_c\_ \<b> x < y \\ \`d\` \*e\* \| f"
    assert latex_escaped("50 % of a_b & c, -3 to x-1") == r"50 \% of a\_b \& c, $-$3 to x-1"


def test_no_cell_is_a_link_an_image_or_an_option_of_a_line_break() -> None:
    assert markdown_escaped("[a](b) ![c][d] [e]: f [0.1, 0.2] (g)") == r"[a\](b) ![c\][d] [e\]: f [0.1, 0.2] (g)"
    assert markdown_escaped("\\](x)", brackets=True) == r"\\\](x)"
    table = Table(["arm"], [["[base]"], ["*best"], ["a--b"], ["---"], ["--3"]])
    assert table.latex().splitlines()[4:-2] == [r"{}[base] \\", r"{}*best \\", r"a-{}-b \\", r"-{}-{}- \\", r"-{}-3 \\"]


cells = st.text(st.characters(exclude_categories=["C", "Z"])).filter(lambda text: revealed(text) == text)
tables = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        Table, st.lists(cells, min_size=width, max_size=width), st.lists(st.lists(cells, min_size=width, max_size=width))
    )
)


class Cells(HTMLParser):
    """The cells of a table's rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows = list[list[str]]()
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside = tag in ("th", "td")
        if tag == "tr":
            self.rows.append([])
        elif self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


@given(tables)
def test_csv_and_html_give_every_cell_back(table: Table) -> None:
    written = [list(row) for row in (table.header, *table.rows)]
    read = list(csv.reader(io.StringIO(table.csv(), newline="")))
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [[cell.removeprefix("'") for cell in row] for row in written]
    assert Cells(table.html()).rows == written


@given(tables)
def test_markdown_has_a_cell_for_each_cell(table: Table) -> None:
    for text in (table.markdown(), table.markdown(padded=True)):
        assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in text.splitlines()} == {len(table.header) + 1}


def test_no_cell_is_a_formula_to_a_spreadsheet() -> None:
    formulas = ["=1+1", "@SUM(A1)", "+HYPERLINK(x)", "-cmd|' /C calc'!A1", "\t=1"]
    numbers = ["-0.5", "+1,234.5", "-inf", "1e-05", "-1e-05", "-12%", "asap", "", "a=b"]
    [_, *rows] = csv.reader(io.StringIO(Table(["a"], [[cell] for cell in formulas + numbers]).csv(), newline=""))
    assert [row[0] if row else "" for row in rows] == [f"'{cell}" for cell in formulas] + numbers


def test_what_hides_in_a_cell_is_escaped_in_every_format() -> None:
    table = Table(["a\x1b"], [["b\u202e\U000e0041"]])
    for text in (table.markdown(), table.markdown(padded=True), table.latex(), table.html()):
        assert text.isascii()
        assert "\x1b" not in text
