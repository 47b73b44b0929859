"""What G5's lines say, read as its plan fixes: the gate first, and no contrast without it; then the primary one, then the others by Holm.

Intervals are bootstrapped over problems and seeds together. p is Wilcoxon's on each problem's difference of means over the seeds that both
arms have: it does not cover other seeds, the intervals do as far as there are several.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from experiments.oracle.results import Difference, difference
from numpy.typing import NDArray
from packed import Row, read_lines

from asap.stats import holm, wilcoxon
from asap.tables import Table

Values = Mapping[str, NDArray[np.float64]]
"""By arm: a value for each seed and problem."""


class Contrast(NamedTuple):
    """An arm minus another: the difference of accuracies at the largest budget, and p."""

    arm: str
    against: str
    seeds: int
    gap: Difference
    p: float


def tell(files: Sequence[Path], plan: Mapping[str, Any]) -> None:
    """Print the results in the files."""
    print(results([line for file in files for line in read_lines(file)], plan))


def results(lines: Sequence[Row], plan: Mapping[str, Any]) -> str:
    """The tables in Markdown. Raises ValueError for lines of another plan, of a unit twice, or of other problems."""
    units = units_of(lines, plan["code"])
    if not units:
        return "No unit is done yet."
    right = values_of(units, lambda line: [int(one) for one in line["items"]["right"][str(max(plan["budgets"]))]])
    parts = [arms_table(units, plan["budgets"]).markdown(), "", nll_note(units), ""]
    gate = plan["gate"]
    if not {gate["arm"], gate["against"]} <= right.keys():
        return "\n".join([*parts, f"The gate needs {gate['arm']} and {gate['against']}: no contrast is read yet."])
    control = contrast(right, gate["arm"], gate["against"])
    parts.append(f"Gate: {said(control)}; {gate['points']} points or more either way, with an interval that leaves 0 out, are asked for.")
    if not fires(control.gap, gate["points"]):
        return "\n".join([*parts, "The control does not fire: the instrument is blind at this size, and no contrast is read."])
    return "\n".join([*parts, "It fires.", "", *contrasts(right, plan)])


def fires(gap: Difference, points: float) -> bool:
    """Whether training on something known to differ is seen."""
    return 100 * abs(gap.mean) >= points and not gap.low <= 0 <= gap.high


def units_of(lines: Sequence[Row], code: str) -> dict[tuple[str, int], Row]:
    """The lines of units by arm and seed."""
    found = dict[tuple[str, int], Row]()
    for line in lines:
        if line["what"] != "unit":
            continue
        if line["plan"] != code:
            raise ValueError(f"{line['arm']}-{line['seed']} is of the plan {line['plan']}, not of {code}")
        if found.setdefault((line["arm"], line["seed"]), line) is not line:
            raise ValueError(f"{line['arm']}-{line['seed']} is there twice")
    return found


def values_of(units: Mapping[tuple[str, int], Row], value: Any) -> Values:
    """A value of each problem, by arm, in the order of the seeds."""
    arms = dict.fromkeys(arm for arm, _ in units)
    return {arm: np.asarray([value(units[unit]) for unit in sorted(units) if unit[0] == arm], dtype=float) for arm in arms}


def contrast(values: Values, arm: str, against: str) -> Contrast:
    """An arm minus another."""
    one, other = values[arm], values[against]
    seeds = min(len(one), len(other))
    by_problem = one[:seeds].mean(axis=0) - other[:seeds].mean(axis=0)
    return Contrast(arm, against, seeds, difference(one, other), wilcoxon([round(float(gap), 9) for gap in by_problem]))


def said(one: Contrast) -> str:
    """A contrast in words."""
    return f"{one.arm} minus {one.against} is {one.gap} points ({one.seeds} seed{'s' if one.seeds > 1 else ''})"


def contrasts(right: Values, plan: Mapping[str, Any]) -> list[str]:
    """The primary contrast with its equivalence, then the secondary ones."""
    primary, margin, found = plan["primary"], plan["primary"]["equivalence_points"], list[str]()
    if primary["arm"] in right:
        main = contrast(right, primary["arm"], primary["against"])
        within = -margin < 100 * main.gap.low and 100 * main.gap.high < margin
        shown = "a difference is shown" if main.p < 0.05 and not main.gap.low <= 0 <= main.gap.high else "no difference is shown"
        equal = f"the two are {'equivalent' if within else 'not shown to be equivalent'} within {margin} points"
        found += [f"Primary: {said(main)}, p {main.p:.3f}: {shown}, and {equal}.", ""]
    others = [contrast(right, arm, primary["against"]) for arm in plan["secondary"] if arm in right]
    rows = [
        [one.arm, str(one.seeds), str(one.gap), f"{one.p:.3f}", f"{adjusted:.3f}"]
        for one, adjusted in zip(others, holm([one.p for one in others]), strict=True)
    ]
    table = Table(["secondary", "seeds", f"minus {primary['against']}", "p", "p (Holm)"], rows, "lr")
    return [*found, table.markdown()] if others else found


def arms_table(units: Mapping[tuple[str, int], Row], budgets: Sequence[int]) -> Table:
    """A row for each arm: accuracy at each budget and by benchmark, what was written, what was trained."""
    names = list(next(iter(units.values()))["by_benchmark"])
    header = [
        "arm",
        "seeds",
        *(f"right % at {budget}" for budget in budgets),
        *names,
        "written",
        "ran out %",
        "-log p of gold",
        "trained tokens a row",
    ]
    rows = list[list[str]]()
    for arm in dict.fromkeys(arm for arm, _ in units):
        mine = [line for (name, _), line in sorted(units.items()) if name == arm]
        cells = [100 * mean([line["accuracy"][str(budget)] for line in mine]) for budget in budgets]
        cells += [100 * mean([line["by_benchmark"][name][str(max(budgets))] for line in mine]) for name in names]
        problems = len(mine[0]["items"]["tokens"])
        costs = [f"{mean([line['tokens_mean'] for line in mine]):.0f}", f"{100 * mean([line['ran_out'] for line in mine]) / problems:.1f}"]
        epochs = [line["tokens"] / line["rows"] for line in mine if "rows" in line]
        trained = f"{mean(epochs):.0f}" if epochs else ""
        rows.append(
            [arm, str(len(mine)), *(f"{cell:.1f}" for cell in cells), *costs, f"{mean([line['nll_mean'] for line in mine]):.3f}", trained]
        )
    return Table(header, rows, "lr")


def nll_note(units: Mapping[tuple[str, int], Row]) -> str:
    """The continuous measure of the primary contrast."""
    nll = values_of(units, lambda line: line["items"]["nll"])
    if not {"asap", "random"} <= nll.keys():
        return ""
    gap = difference(nll["asap"], nll["random"])
    about = f"{gap.mean:+.3f} nats [{gap.low:+.3f}, {gap.high:+.3f}]"
    return f"-log p of the gold number behind the model's own thinking: asap minus random {about}."


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return float(np.mean(values))
