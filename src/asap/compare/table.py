"""The table of a comparison: the same numbers as Markdown, CSV, LaTeX and the HTML of its page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from asap.compare.aggregate import CONTROL, Aggregate, Contrast
from asap.compare.measurement import Measure
from asap.tables import Table, latex_escaped, markdown_escaped

INTRO: Mapping[Measure, str] = {
    "support without copies": (
        "The mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace, where every "
        "line of the trace that equals a line of that code (every statement of that result) was blanked first, in the full trace as in "
        "all others, since a judge that reads it there merely copies. Tokens are those of the traces before."
    ),
    "support": "The mean log-probability, in nats per token, of the answer's own code (or final answer) after question and trace.",
    "passing answers without copies": (
        "The share of the answers, written by the judge after question and trace, that pass the row's own tests or state its gold answer, "
        "where what the trace has copied from the answer was blanked first. Where each problem has one row, p is that of McNemar's exact "
        "test."
    ),
    "passing answers": (
        "The share of the answers, written by the judge after question and trace, that pass the row's own tests or state its gold answer. "
        "Where each problem has one row, p is that of McNemar's exact test."
    ),
}
NO_PROOF = "It is no proof of what training on the trace gives."
FEWEST = 10
"""Problems below which no interval is printed: of simulated normal values, a bootstrap over fewer covers less than nine times in ten."""
NOTE = (
    "Means and differences are over problems, those of the rows of one problem averaged first; differences are over the same rows, "
    "with 95 % bootstrap intervals over problems. p: Wilcoxon's signed-rank test, adjusted by Holm over all cells of its column, "
    "those of the other measures too. A difference counts as shown where p is below 0.05 and the interval does not hold zero. No "
    f"interval is printed over fewer than {FEWEST} problems, since a bootstrap over so few says too little. could "
    "show: the difference that so many problems of this spread show four times in five, at the strictest level that Holm may ask "
    "for. answer lines left: share of the lines of the answer's code (of at least 8 characters and not in the question) that stand "
    "in the pruned trace, or of the rows whose result does, before anything is blanked; near copies: lines that say nearly the same "
    "and are not blanked, with other names or beside other text, a row. end kept: share of the last three steps; dangling: names "
    "still used whose definition was cut; open fences: code fences that the cut leaves open; both a row. *: the kept share is more "
    "than 5 points off what was asked, so the tokens are not the same; rows off: rows of which this is so."
)


def markdown(aggregates: Sequence[Aggregate], caption: str) -> str:
    """A table for each measure, with `caption` (who pruned, who judged) in the sentence above it. Columns are aligned for terminals."""
    parts = [
        f"## {title(measure)}\n\n{markdown_escaped(_above(measure, caption))}\n\n{table.markdown(padded=True)}\n"
        for measure, table in tables(aggregates)
    ]
    return "\n".join([*parts, f"{markdown_escaped(note(aggregates))}\n"]) if parts else f"{markdown_escaped(caption)}\n\nNo rows.\n"


def latex(aggregates: Sequence[Aggregate], caption: str) -> str:
    """A booktabs table* for each measure; needs \\usepackage{booktabs}. The numbers are those of `markdown`."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    for measure, table in tables(aggregates):
        parts.append(
            f"\\begin{{table*}}\n\\centering\\scriptsize\\setlength{{\\tabcolsep}}{{3pt}}\n"
            f"\\caption{{{title(measure)}. {latex_escaped(f'{_above(measure, caption)} {note(aggregates)}')}}}\n"
            f"{table.latex()}\n\\end{{table*}}\n"
        )
    return "\n".join(parts)


def csv_text(aggregates: Sequence[Aggregate]) -> str:
    """The numbers of `markdown`, one in each column, for all measures; empty if nothing was compared."""
    names = _references(aggregates)
    compared = [
        f"{column}_{name}" for name in names for column in ("rows", "problems", "minus", "low", "high", "p", "could_show", "shown", "cells")
    ]
    fixed = ["measure", "method", "asked_percent", "kept_percent", "off", "rows_off", "rows", "problems"]
    header = [
        *fixed,
        "answer_lines_left_percent",
        "near_copies",
        "mean",
        "minus_full",
        "low_full",
        "high_full",
        *compared,
        "end_kept_percent",
        "dangling",
        "open_fences",
    ]
    cells = {name: len(_contrasts(aggregates, name)) for name in names}
    return Table(header, [_numbers(aggregate, cells) for aggregate in aggregates]).csv()


def _numbers(aggregate: Aggregate, cells: Mapping[str, int]) -> list[str]:
    """The cells of an aggregate in the CSV file."""
    row = [aggregate.measure, aggregate.method, percent(aggregate.ratio), percent(aggregate.share), "yes" if aggregate.marked else "no"]
    row += [*_sizes(aggregate), *("" if cell == "-" else cell for cell in _copied(aggregate))]
    row += [*map(_number, (aggregate.value, aggregate.mean)), *_ends(aggregate)]
    for name, tried in cells.items():
        one = aggregate.against[name]
        if one is None:
            row += [""] * 9
            continue
        row += [str(one.rows), str(one.problems), _number(one.mean), *_ends(one), p_value(one.p), _number(one.smallest)]
        row += ["yes" if one.is_shown else "no", str(tried)]
    return [*row, *_form(aggregate)]


