"""The table of a comparison: by hand, in what must always hold, and the same numbers in all four formats."""

import csv
import io
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.compare.aggregate import Aggregate, summarise
from asap.compare.measurement import Measure, Measurement
from asap.compare.page import html
from asap.compare.table import FEWEST, INTRO, NO_PROOF, csv_text, latex, markdown
from asap.errors import UsageError
from asap.stats import holm, interval, mcnemar, smallest_difference, wilcoxon

supports = st.integers(-300, 0).map(lambda number: number / 100)
MEASURES = get_args(Measure)
CAPTION = "6 rows; pruned by A & B_1 <small>, judged by C|D 50%."


def one(name: str, method: str, value: float, *, ratio: float = 0.5, measure: Measure = "support", tokens: int = 50) -> Measurement:
    return Measurement(name, method, ratio, measure, tokens, 100, value, -1.0, -0.2)


def find(lines: Sequence[Aggregate], method: str, ratio: float = 0.5, measure: Measure = "support") -> Aggregate:
    [found] = [line for line in lines if (line.method, line.ratio, line.measure) == (method, ratio, measure)]
    return found


def six_rows(rows: int = 6, **supports: float) -> list[Measurement]:
    return [one(f"r{number:02}", method, support + number / 100) for method, support in supports.items() for number in range(rows)]


def test_a_line_by_hand() -> None:
    judged = [
        *(one(f"r{number}", "asap", support, tokens=40 + number) for number, support in enumerate([-0.3, -0.5, -0.4])),
        *(one(f"r{number}", "random", support) for number, support in enumerate([-0.4, -0.5, -0.9])),
    ]
    lines = summarise(judged)
    assert [(line.method, line.ratio) for line in lines] == [("full trace", 1), ("asap", 0.5), ("random", 0.5), ("no trace", 0)]
    asap, random = find(lines, "asap"), find(lines, "random")
    assert (asap.rows, asap.share, asap.marked) == (3, 123 / 300, True)
    assert (random.share, random.marked) == (0.5, False)
    assert asap.mean == pytest.approx(-0.2)
    assert (asap.low, asap.high) == interval([-0.1, -0.3, -0.2])
    assert asap.against["asap"] is None
    against = asap.against["random"]
    assert against is not None
    assert against.rows == 3
    assert against.mean == pytest.approx(0.2)
    assert (against.low, against.high) == interval([0.1, 0.0, 0.5])
    assert against.p == 0.5  # two rows differ, both the same way
    assert against.smallest == smallest_difference([0.1, 0.0, 0.5], alpha=0.05)  # one cell, so no stricter than that
    assert asap.value == pytest.approx(-0.4)
    assert find(lines, "no trace", 0)[3:12] == (3, 3, 0.0, False, 0, -1.0, pytest.approx(-0.8), pytest.approx(-0.8), pytest.approx(-0.8))
    assert find(lines, "full trace", 1)[3:12] == (3, 3, 1.0, False, 0, pytest.approx(-0.2), 0, 0, 0)


def test_only_rows_that_both_have_are_compared() -> None:
    judged = [
        *(one(name, "asap", -0.4) for name in "abc"),
        *(one(name, "random", -0.5) for name in "bcd"),
        one("z", "spirit", -0.5),
    ]
    lines = summarise(judged)
    against = find(lines, "asap").against["random"]
    assert against is not None
    assert (against.rows, against.mean) == (2, pytest.approx(0.1))
    assert find(lines, "spirit").against == {"asap": None, "random": None}
    assert "| 0.100 (2 rows) |" in markdown(lines, CAPTION)


def test_a_reference_is_of_the_same_ratio_and_measure() -> None:
    lines = summarise(
        [
            *(one(name, "asap", -0.4) for name in "ab"),
            *(one(name, "random", -0.5, ratio=0.25, tokens=25) for name in "ab"),
            *(one(name, "random", -0.5, measure="support without copies") for name in "ab"),
        ]
    )
    assert all(against is None for line in lines for against in line.against.values())


