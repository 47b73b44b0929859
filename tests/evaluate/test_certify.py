"""Certificates: the claim that holds, why none does, and by hand what the bound is. benchmarks/certify.py measures how often it errs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from evaluate_helpers import write_rows

from asap.cli import run
from asap.errors import UsageError
from asap.evaluate.certificate import certificate, check_trainings
from asap.evaluate.certify import both_errors, certified, power_of
from asap.evaluate.paired_run import PairedRun, read_run
from asap.intervals import Mean, mean_difference, student_quantile


def trainings(folder: Path, arm: str, count: int, problems: int, share: float = 0.5) -> list[Path]:
    random = np.random.default_rng([*arm.encode()])
    paths = list[Path]()
    for number in range(count):
        right = random.random(problems) < share
        paths.append(write_rows(folder / f"{arm}{number}.jsonl", [{"id": i, "passed": bool(one)} for i, one in enumerate(right)]))
    return paths


def of(paths: list[Path]) -> list[PairedRun]:
    return [read_run(path) for path in paths]


def test_the_bound_by_hand(tmp_path: Path) -> None:
    full, pruned = of(trainings(tmp_path, "full", 2, 50)), of(trainings(tmp_path, "pruned", 3, 50))
    [found] = certified(full, pruned, 0.1)
    shares = [np.array([run.benchmarks["log"].shares[str(i)] for i in range(50)]) for run in (*full, *pruned)]
    differences = sum(shares[2:]) / 3 - sum(shares[:2]) / 2
    of_problems = mean_difference([float(one) for one in differences]).standard_error
    means = [one.mean() for one in shares]
    squares = np.var(means[:2]) * 2 + np.var(means[2:]) * 3
    of_trainings = math.sqrt(squares / 3 * (1 / 2 + 1 / 3))
    variance = of_problems**2 + of_trainings**2
    freedom = variance**2 / (of_problems**4 / 49 + of_trainings**4 / 3)
    assert (found.of_problems, found.of_trainings) == pytest.approx((of_problems, of_trainings))
    assert found.bound == pytest.approx(differences.mean() - student_quantile(0.95, freedom) * math.sqrt(variance))


def test_the_claim_is_of_the_data_only_with_several_trainings(tmp_path: Path) -> None:
    paths = [trainings(tmp_path, arm, 3, 400) for arm in ("full", "pruned")]
    words = [word for arm, found in zip(("--full", "--pruned"), paths, strict=True) for path in found for word in (arm, str(path))]
    out = tmp_path / "out"
    assert run(["certify", *words, "--margin", "30", "--out", str(out)]) == 0
    said = json.loads((out / "certificate.json").read_text())
    assert (said["certified"], said["claim"]) == (True, "this data")
    assert "less than 30 points worse than on all of it (log, 400 problems:" in (out / "certificate.md").read_text()
    before = (out / "certificate.json").read_bytes()
    assert run(["certify", *words, "--margin", "30", "--out", str(out)]) == 0
    assert (out / "certificate.json").read_bytes() == before
    one = certificate(certified(of(paths[0][:1]), of(paths[1]), 0.3), of(paths[0][:1]), of(paths[1]))
    assert (one["certified"], one["claim"]) == (False, "this pair of models")
    assert run(["certify", "--full", str(paths[0][0]), "--pruned", str(paths[1][0]), "--margin", "30"]) == 1
    assert "needs trainings of each arm with other seeds: 2 on 400 problems if trainings differ by 0.5 points; " in one["verdict"]


def test_too_few_problems_show_nothing_even_where_all_answers_agree(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path / f"{n}.jsonl", [{"id": i, "passed": True, "run": n} for i in range(30)]) for n in range(4)]
    found = certificate(certified(of(paths[:2]), of(paths[2:]), 0.02), of(paths[:2]), of(paths[2:]))
    assert (found["certified"], found["claim"]) == (False, "nothing")
    assert "problems would 80 times" in found["verdict"]


def test_a_worse_arm_is_said_to_be_worse(tmp_path: Path) -> None:
    full, pruned = of(trainings(tmp_path, "full", 2, 500, 0.9)), of(trainings(tmp_path, "pruned", 2, 500, 0.2))
    found = certificate(certified(full, pruned, 0.02), full, pruned)
    assert found["verdict"].startswith("Not certified: on log the pruned arm is shown to be more than 2 points worse")


def test_what_is_no_other_training_is_refused(tmp_path: Path) -> None:
    [path] = trainings(tmp_path, "full", 1, 5)
    with pytest.raises(UsageError, match="hold the same evaluation"):
        check_trainings(of([path]), of([path]))
    [other] = trainings(tmp_path, "pruned", 1, 5)
    same = [PairedRun(one.folder, one.benchmarks, model="hf:m") for one in of([path, other])]
    with pytest.raises(UsageError, match="are both of hf:m; two evaluations of one training are no two trainings"):
        check_trainings(same[:1], same[1:])
    assert run(["certify", "--full", str(path), "--pruned", str(other), "--margin", "0"]) == 2


def test_how_many_trainings_are_needed_holds_by_the_same_formula(tmp_path: Path) -> None:
    paths = [trainings(tmp_path, arm, count, 100) for arm, count in (("full", 2), ("pruned", 2), ("one", 1))]
    full, pruned, one = map(of, paths)
    [several], [single] = certified(full, pruned, 0.05), certified(full, one, 0.05)
    assert several.of_trainings is not None
    assert [plan.spread for plan in single.required] == [0.005, 0.01, 0.02]
    assert [plan.spread for plan in several.required] == pytest.approx([several.of_trainings])  # times the root of 1/2 + 1/2
    for found in (several, single):
        for plan in found.required:
            of_problems = found.of_problems / math.sqrt(plan.problems / found.problems)
            powers = [
                power_of(both_errors(Mean(0, of_problems, 99 * plan.problems / 100), plan.spread * math.sqrt(2 / n), 2 * n - 2), 0.05)
                for n in (plan.trainings - 1, plan.trainings)
                if n > 1
            ]
            assert powers[-1] >= 0.8
            assert all(power < 0.8 for power in powers[:-1])
    said = certificate([several], full, pruned)["verdict"]
    [plan] = several.required
    assert f"{plan.trainings} trainings of each arm on {plan.problems:,} problems would." in said
