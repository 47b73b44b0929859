"""The files of a report: report.html, report.md, report.csv, report.tex and report.json, in a folder of its own."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from asap.atomic import replacing
from asap.errors import InputError
from asap.lm.model_size import label_sentence
from asap.ownership import REPORTED, claim_folder
from asap.report.contents import ArmReport, as_record
from asap.report.layout import budget_table, difference_table, main_table, outcome_table, token_table
from asap.report.page import write_report_page
from asap.report.paper import PROBLEMS, PaperFigure
from asap.revealed import revealed
from asap.tables import Table, latex_escaped, markdown_escaped
from asap.train.cost import cost_table

_NO_WIDER = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"
_RESULTS, _AGAINST, _COSTS = "Results", "Against ", "Tokens and seconds"
FILES = ("report.html", "report.md", "report.csv", "report.tex", "report.json")
_READ_BY_CLUSTERS = (
    " With clusters, intervals are Student's t with clustered errors (of Pass@1 never narrower than without), with several seeds a "
    "bootstrap over clusters and seeds; p: Wilcoxon's test on the means of clusters."
)
_READ_AS = (
    "Intervals are of 95 %: of Pass@1 Wilson's, with several samples or seeds a bootstrap; of differences Tango's or Student's t "
    "(docs/statistics.md), with several seeds a bootstrap over problems and seeds. p: McNemar's exact test where each problem was "
    "tried once, else Wilcoxon's signed-rank test on each problem's share; over all arms and benchmarks by Holm. The last column is the "
    "difference that problems as "
    "many and as spread as these show with a power of 0.8 at 0.05: a smaller one may be there and not show."
)


def claim_report(out: Path) -> None:
    """Raise InputError if a report cannot be written into a folder because something else is there."""
    claim_folder(out, REPORTED)


def write_arm_report(report: ArmReport, out: Path) -> None:
    """Write all files. The same runs give the same bytes. Raises InputError if the folder cannot be written."""
    claim_report(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}); choose another --out") from error
    texts = {
        "report.json": json.dumps(as_record(report), indent=1, ensure_ascii=False) + "\n",
        "report.md": _markdown(report),
        "report.csv": _csv(report),
        "report.tex": _latex(report),
    }
    for name, text in texts.items():
        with replacing(out / name) as file:
            file.write(text)
    write_report_page(report, out / "report.html")


def printed(report: ArmReport) -> str:
    """The tables for a terminal: results, differences and cost."""
    tables = dict(_tables(report))
    chosen = [table for name, table in tables.items() if name in (_RESULTS, f"{_AGAINST}{report.reference.name}", "Training cost")]
    parts = [*([f"**{label_sentence(report.label)}**"] if report.label else []), *(table.markdown(padded=True) for table in chosen)]
    return "\n\n".join([*parts, *_said([*report.said_of_results, *report.said], partial(revealed, keep=""))]) + "\n"


def _markdown(report: ArmReport) -> str:
    """The content of report.md."""
    parts = [f"# {markdown_escaped(report.title)}"]
    if report.label:
        parts.append(f"**{label_sentence(report.label)}**")
    for name, table in _tables(report):
        parts += [f"## {markdown_escaped(name)}", table.markdown()]
        if name == _RESULTS:
            parts += _said(report.said_of_results, markdown_escaped)
        if name.startswith(_AGAINST):
            parts.append(_READ_AS + (_READ_BY_CLUSTERS if report.cluster else ""))
    return "\n\n".join([*parts, *_said(report.said, markdown_escaped)]) + "\n"


def _said(said: Sequence[str], escaped: Callable[[str], str]) -> list[str]:
    """What has to be said beneath tables, as one list."""
    return ["\n".join(f"- {escaped(text)}" for text in said)] if said else []


def _tables(report: ArmReport) -> Iterator[tuple[str, Table]]:
    """The tables that this report has anything for, by heading."""
    if report.results:
        yield _RESULTS, main_table(report.arms, report.benchmarks, report.results, report.beside, report.unequal)
    if report.differences:
        yield f"{_AGAINST}{report.reference.name}", difference_table(report.differences, report.reference.name)
    if any(one.tokens or one.seconds for one in report.differences):
        yield _COSTS, token_table(report.differences, report.reference.name)
    for name in report.benchmarks:
        if (table := budget_table(report.arms, name, report.results, report.beside)) is not None:
            yield f"Pass@1 by token budget: {name}", table
    if report.results:
        yield "Outcomes", outcome_table(report.arms, report.benchmarks, report.results)
    if report.costs:
        yield "Training cost", cost_table(report.costs)


_CSV = [
    *("arm", "benchmark", "budget", "problems", "clusters", "seeds", "pass_at_1", "low", "high", "tokens", "seconds", "latency_s"),
    *("training_tokens", "reference", "difference", "difference_low", "difference_high", "test", "p", "p_holm", "smallest_difference"),
    *("paper_accuracy", "paper_tokens", "paper_latency_s", "paper_model", "paper_budget", "paper_problems"),
    *("paper_source", "label"),
]


def _csv(report: ArmReport) -> str:
    """One line for each arm on each benchmark and at each budget, with shares, not percent."""
    trained = {arm.name: arm.trained_tokens for arm in report.arms}
    compared = {(one.arm, one.benchmark): one.passed for one in report.differences}
    rows = list[dict[str, object]]()
    for result in report.measured:
        found, theirs = compared.get((result.arm, result.benchmark)), report.published(result)
        of_arm = {"arm": result.arm, "benchmark": result.benchmark, "problems": result.problems, "seeds": result.seeds}
        of_arm["clusters"] = result.clusters
        of_arm |= {"training_tokens": trained[result.arm], "label": report.label}
        costs = {"tokens": result.tokens, "seconds": result.seconds, "latency_s": result.latency}
        row = {**of_arm, "budget": result.budget, **_passed(result.passed, result.interval), **costs}
        if found:
            low, high = found["interval"]
            row |= {"reference": report.reference.name, "difference": found["difference"], "difference_low": low, "difference_high": high}
            row |= {name: found[name] for name in ("test", "p", "p_holm", "smallest_difference")}
        rows.append(row | _of_paper(theirs))
        published = {figure.budget: figure for figure in report.beside[result.arm, result.benchmark]}
        for point in result.budgets:
            costs = {"tokens": point.tokens, "seconds": point.seconds}
            at_budget = {"budget": point.budget, **_passed(point.passed, point.interval), **costs}
            rows.append({**of_arm, **at_budget, **_of_paper(published.get(point.budget))})
    return Table(_CSV, [["" if row.get(name) in (None, math.inf) else str(row[name]) for name in _CSV] for row in rows]).csv()


def _of_paper(figure: PaperFigure | None) -> dict[str, object]:
    if figure is None:
        return {}
    found = {f"paper_{name}": getattr(figure, name) for name in ("accuracy", "tokens", "model", "budget", "source")}
    return {**found, "paper_latency_s": figure.latency, "paper_problems": PROBLEMS[figure.benchmark]}


def _passed(passed: float | None, interval: Sequence[float] | None) -> dict[str, object]:
    low, high = interval or (None, None)
    return {"pass_at_1": passed, "low": low, "high": high}


def _latex(report: ArmReport) -> str:
    """The tables for a paper, as wide as the page at most; each with its heading and the label of small models in a caption."""
    label = f" {latex_escaped(label_sentence(report.label))}" if report.label else ""
    parts = list[str]()
    for name, table in _tables(report):
        beside = report.said_of_results if name == _RESULTS else report.said_of_clusters if name.startswith((_AGAINST, _COSTS)) else []
        said = "".join(f" {latex_escaped(text)}" for text in beside)
        caption = rf"\caption{{{latex_escaped(report.title)}: {latex_escaped(name)}.{label}{said}}}"
        parts.append("\n".join([r"\begin{table*}", r"\centering", caption, _NO_WIDER, table.latex() + "}", r"\end{table*}"]))
    return "\n\n".join(["% needs \\usepackage{booktabs,graphicx}", *parts]) + "\n"
