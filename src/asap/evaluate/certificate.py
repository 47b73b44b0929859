"""What a certificate says: which claim holds, in a sentence that can be quoted, and why none does."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asap.errors import UsageError
from asap.evaluate.certify import MOST_TRAININGS, ONE_SIDED, Certificate
from asap.evaluate.paired import differing_settings
from asap.evaluate.paired_run import PairedRun
from asap.tables import Table
from asap.versions import __version__

_DATA, _PAIR, _NOTHING = "this data", "this pair of models", "nothing"


def check_trainings(full: Sequence[PairedRun], pruned: Sequence[PairedRun]) -> None:
    """Raise UsageError where two runs are one evaluation, or name one model: neither is another training. The arms are of one setting."""
    runs = [*full, *pruned]
    digests = [run_digest(run.folder) for run in runs]
    for at, run in enumerate(runs):
        if digests[at] in digests[:at]:
            raise UsageError(f"{runs[digests.index(digests[at])].folder} and {run.folder} hold the same evaluation")
        same = next((other for other in runs[:at] if run.model is not None and other.model == run.model), None)
        if same is not None:
            raise UsageError(
                f"{same.folder} and {run.folder} are both of {run.model}; two evaluations of one training are no two trainings"
            )
        if differs := differing_settings(runs[0], run, but=("samples", "concurrency", "engine")):
            raise UsageError(
                f"{runs[0].folder} and {run.folder} differ in more than the training, which may be the reason for what is found: "
                f"{'; '.join(differs)}"
            )


def run_digest(path: Path) -> str:
    """The SHA-256 of what a run's results stand in: verdicts.jsonl, or the log."""
    files = (
        [path / "verdicts.jsonl"] if (path / "verdicts.jsonl").is_file() else [path] if path.is_file() else sorted(path.rglob("samples_*"))
    )
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def certificate(found: Sequence[Certificate], full: Sequence[PairedRun], pruned: Sequence[PairedRun]) -> dict[str, Any]:
    """The certificate of all benchmarks: each has to show it, so none needs a correction for their number."""
    several = min(len(full), len(pruned)) > 1
    claim = _NOTHING if not all(one.shown for one in found) else _DATA if several else _PAIR
    return {
        "asap": __version__,
        "certified": claim == _DATA,
        "claim": claim,
        "verdict": _verdict(found, claim, several),
        "margin": found[0].margin,
        "alpha": ONE_SIDED,
        "full": [_run(run) for run in full],
        "pruned": [_run(run) for run in pruned],
        "benchmarks": [asdict(one) for one in found],
    }


def _run(run: PairedRun) -> dict[str, Any]:
    settings = run.summary.get("settings", {})
    return {"run": str(run.folder), "model": run.model, "sha256": run_digest(run.folder), "settings": settings}


def _verdict(found: Sequence[Certificate], claim: str, several: bool) -> str:
    on = "; ".join(f"{one.benchmark}, {one.problems} problems: {_points(one)}" for one in found)
    margin = f"{100 * found[0].margin:g} points"
    if claim == _DATA:
        return f"Training on the pruned data is shown to be less than {margin} worse than on all of it ({on})."
    if claim == _PAIR:
        why = "one training of an arm says nothing about another, so this is not certified of the data"
        return f"Only of this pair of models is it shown that the pruned one is less than {margin} worse ({on}): {why}. {_with_more(found)}"
    lacking = next(one for one in found if not one.shown)
    if lacking.upper < -lacking.margin:
        return f"Not certified: on {lacking.benchmark} the pruned arm is shown to be more than {margin} worse ({on})."
    how = _how(lacking) if several else f"{_how(lacking)} {_with_more(found)}"
    return f"Not certified: that it is less than {margin} worse is not shown ({on}). {how}"


def _how(one: Certificate) -> str:
    """What would be needed to show it with as many trainings, or with more if it has some."""
    power = f"If there is no difference, {one.problems:,} problems of {one.benchmark} certify it {100 * one.power:.0f} times in 100"
    if one.needed == 1:
        return f"{power}."
    more = f"; {one.problems * one.needed:,} problems would 80 times" if one.needed else ", and no number of problems 80 times"
    if one.of_trainings is None:
        return f"{power}{more}."
    if not one.required:
        return f"{power}{more}{'' if one.needed else f', nor do {MOST_TRAININGS} trainings of each arm: take a larger margin'}."
    [plan] = one.required
    if plan.trainings <= min(one.trainings):
        return f"{power}{more}."
    link = " with these trainings, or" if one.needed else " with these trainings;"
    return f"{power}{more}{link} {plan.trainings} trainings of each arm on {plan.problems:,} problems would."


def _with_more(found: Sequence[Certificate]) -> str:
    """How many trainings the claim of the data needs, by the benchmark that needs most of them."""
    most = max(found, key=lambda one: (-len(one.required), [(plan.problems, plan.trainings) for plan in one.required]))
    if not most.required:
        return f"To certify the data, not even {MOST_TRAININGS} trainings of each arm would do: take a larger margin."
    needs = "; ".join(
        f"{plan.trainings} on {plan.problems:,} problems if trainings differ by {_in_points(plan.spread)}" for plan in most.required
    )
    return (
        f"To certify the data 80 times in 100 if there is no difference, {most.benchmark} needs trainings of each arm with other seeds: "
        f"{needs} (standard deviation)."
    )


def _in_points(share: float) -> str:
    return f"{100 * share:g} point{'s' * (share != 0.01)}"


def _points(one: Certificate) -> str:
    return f"{100 * one.difference:+.1f} points, 90 % interval {100 * one.bound:+.1f} to {100 * one.upper:+.1f}"


def certificate_markdown(found: Mapping[str, Any]) -> str:
    """The certificate for people: the verdict, the figures, and the runs."""
    header = [
        "benchmark",
        "problems",
        "trainings",
        "full",
        "pruned",
        "difference",
        "90 % interval",
        "s.e. problems",
        "s.e. trainings",
        "power",
    ]
    rows = [
        [
            one["benchmark"],
            str(one["problems"]),
            " and ".join(map(str, one["trainings"])),
            *(f"{100 * one[name]:.1f}" for name in ("full", "pruned")),
            f"{100 * one['difference']:+.1f}",
            f"{100 * one['bound']:+.1f} to {100 * one['upper']:+.1f}",
            f"{100 * one['of_problems']:.2f}",
            "–" if one["of_trainings"] is None else f"{100 * one['of_trainings']:.2f}",
            f"{one['power']:.2f}",
        ]
        for one in found["benchmarks"]
    ]
    runs = [[arm, run["run"], run["model"] or "–", run["sha256"][:16]] for arm in ("full", "pruned") for run in found[arm]]
    lines = [
        "# Certificate",
        "",
        f"**{found['verdict']}**",
        "",
        f"In points, margin {100 * found['margin']:g}; one-sided at {found['alpha']:g}.",
    ]
    lines += ["", Table(header, rows, "lr").markdown(), "", Table(["arm", "run", "model", "sha256"], runs, "l").markdown(), ""]
    lines += [f"The ends of the interval are one-sided 95 % bounds. asap {found['asap']}; the method: docs/statistics.md.", ""]
    return "\n".join(lines)
