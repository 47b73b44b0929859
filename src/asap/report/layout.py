"""The tables of a report: arms by benchmarks with the paper's figures beneath ours, differences, outcomes, budgets.

A number's best value of a benchmark is bold, its second underlined, if all arms have the same problems there; the paper's rows are not
compared with ours.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from asap.report.arms import Arm
from asap.report.attempt_index import OUTCOMES
from asap.report.figures import ArmResult, Difference
from asap.report.paper import PROBLEMS, Beside, PaperFigure, figure_at
from asap.tables import Mark, Table, number_cell

_COLUMNS = ("problems", "clusters", "Pass@1, %", "95 %", "tokens", "s")
_RANKED = ("Pass@1, %", "tokens", "s")
_LOWER = ("tokens", "s")
_DIGITS = {"Pass@1, %": 2, "s": 2}

Results = Mapping[tuple[str, str], ArmResult]
"""By arm and benchmark."""


def main_table(arms: Sequence[Arm], benchmarks: Sequence[str], results: Results, beside: Beside, unequal: Sequence[str]) -> Table:
    """Arms by benchmarks: problems, Pass@1 with its interval, tokens, seconds, and the tokens trained on; the paper's below each arm.

    Nothing is marked on the `unequal` benchmarks.
    """
    measured = {name: _shown_columns([results[key] for key in results if key[1] == name]) for name in benchmarks}
    header = ["arm", *(f"{name}: {column}" for name in benchmarks for column in measured[name]), "training tokens"]
    rows, values = list[list[str]](), list[list[float | None]]()
    for arm in arms:
        ours = [(name, column, results.get((arm.name, name))) for name in benchmarks for column in measured[name]]
        trained = arm.trained_tokens
        rows.append([arm.name, *(_cell(result, column) for _, column, result in ours), number_cell(trained, 0)])
        ranked = [_value(result, column) if column in _RANKED and name not in unequal else None for name, column, result in ours]
        values.append([None, *ranked, None])
        of_arm = {name: result for name in benchmarks if (result := results.get((arm.name, name)))}
        theirs = {name: figure_at(beside[arm.name, name], result.budget) for name, result in of_arm.items()}
        if any(theirs.values()):
            rows.append([f"{arm.name}, the paper", *(_published_cell(theirs.get(name), column) for name, column, _ in ours), ""])
            values.append([None] * len(header))
    marks = _marks(values, [False, *(column in _LOWER for name in benchmarks for column in measured[name]), False])
    return Table(header, rows, "lr", marks)


def _shown_columns(results: Sequence[ArmResult]) -> list[str]:
    """The columns of which a benchmark has any value."""
    return [column for column in _COLUMNS if any(_cell(result, column) != "–" for result in results)]


def _cell(result: ArmResult | None, column: str) -> str:
    if result is None:
        return "–"
    if column == "95 %":
        return "–" if result.interval is None else f"{100 * result.interval[0]:.1f}–{100 * result.interval[1]:.1f}"
    return number_cell(_value(result, column), _DIGITS.get(column, 0))


def _value(result: ArmResult | None, column: str) -> float | None:
    if result is None or column == "95 %":
        return None
    if column in ("problems", "clusters"):
        return result.problems if column == "problems" else result.clusters
    if column == "Pass@1, %":
        return None if result.passed is None else 100 * result.passed
    return result.tokens if column == "tokens" else seconds_of(result)


def seconds_of(result: ArmResult) -> float | None:
    """The paper's latency, wall time over samples, where a run knows it; else the mean of the requests."""
    return result.latency if result.latency is not None else result.seconds


def _published_cell(figure: PaperFigure | None, column: str) -> str:
    if figure is None or column in ("clusters", "95 %"):
        return ""
    known = {"problems": PROBLEMS[figure.benchmark], "Pass@1, %": figure.accuracy, "tokens": figure.tokens, "s": figure.latency}
    return number_cell(known[column], _DIGITS.get(column, 0))


def _marks(values: Sequence[Sequence[float | None]], lower: Sequence[bool]) -> dict[tuple[int, int], Mark]:
    """The best and the second value of each column with at least two different ones; equal values share a mark."""
    marks = dict[tuple[int, int], Mark]()
    for column, is_lower in enumerate(lower):
        found = {row: round(value, 6) for row, cells in enumerate(values) if (value := cells[column]) is not None}
        ranked = sorted(set(found.values()), reverse=not is_lower)
        if len(ranked) < 2:
            continue
        for row, value in found.items():
            if value in ranked[:2]:
                marks[row, column] = "best" if value == ranked[0] else "second"
    return marks


