"""Gathers a report from its runs: reads the arms, counts and packs their attempts, and compares them with the reference."""

from collections.abc import Sequence

from asap.errors import UsageError
from asap.report.arms import Arm, arms_by_text, read_arms
from asap.report.contents import ArmReport
from asap.report.figures import ArmResult, benchmarks_of, differences_of, result_of, unequal_benchmarks
from asap.report.generations import read_attempts_of
from asap.report.paper import TRAINING, cells_beside, paper_figures, tables_in


def make_report(
    words: Sequence[str],
    *,
    reference: str | None = None,
    cluster: str | None = None,
    paper: str | None = None,
    title: str | None = None,
) -> ArmReport:
    """The report on RUN arguments (`read_arms`). Raises InputError and UsageError."""
    cells = paper_figures(paper)
    arms = _reference_first(read_arms(words, cluster=cluster), reference)
    benchmarks = benchmarks_of(arms)
    attempts = read_attempts_of(arms, benchmarks)
    results = dict[tuple[str, str], ArmResult]()
    for arm in arms:
        for name in benchmarks:
            if (result := result_of(arm, name, attempts.outcomes(arm.name, name))) is not None:
                results[arm.name, name] = result
    differences, notes = differences_of(arms, arms[0])
    of_arms = arms_by_text((arm.name, note) for arm in arms for note in arm.notes)
    notes = [*(f"{names}: {note}" for note, names in of_arms.items()), *notes, *attempts.notes]
    says = [TRAINING[name] for name in tables_in(paper) if name in TRAINING]
    beside = {(arm.name, name): cells_beside(cells, name, arm.name, arm.models) for arm in arms for name in benchmarks}
    return ArmReport(
        title=title or _title(arms),
        arms=arms,
        benchmarks=benchmarks,
        cluster=cluster,
        results=results,
        unequal=unequal_benchmarks(arms),
        differences=differences,
        paper=cells,
        beside=beside,
        paper_says=says,
        attempts=attempts,
        notes=notes,
    )


def _reference_first(arms: list[Arm], reference: str | None) -> list[Arm]:
    if not arms:
        raise UsageError("name at least one run: an output folder of asap evaluate, asap score or asap train")
    if reference is None:
        return arms
    chosen = [arm for arm in arms if arm.name == reference]
    if not chosen:
        raise UsageError(f"--reference {reference}: the arms are {', '.join(arm.name for arm in arms)}")
    return [*chosen, *(arm for arm in arms if arm is not chosen[0])]


def _title(arms: Sequence[Arm]) -> str:
    if len(arms) == 1:
        return arms[0].name
    others = [arm.name for arm in arms[1:]]
    named = others[0] if len(others) == 1 else f"{', '.join(others[:-1])} and {others[-1]}"
    return f"{named} against {arms[0].name}" if len(others) < 4 else f"{len(others)} arms against {arms[0].name}"