def test_holm_goes_over_all_cells_of_a_reference() -> None:
    shifts: dict[tuple[Measure, float], float] = {("support", 0.5): 0.01, ("support", 0.25): -0.02, ("passing answers", 0.5): 0.0}
    judged, raw = list[Measurement](), dict[tuple[Measure, float, str], list[float]]()
    for (measure, ratio), shift in shifts.items():
        for method in ("asap", "spirit", "random"):
            noise = [((7 * number + len(method)) % 11 - 5) / 100 + shift * (method != "random") for number in range(12)]
            judged += [one(f"r{number}", method, -0.4 + extra, ratio=ratio, measure=measure) for number, extra in enumerate(noise)]
            raw[measure, ratio, method] = noise
    cells = [key for key in raw if key[2] != "random"]
    differences = {key: [round(a - b, 9) for a, b in zip(raw[key], raw[(*key[:2], "random")], strict=True)] for key in cells}
    wanted = dict(zip(cells, holm([wilcoxon(differences[key]) for key in cells]), strict=True))
    assert len(set(wanted.values())) > 1
    for line in summarise(judged):
        if (line.measure, line.ratio, line.method) in wanted:
            against = line.against["random"]
            assert against is not None
            assert against.p == pytest.approx(wanted[line.measure, line.ratio, line.method])
            assert against.smallest == pytest.approx(
                smallest_difference(differences[line.measure, line.ratio, line.method], alpha=0.05 / len(cells))
            )


def test_easy_rows_do_not_drown_the_others() -> None:
    # full and no trace nearly alike: a share of that distance would be -1000 here
    easy = Measurement("easy", "asap", 0.5, "support", 50, 100, -0.3, -0.2001, -0.2)
    line = find(summarise([easy, one("hard", "asap", -0.4)]), "asap")
    assert line.mean == pytest.approx(-0.15)


@pytest.mark.parametrize(("tokens", "marked"), [(55, False), (56, True), (45, False), (44, True), (50, False)])
def test_more_than_five_points_off_the_ratio_is_marked(tokens: int, marked: bool) -> None:
    lines = summarise([one("a", "asap", -0.3, tokens=tokens), one("b", "asap", -0.3, tokens=tokens)])
    assert find(lines, "asap").marked is marked
    assert (f"{tokens}.0 \\*" in markdown(lines, CAPTION)) is marked
    assert (",yes," in csv_text(lines)) is marked