def difference_table(differences: Sequence[Difference], reference: str) -> Table:
    """Pass@1 of each arm minus the reference's, with its test, and the smallest difference that would have shown."""
    clustered = any(one.clusters is not None for one in differences)
    header = ["benchmark", "arm", "problems", *(["clusters"] if clustered else []), "seeds", f"minus {reference}, points"]
    header += ["95 % interval", "only it", f"only {reference}", "test", "p", "p (Holm)", "smallest that would show"]
    rows = [
        [
            one.benchmark,
            one.arm,
            f"{one.problems:,}",
            *([number_cell(one.clusters, 0)] if clustered else []),
            str(one.seeds[0]) if one.seeds[0] == one.seeds[1] else f"{one.seeds[1]} and {one.seeds[0]}",
            points(found["difference"]),
            _between(found["interval"], points),
            str(found["only_b"]),
            str(found["only_a"]),
            found["test"],
            f"{found['p']:.3g}",
            f"{found['p_holm']:.3g}",
            _smallest(one, found, lambda value: f"{100 * value:.1f}"),
        ]
        for one in differences
        for found in [one.passed]
    ]
    return Table(header, rows, "llrrrrlrrlrrr" if clustered else "llrrrlrrlrrr")


def token_table(differences: Sequence[Difference], reference: str) -> Table:
    """Tokens and seconds per answer of each arm minus the reference's."""
    header = [
        "benchmark",
        "arm",
        "per answer",
        f"minus {reference}",
        "95 % interval",
        "p (Wilcoxon)",
        "p (Holm)",
        "smallest that would show",
    ]
    rows = [
        [
            one.benchmark,
            one.arm,
            name,
            _signed(found["difference"], digits),
            _between(found["interval"], partial(_signed, digits=digits)),
            f"{found['p']:.3g}",
            f"{found['p_holm']:.3g}",
            _smallest(one, found, lambda value, digits=digits: f"{value:,.{digits}f}"),  # type: ignore[misc]
        ]
        for one in differences
        for name, found, digits in [("tokens", one.tokens, 0), ("seconds", one.seconds, 2)]
        if found
    ]
    return Table(header, rows, "lllrlrrr")


def points(share: float) -> str:
    """A difference of shares in points: +1.9"""
    return _signed(100 * share, 1)


def _signed(value: float, digits: int) -> str:
    """A number with its sign; never minus zero."""
    return f"{round(value, digits) + 0.0:+,.{digits}f}"


def _between(ends: Sequence[float], shown: Callable[[float], str]) -> str:
    return f"{shown(ends[0])} to {shown(ends[1])}" if all(map(math.isfinite, ends)) else "not known"


def _smallest(one: Difference, found: Mapping[str, Any], shown: Callable[[float], str]) -> str:
    """What would have shown: nothing on a single problem or cluster, and nothing is known of it where no pair differs."""
    if not math.isfinite(found["smallest_difference"]):
        return f"none: one {'problem' if one.clusters is None else 'cluster'}"
    return shown(found["smallest_difference"]) if found["smallest_difference"] else "–"


def outcome_table(arms: Sequence[Arm], benchmarks: Sequence[str], results: Results) -> Table:
    """How many attempts of each arm ended how, and the share that thought to the end where that is known."""
    found = [results[arm.name, name] for name in benchmarks for arm in arms if (arm.name, name) in results]
    used = [outcome for outcome in OUTCOMES if any(result.outcomes.get(outcome) for result in found)]
    thinks = any(result.thinking is not None for result in found)
    rows = [
        [
            result.benchmark,
            result.arm,
            *(f"{result.outcomes.get(outcome, 0):,}" for outcome in used),
            *([number_cell(None if result.thinking is None else 100 * result.thinking, 1)] if thinks else []),
        ]
        for result in found
    ]
    header = ["benchmark", "arm", *(OUTCOMES[outcome] for outcome in used), *(["thinking complete, % (VR)"] if thinks else [])]
    return Table(header, rows, "llr")


def budget_table(arms: Sequence[Arm], benchmark: str, results: Results, beside: Beside) -> Table | None:
    """Pass@1 by token budget (the paper's Figure 3), with the paper's where it has the same method and budget; None without budgets."""
    of = {arm.name: results[arm.name, benchmark] for arm in arms if (arm.name, benchmark) in results}
    budgets = sorted({point.budget for result in of.values() for point in result.budgets})
    if not budgets:
        return None
    rows = list[list[str]]()
    for name, result in of.items():
        passed = {point.budget: point.passed for point in result.budgets}
        rows.append([name, *(f"{100 * passed[budget]:.2f}" if budget in passed else "–" for budget in budgets)])
        same = {one.budget: one for one in beside[name, benchmark] if one.budget in budgets and one.accuracy is not None}
        if places := dict.fromkeys(f"{one.source}: {one.model}" for one in same.values()):
            cells = (number_cell(same[budget].accuracy if budget in same else None, 2) for budget in budgets)
            rows.append([f"{name}, the paper ({'; '.join(places)})", *cells])
    return Table(["arm", *(f"{budget:,}" for budget in budgets)], rows, "lr")
