"""`--support-floor` and `--gap` with a real (tiny) model: the floor holds, the numbers are those of the texts, a cut forgets it again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asap.cli import run
from asap.errors import UsageError
from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.decision import decision_from_row
from asap.prune.settings import AsapSettings
from asap.prune.support import support_of, support_request
from asap.sample import Sample
from run_fixtures import model_folder, prune, read_decisions, read_rows, row, same_output, write_rows


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(f"hf:{model_folder()}")


def sample_of(number: int, steps: int = 12) -> Sample:
    return Sample(**row(number, steps))


def support(scorer: Scorer, sample: Sample, trace: str) -> float:
    return support_of(scorer.score([support_request(scorer.tokens, sample, trace)])[0], sample)


@pytest.mark.parametrize("floor", [0.0, 0.0005, 0.002, 1.0])
def test_the_floor_holds_and_one_step_fewer_would_not(scorer: Scorer, floor: float) -> None:
    grades = set()
    for number in range(8):
        sample = sample_of(number)
        plain = Asap(scorer, AsapSettings(ratio=0.4)).prune(sample).decision
        pruned, decision = Asap(scorer, AsapSettings(ratio=0.4, support_floor=floor)).prune(sample)
        found = decision.floor
        assert found is not None
        assert found.full == support(scorer, sample, sample.cot)
        assert found.cut == support(scorer, sample, plain.apply(sample.cot))
        assert found.left == support(scorer, sample, pruned.cot) >= round(found.full - floor, 6)
        assert decision.tokens_after == scorer.tokens.count(pruned.cot)
        grades.add(found.grade)
        assert (found.grade == "holds") == (not found.back) == (found.cut >= round(found.full - floor, 6))
        assert (found.grade == "whole") == (pruned.cot == sample.cot)
        removed = sorted((step for step in plain.steps if not step.kept), key=lambda step: -step.rank)
        assert set(found.back) == {step.index for step in removed[: len(found.back)]}  # the last to go come back first
        assert set(found.coarse) == {step.index for step in plain.steps if step.removed_by == "coarse"} & set(found.back)
        if found.grade == "mended":
            back = set(found.back) - {removed[len(found.back) - 1].index}
            fewer = replace(plain, steps=[replace(step, kept=step.kept or step.index in back) for step in plain.steps])
            assert support(scorer, sample, fewer.apply(sample.cot)) < round(found.full - floor, 6)
        assert decision.without_floor().steps == [
            replace(step, kept=True, removed_by=None) if step.removed_by == "fine" and step.index in found.back else step
            for step in plain.steps
        ]
        assert decision_from_row(json.loads(json.dumps(decision.as_row()))) == decision
    assert grades == {"holds"} if floor == 1.0 else "holds" not in grades or len(grades) > 1


def test_a_run_with_a_floor_is_the_same_again_and_a_cut_forgets_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, 12) for number in range(6)])
    out = prune(source, tmp_path / "out", "--ratio", "0.4", "--support-floor", "0.0005")
    assert "floor    of the traces that were cut:" in capsys.readouterr().out
    assert any(decision["floor"]["back"] for decision in read_decisions(out))
    grades = json.loads((out / "manifest.json").read_text())["counts"]["floor_grades"]
    assert sum(grades.values()) == 6
    before = (out / "pruned.jsonl").read_bytes()
    prune(source, out, "--ratio", "0.4", "--support-floor", "0.0005")
    assert (out / "pruned.jsonl").read_bytes() == before
    prune(source, tmp_path / "plain", "--ratio", "0.4")
    assert run(["cut", str(out), "--ratio", "0.4", "--out", str(tmp_path / "cut")]) == 0
    same_output(tmp_path / "cut", tmp_path / "plain")
    assert run(["cut", str(out), "--ratio", "0.4", "--method", "random", "--out", str(tmp_path / "random")]) == 0
    assert not any("floor" in decision for decision in read_decisions(tmp_path / "random"))


def test_a_gap_stands_once_for_each_run_of_removed_steps(scorer: Scorer) -> None:
    for number in range(6):
        sample = sample_of(number)
        plain = Asap(scorer, AsapSettings(method="step-entropy", ratio=0.7)).prune(sample).decision
        pruned, decision = Asap(scorer, AsapSettings(method="step-entropy", ratio=0.7, gap="[SKIP]")).prune(sample)
        assert [step.rank for step in decision.steps] == [step.rank for step in plain.steps]
        kept = "".join("x" if step.kept else " " for step in decision.steps)
        parts = pruned.cot.split("\n\n")
        assert parts.count("[SKIP]") == len([run for run in kept.split("x") if run])
        steps = [sample.cot[step.start : step.end] for step in decision.steps if step.kept]
        assert [part for part in parts if part != "[SKIP]"] == steps
        assert decision.tokens_after == scorer.tokens.count(pruned.cot)
        assert decision.tokens_after <= (decision.budget or 0) or len(steps) == 1


def test_a_cut_of_a_run_with_gaps_is_a_fresh_run(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)])
    out = prune(source, tmp_path / "out", "--ratio", "0.9", "--gap", "[SKIP]")
    assert run(["cut", str(out), "--ratio", "0.5", "--out", str(tmp_path / "cut")]) == 0
    prune(source, tmp_path / "fresh", "--ratio", "0.5", "--gap", "[SKIP]")
    same_output(tmp_path / "cut", tmp_path / "fresh")
    assert run(["cut", str(out), "--ratio", "0.5", "--method", "keep-tail", "--out", str(tmp_path / "tail")]) == 0
    assert read_rows(tmp_path / "tail" / "pruned.jsonl")[0]["cot"].startswith("[SKIP]\n\n")


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in (
        {"support_floor": -0.1},
        {"support_floor": float("nan")},
        {"support_floor": 0.1, "method": "original"},
        {"support_floor": 0.1, "coarse_only": True},
        {"gap": "[SKIP]", "backfill": True},
        {"gap": "two\nlines"},
        {"gap": "</think>"},
    ):
        with pytest.raises(UsageError):
            AsapSettings(**wrong)  # type: ignore[arg-type]