def test_lines_are_sorted_by_measure_ratio_and_mean() -> None:
    judged = [
        one(name, method, value - (measure == "support"), ratio=ratio, measure=measure)
        for name in "ab"
        for measure in MEASURES[::-1]
        for ratio in (0.25, 0.75)
        for method, value in (("worst", -0.9), ("best", -0.1), ("middle", -0.5), ("also middle", -0.5))
    ]
    methods = ["best", "also middle", "middle", "worst"]
    assert [(line.measure, line.ratio, line.method) for line in summarise(judged)] == [
        (measure, ratio, method)
        for measure in MEASURES
        for ratio, names in ((1, ["full trace"]), (0.75, methods), (0.25, methods), (0, ["no trace"]))
        for method in names
    ]


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (
            [one("a", "asap", -0.3)._replace(cluster="p"), one("a", "random", -0.3)._replace(cluster="q")],
            "row a is in two clusters: p and q",
        ),
        ([one("a", "asap", -0.3), one("a", "asap", -0.3)], "row a was judged twice: method asap, ratio 0.5, support"),
        ([one("a", "asap", math.nan)], "row a has a value that is not finite: method asap"),
        ([one("a", "asap", -0.3)._replace(value_none=-math.inf)], "not finite"),
        ([one("a", "asap", -0.3), one("a", "random", -0.3)._replace(value_full=-0.1)], "row a has two values for no trace or full trace"),
    ],
)
def test_what_cannot_be_compared_is_refused(judged: list[Measurement], expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        summarise(judged)


def test_traces_without_tokens_and_single_rows_and_nothing_at_all() -> None:
    empty = summarise([one("a", "asap", -0.3, tokens=0)._replace(tokens_before=0)])
    assert find(empty, "asap").share == 1
    [row] = [row for row in cells_of_markdown(markdown(empty, CAPTION)) if row[0] == "asap"]
    assert row[9] == "-0.100"
    assert summarise([]) == []
    assert "No rows." in markdown([], CAPTION)
    assert "No rows." in html([], CAPTION)
    assert latex([], CAPTION).startswith("%")
    assert csv_text([]).count("\n") == 1


# what must always hold


@st.composite
def grids(draw: st.DrawFn) -> list[Measurement]:
    """Some rows, not all of them in each cell, each with its own fixed points by each measure."""
    fixed = {(name, measure): (draw(supports), draw(supports)) for name in "abcdef" for measure in MEASURES}
    cells = [(measure, ratio, method) for measure in MEASURES for ratio in (0.75, 0.5) for method in ("asap", "random", "spirit")]
    return [
        Measurement(name, method, ratio, measure, draw(st.integers(0, 90)), 90, draw(supports), *fixed[name, measure])
        for measure, ratio, method in cells
        for name in draw(st.sets(st.sampled_from("abcdef"), max_size=6))
    ]


@given(grids(), st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_the_order_of_rows_changes_nothing(judged: list[Measurement], random: Random) -> None:
    shuffled = random.sample(judged, len(judged))
    assert summarise(shuffled) == summarise(judged)


@given(grids())
@settings(max_examples=12, deadline=None)
def test_swapping_method_and_reference_turns_the_signs(judged: list[Measurement]) -> None:
    lines = {line[:3]: line for line in summarise(judged)}
    for line in lines.values():
        if line.method != "asap" or (against := line.against["random"]) is None:
            continue
        back = lines[line.measure, line.ratio, "random"].against["asap"]
        assert back is not None
        assert (back.rows, back.mean, back.low, back.high) == (
            against.rows,
            pytest.approx(-against.mean, abs=1e-9),
            pytest.approx(-against.high, abs=1e-9),
            pytest.approx(-against.low, abs=1e-9),
        )


@given(grids())
@settings(max_examples=12, deadline=None)
def test_every_line_is_whole(judged: list[Measurement]) -> None:
    lines = summarise(judged)
    cells = {(one.measure, one.ratio, one.method) for one in judged} & {line[:3] for line in lines}
    assert len(lines) == len(cells) + 2 * len({measure for measure, _, _ in cells})
    for line in lines:
        assert 0 <= line.share <= 1
        assert line.rows > 0
        for against in (line, *filter(None, line.against.values())):
            assert against.low - 1e-9 <= against.mean <= against.high + 1e-9
        for compared in filter(None, line.against.values()):
            assert 0 < compared.p <= 1
            assert compared.rows <= line.rows


# the formats


class Cells(HTMLParser):
    """The cells of all tables of a page, and a check that every tag is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def some_lines() -> list[Aggregate]:
    judged = six_rows(FEWEST, asap=-0.3, random=-0.4, **{"a|b*c": -0.9, "x<b>&_1": -0.31, "50%": -0.4})
    return summarise([*judged, *(row._replace(measure="support without copies", value=row.value - 0.1) for row in judged)])


def cells_of_markdown(text: str) -> list[list[str]]:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in row] for row in rows if not set("".join(row)) <= set(" -:")]


def cells_of_latex(text: str) -> list[list[str]]:
    names = {"textless": "<", "textgreater": ">", "textbar": "|"}
    plain = re.sub(r"\\(text\w+)\{\}", lambda found: names[found[1]], text).replace("$-$", "-")
    rows = [re.split(r"(?<!\\)&", line.removesuffix(r" \\")) for line in plain.splitlines() if line.endswith(r" \\")]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in row] for row in rows]


def test_markdown_latex_and_html_hold_the_same_cells() -> None:
    lines = some_lines()
    cells = cells_of_markdown(markdown(lines, CAPTION))
    assert len(cells) == 2 * (1 + 5 + 2)
    assert {len(row) for row in cells} == {20}
    assert cells == cells_of_latex(latex(lines, CAPTION))
    page = html(lines, CAPTION)
    assert cells == [
        row for table in re.findall(r'<div class="scroll whole"[^>]*>(.*?)</div>', page, re.DOTALL) for row in Cells(table).rows
    ]
    assert len({*cells[0]}) == len(cells[0])  # no two columns of one name


def test_intervals_over_few_problems_are_not_printed() -> None:
    for rows in (FEWEST - 1, FEWEST):
        lines = summarise(six_rows(rows, asap=-0.3, random=-0.4))
        printed = rows >= FEWEST
        for text in (markdown(lines, CAPTION), latex(lines, CAPTION)):
            assert ("0.100 [" in text) is printed
        page = html(lines, CAPTION)
        assert (("whisker" in page.partition("<body>")[2]), "0.100 [" in page) == (printed, printed)
        [row] = [row for row in csv.DictReader(io.StringIO(csv_text(lines))) if row["method"] == "asap"]
        assert (row["minus_random"], bool(row["low_random"]), bool(row["high_full"])) == ("0.100", printed, printed)


def test_the_page_says_first_what_is_shown() -> None:
    assert "No method is shown to differ from random removal, in 1 comparison." in html(
        summarise(six_rows(asap=-0.4, random=-0.4)), CAPTION
    )
    found = html(summarise(six_rows(12, asap=-0.3, random=-0.4, worse=-0.9)), CAPTION)
    assert (
        "2 of 2 comparisons show a difference. Better than random removal: asap at 50 %. Worse than random removal: worse at 50 %." in found
    )
    assert "12 rows on 12 problems" in found
    assert "nothing says which of them is better than chance" in html(summarise(six_rows(asap=-0.3)), CAPTION)


def test_csv_holds_the_same_numbers() -> None:
    lines = some_lines()
    rows = list(csv.DictReader(io.StringIO(csv_text(lines))))
    tables = [row for row in cells_of_markdown(markdown(lines, CAPTION)) if row[0] != "method"]
    assert len(rows) == len(tables) == len(lines)
    for row, cells in zip(rows, tables, strict=True):
        full = cells[9]
        copied = [row[name] or "-" for name in ("answer_lines_left_percent", "near_copies")]
        fixed = [row[name] for name in ("method", "asked_percent", "kept_percent", "rows_off", "rows", "problems")]
        assert [*fixed, *copied, row["mean"]] == cells[:9]
        assert full == f"{row['minus_full']} [{row['low_full']}, {row['high_full']}]"
        for name, (estimate, p, shows) in (("asap", cells[10:13]), ("random", cells[13:16])):
            found = f"{row[f'minus_{name}']} [{row[f'low_{name}']}, {row[f'high_{name}']}]"
            assert (found, row[f"p_{name}"], row[f"could_show_{name}"]) in ((estimate, p, shows), (" [, ]", "", ""))


def test_no_difference_from_random_is_said() -> None:
    text = markdown(summarise(six_rows(asap=-0.3, same=-0.4, random=-0.4)), CAPTION)
    said = {row[0]: row[-1] for row in cells_of_markdown(text)}
    # six rows that all point one way give p = 2/64, which Holm doubles for two cells
    assert said == {
        "method": "against random",
        "full trace": "-",
        "no trace": "-",
        "random": "-",
        "asap": "no difference shown",
        "same": "no difference shown",
    }
    alone = {row[0]: row[-1] for row in cells_of_markdown(markdown(summarise(six_rows(asap=-0.3, random=-0.4)), CAPTION))}
    assert alone["asap"] == "better"
    skewed = [one(f"r{n}", "asap", -0.39 if n else -0.9) for n in range(20)] + [one(f"r{n}", "random", -0.4) for n in range(20)]
    line = find(summarise(skewed), "asap").against["random"]
    assert line is not None
    assert line.p < 0.05
    assert line.low < line.mean < 0 < line.high
    assert {row[0]: row[-1] for row in cells_of_markdown(markdown(summarise(skewed), CAPTION))}["asap"] == "no difference shown"
    worse = {row[0]: row[-1] for row in cells_of_markdown(markdown(summarise(six_rows(asap=-0.5, random=-0.4)), CAPTION))}
    assert worse["asap"] == "worse"


def test_numbers_are_written_as_promised() -> None:
    judged = [
        *(one(f"r{number}", "asap", -0.2004 - number / 1e6, tokens=50 + number % 2) for number in range(20)),
        *(one(f"r{number}", "random", -0.4) for number in range(20)),
    ]
    [header, full, asap, random, none] = cells_of_markdown(markdown(summarise(judged), CAPTION))
    assert asap[:10] == ["asap", "50.0", "50.5", "0", "20", "20", "-", "-", "-0.200", "0.000 [0.000, 0.000]"]  # no minus before a zero
    assert asap[13:] == ["0.200 [0.200, 0.200]", "<0.001", "0.000", "100.0", "0.00", "0.00", "better"]
    assert random[11] == "<0.001"
    assert (full[1:3], none[1:3]) == (["100.0", "100.0"], ["0.0", "0.0"])
    assert header[-1] == "against random"


def test_the_sentence_above_says_what_it_is_and_what_it_is_not() -> None:
    lines = some_lines()
    for text in (markdown(lines, CAPTION), latex(lines, CAPTION), html(lines, CAPTION)):
        assert text.count(NO_PROOF) == 2
        assert text.count("pruned by A") == (1 if "<html" in text else 2)
    assert "nats per token" in INTRO["support"]
    assert "pruned by A & B_1 \\<small>, judged by C\\|D 50%." in markdown(lines, CAPTION)
    assert "pruned by A \\& B\\_1 \\textless{}small\\textgreater{}, judged by C\\textbar{}D 50\\%." in latex(lines, CAPTION)
    assert "pruned by A &amp; B_1 &lt;small&gt;, judged by C|D 50%." in html(lines, CAPTION)


def test_latex_has_no_bare_special_character() -> None:
    text = latex(some_lines(), CAPTION + " ~^\\{}#$")
    assert "\\textasciitilde{}\\textasciicircum{}\\textbackslash{}\\{\\}\\#\\$" in text
    bodies = re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)
    assert len(bodies) == text.count("\\begin{table*}") == text.count("\\end{table*}") == 2
    assert not re.search(r"(?<!\\)[%#_~^<>|]", "".join(bodies))
    assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")


def test_the_page_needs_nothing_else() -> None:
    page = html(some_lines(), CAPTION)
    assert "<b>" not in page
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(", page)


def test_other_references_and_none() -> None:
    judged = six_rows(asap=-0.3, spirit=-0.4)
    [header, *_] = cells_of_markdown(markdown(summarise(judged, reference_methods=("spirit",)), CAPTION))
    assert header[10:] == ["minus spirit", "p (spirit)", "could show (spirit)", "end kept %", "dangling", "open fences"]
    [header, *_] = cells_of_markdown(markdown(summarise(judged, reference_methods=()), CAPTION))
    assert header[5:] == [
        "problems",
        "answer lines left %",
        "near copies",
        "mean",
        "minus full trace",
        "end kept %",
        "dangling",
        "open fences",
    ]


def test_form_is_the_mean_over_rows() -> None:
    judged = [one("a", "asap", -0.3)._replace(dangling=3, last_kept=0.5), one("b", "asap", -0.3)._replace(open_fences=1, last_kept=1.0)]
    line = next(line for line in summarise(judged) if line.method == "asap")
    assert (line.dangling, line.open_fences, line.last_kept) == (1.5, 0.5, 0.75)


def test_rows_of_one_problem_are_one_unit() -> None:
    values = {"a1": (-0.1, -0.5), "a2": (-0.3, -0.4), "b": (-0.4, -0.2), "c": (-0.2, -0.6), "d1": (-0.5, -0.4), "d2": (-0.5, -0.5)}
    judged = [
        one(name, method, value)._replace(cluster=f"problem {name[0]}" if name != "c" else None)
        for name, pair in values.items()
        for method, value in zip(("asap", "random"), pair, strict=True)
    ]
    lines = summarise(judged)
    asap, against = find(lines, "asap"), find(lines, "asap").against["random"]
    differences = [0.25, -0.2, 0.4, -0.05]
    assert against is not None
    assert (against.rows, against.problems, asap.rows, asap.problems) == (6, 4, 6, 4)
    assert against.mean == pytest.approx(sum(differences) / 4)
    assert (against.low, against.high) == pytest.approx(interval(differences))
    assert against.p == wilcoxon(differences)
    assert against.smallest == pytest.approx(smallest_difference(differences, alpha=0.05))
    assert asap.value == pytest.approx((-0.2 - 0.4 - 0.2 - 0.5) / 4)
    assert (asap.mean, find(lines, "no trace", 0).problems) == (pytest.approx(asap.value + 0.2), 4)
    assert find(lines, "full trace", 1)[3:5] == (6, 4)
    [row] = [row for row in cells_of_markdown(markdown(lines, CAPTION)) if row[0] == "asap"]
    assert row[4:6] == ["6", "4"]


@given(st.integers(1, 5), st.lists(st.tuples(supports, supports), min_size=2, max_size=8))
@settings(max_examples=20, deadline=None)
def test_a_row_read_several_times_says_no_more(times: int, values: list[tuple[float, float]]) -> None:
    def lines(copies: int) -> list[Aggregate]:
        return summarise(
            one(f"{number} {copy}", method, value)._replace(cluster=str(number))
            for number, pair in enumerate(values)
            for method, value in zip(("asap", "random"), pair, strict=True)
            for copy in range(copies)
        )

    for once, often in zip(lines(1), lines(times), strict=True):
        assert (often.rows, often.problems) == (times * once.rows, once.problems)
        assert (often.value, often.mean, often.low, often.high) == pytest.approx((once.value, once.mean, once.low, once.high))
        for name, contrast in once.against.items():
            other = often.against[name]
            assert (contrast is None) == (other is None)
            if contrast is not None and other is not None:
                assert other[2:] == pytest.approx(contrast[2:])
                assert (other.rows, other.problems) == (times * contrast.rows, contrast.problems)


def test_what_is_left_of_the_answer_is_the_mean_over_the_rows_that_say_it() -> None:
    judged = [
        one("a", "asap", -0.3)._replace(answer_lines=0.5, answer_lines_full=1.0, near_copies=3, near_copies_full=4),
        one("b", "asap", -0.3)._replace(answer_lines=0.25, answer_lines_full=0.5, near_copies=0, near_copies_full=1),
        one("c", "asap", -0.3)._replace(near_copies=0, near_copies_full=0),  # no line that tells
        one("d", "asap", -0.3),  # an answer that is only text
        one("d", "random", -0.3),
    ]
    lines = {line.method: line for line in summarise(judged) if line.measure == "support"}
    assert [(name, lines[name].answer_lines, lines[name].near_copies) for name in ("full trace", "asap", "random", "no trace")] == [
        ("full trace", 0.75, pytest.approx(5 / 3)),
        ("asap", 0.375, 1.0),
        ("random", None, None),
        ("no trace", 0.0, 0.0),
    ]
    cells = {row[0]: row[6:8] for row in cells_of_markdown(markdown(summarise(judged), CAPTION))}
    assert (cells["full trace"], cells["asap"], cells["random"]) == (["75.0", "1.67"], ["37.5", "1.00"], ["-", "-"])


def test_shown_differences_are_told_with_the_cells_that_were_tried() -> None:
    lines = summarise(six_rows(asap=-0.3, random=-0.4, worse=-0.9))
    said = "Differences shown: in 0 of 4 cells (0 of 2 from asap; 0 of 2 from random)."
    assert all(said in text for text in (markdown(lines, CAPTION), latex(lines, CAPTION), html(lines, CAPTION)))
    lines = summarise(six_rows(asap=-0.3, random=-0.4))
    assert "Differences shown: in 2 of 2 cells (1 of 1 from asap; 1 of 1 from random)." in markdown(lines, CAPTION)
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(csv_text(lines)))}
    assert [(row["shown_random"], row["cells_random"]) for row in rows.values()] == [("", ""), ("yes", "1"), ("", ""), ("", "")]
    assert "Differences shown" not in markdown(summarise(six_rows(spirit=-0.3)), CAPTION)


def test_passing_answers_are_measured_as_support_is() -> None:
    judged = [
        Measurement(f"r{n}", method, 0.5, "passing answers", 50, 100, float(n < passed), 0.0, 1.0)
        for method, passed in (("asap", 6), ("random", 0))
        for n in range(8)
    ]
    [header, full, asap, random, none] = cells_of_markdown(markdown(summarise(judged), CAPTION))
    assert [row[header.index("mean")] for row in (full, asap, random, none)] == ["1.000", "0.750", "0.000", "0.000"]
    place = header.index("minus random")
    assert asap[place] == "0.750"
    assert float(asap[place + 1]) == pytest.approx(mcnemar(6, 0), abs=5e-4)  # all sizes are 1, so ranks are signs


def test_rows_that_are_off_are_counted_though_the_mean_is_not() -> None:
    line = find(summarise(one(name, "asap", -0.3, tokens=tokens) for name, tokens in (("a", 40), ("b", 60), ("c", 50))), "asap")
    assert (line.share, line.marked, line.rows_off) == (0.5, False, 2)


def test_columns_without_a_number_are_still_a_table() -> None:
    rule = markdown(summarise([one("a", "keep-head", -0.3)]), CAPTION).splitlines()[5]
    assert all(re.fullmatch("-+:?", cell.strip()) for cell in rule.strip("|").split("|"))