def _ends(one: Aggregate | Contrast) -> list[str]:
    """The ends of an interval, empty where none is printed."""
    return [_number(one.low), _number(one.high)] if has_interval(one.problems) else ["", ""]


def title(measure: Measure) -> str:
    """The name of a measure as a heading."""
    return measure.capitalize()


def note(aggregates: Sequence[Aggregate]) -> str:
    """What the numbers are, and how many differences are shown of how many that were looked for."""
    tried = {name: _contrasts(aggregates, name) for name in _references(aggregates)}
    cells, shown = ({name: count(of) for name, of in tried.items()} for count in (len, lambda of: sum(one.is_shown for one in of)))
    if not any(cells.values()):
        return NOTE
    by = "; ".join(f"{shown[name]} of {cells[name]} from {name}" for name in tried)
    return f"Differences shown: in {sum(shown.values())} of {sum(cells.values())} cells ({by}). {NOTE}"


def _contrasts(aggregates: Sequence[Aggregate], name: str) -> list[Contrast]:
    """All contrasts with a reference."""
    return [one for aggregate in aggregates if (one := aggregate.against[name]) is not None]


def _above(measure: Measure, caption: str) -> str:
    return f"{INTRO[measure]} {NO_PROOF} {caption}"


def tables(aggregates: Sequence[Aggregate]) -> Iterable[tuple[Measure, Table]]:
    """Each measure with its table."""
    names = _references(aggregates)
    header = [
        "method",
        "asked %",
        "kept %",
        "rows off",
        "rows",
        "problems",
        "answer lines left %",
        "near copies",
        "mean",
        "minus full trace",
    ]
    for name in names:
        header += [f"minus {name}", f"p ({name})", f"could show ({name})"]
    header += ["end kept %", "dangling", "open fences", *([f"against {CONTROL}"] if CONTROL in names else [])]
    for measure, of_measure in groupby(aggregates, key=lambda one: one.measure):
        yield measure, Table(header, [_row(aggregate, names) for aggregate in of_measure], "lr")


def _row(aggregate: Aggregate, names: Sequence[str]) -> list[str]:
    mark = " *" if aggregate.marked else ""
    row = [
        aggregate.method,
        percent(aggregate.ratio),
        percent(aggregate.share) + mark,
        *_sizes(aggregate),
        *_copied(aggregate),
        _number(aggregate.value),
    ]
    row.append(with_interval(aggregate.mean, aggregate.low, aggregate.high, aggregate.problems))
    for one in map(aggregate.against.get, names):
        if one is None:
            row += ["-", "-", "-"]
            continue
        rows = "" if one.rows == aggregate.rows else f" ({one.rows} rows)"
        row += [with_interval(one.mean, one.low, one.high, one.problems) + rows, p_value(one.p), _number(one.smallest)]
    return [*row, *_form(aggregate), *([against_words(aggregate.against[CONTROL]) + mark] if CONTROL in names else [])]


def _sizes(aggregate: Aggregate) -> list[str]:
    return list(map(str, (aggregate.rows_off, aggregate.rows, aggregate.problems)))


def _copied(aggregate: Aggregate) -> list[str]:
    lines, near = aggregate.answer_lines, aggregate.near_copies
    return ["-" if lines is None else percent(lines), "-" if near is None else f"{near:.2f}"]


def _form(aggregate: Aggregate) -> list[str]:
    return [percent(aggregate.last_kept), f"{aggregate.dangling:.2f}", f"{aggregate.open_fences:.2f}"]


def against_words(one: Contrast | None) -> str:
    """A contrast in words."""
    if one is None:
        return "-"
    if not one.is_shown:
        return "no difference shown"
    return "better" if one.mean > 0 else "worse"


def _references(aggregates: Sequence[Aggregate]) -> list[str]:
    return list(aggregates[0].against) if aggregates else []


def has_interval(problems: int) -> bool:
    """Whether an interval over so many problems is printed."""
    return problems >= FEWEST


def with_interval(mean: float, low: float, high: float, problems: int) -> str:
    """A mean with its interval, or alone over too few problems."""
    if not has_interval(problems):
        return _number(mean)
    return f"{_number(mean)} [{_number(low)}, {_number(high)}]"


def _number(number: float) -> str:
    return f"{round(number, 3) + 0.0:.3f}"  # + 0.0 makes -0.0 a plain zero


def percent(share: float) -> str:
    """A share in percent, without the sign."""
    return f"{100 * share:.1f}"


def p_value(p: float) -> str:
    """A p value with three digits."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
