"""The second test of scores: which rows it has, when a claim holds, and a run of it with a tiny model."""

import gzip
import importlib.util
import json
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from run_fixtures import model_folder

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module("experiments.second_test.run")


def plan(script: ModuleType) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(script.PLAN.read_text("utf-8"))
    return found


def trace(number: int, model: str, *, right: bool = True) -> dict[str, Any]:
    """A trace on a question of sums, as the data has them."""
    steps = "\n\n".join(f"So {number} + {place} is {number + place}." for place in range(1, 5))
    response = f"<think>\n{steps}\n</think>\n\nIt is \\boxed{{{number + 1 + (not right)}}}."
    return {
        "dataset": "gsm8k",
        "model": model,
        "question": f"What is {number} + 1?",
        "answer": f"One more.\n#### {number + 1}",
        "response": response,
    }


def traces() -> list[dict[str, Any]]:
    """154 questions, so four that the first test does not draw, with right traces of both teachers; one of the four has none of R1's."""
    qwq = [trace(number, "QwQ-32B") for number in range(154)]
    drawn = {row["question"] for row in import_module("experiments.held_out.rows").maths_rows(qwq)}
    wrong = next(number for number, row in enumerate(qwq) if row["question"] not in drawn)
    return [*qwq, *(trace(number, "deepseek-ai/DeepSeek-R1", right=number != wrong) for number in range(154))]


def test_the_rows_of_the_plan_are_the_rows_of_the_data(script: ModuleType) -> None:
    if not (data := os.environ.get("ASAP_DATA")):
        pytest.skip("ASAP_DATA is not set: that the rows of the second test are those of its plan was NOT checked")
    found = import_module("experiments.held_out.rows").read_rows(Path(data) / "traces" / "math_r1_qwq.jsonl.gz")
    rows = script.chosen(found)
    script.check(plan(script), rows)
    with pytest.raises(SystemExit, match="rows of qwq are not those"):
        script.check(plan(script), {"qwq": rows["qwq"][1:]})


def test_no_row_of_the_first_test_is_in_the_second(script: ModuleType) -> None:
    first = {row["question"] for row in import_module("experiments.held_out.rows").maths_rows(traces())}
    rows = script.chosen(traces())
    assert {row["question"] for row in rows["qwq"]} == {row["question"] for row in traces()} - first
    assert len({row["question"] for row in rows["qwq"]} - {row["question"] for row in rows["r1"]}) == 1
    assert all(row["gold"] == str(int(row["question"].split()[2]) + 1) for row in rows["r1"])
    assert {row["question"] for row in script.chosen(traces(), rehearse=True)["qwq"]} < first


def test_a_claim_holds_if_the_difference_is_shown_and_large_enough(script: ModuleType) -> None:
    def values(gain: float) -> dict[str, float]:
        return {str(row): gain + 0.001 * row for row in range(40)}

    found = {(teacher, "m", 0.5, method): values(gain) for teacher in script.TEACHERS for method, gain in (("a", 0.04), ("b", 0.0))}
    asked = {"method": "a", "against": "b", "ratio": 0.5, "measure": "m"}
    enough, too_little, wrong_way = (
        {**asked, "least": 0.03},
        {**asked, "least": 0.05},
        {**asked, "method": "b", "against": "a", "least": 0.0},
    )
    claims = script.claims(found, [enough, too_little, wrong_way])
    assert [claim.holds for claim in claims] == [True, False, False] * 2
    assert claims[0].came.p == pytest.approx(6 * 2**-39), "Wilcoxon's exact p of 40 rows that all agree, over six claims"
    del found["r1", "m", 0.5, "b"]["3"]
    with pytest.raises(ValueError, match="not judged on the same rows of r1"):
        script.claims(found, [enough])


@pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="MATH-VERIFY IS NOT INSTALLED: the extra math")
def test_it_is_run_decided_and_not_run_on_other_rows(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = script.chosen(traces())
    model = f"hf:{model_folder()}"
    small = {
        **plan(script),
        "rows": {teacher: [len(of), script.digest(of)] for teacher, of in rows.items()},
        "scorer": model,
        "dtype": "float32",
    }
    (tmp_path / "plan.json").write_text(json.dumps(small))
    monkeypatch.setattr(script, "PLAN", tmp_path / "plan.json")
    packed = tmp_path / "maths.jsonl.gz"
    with gzip.open(packed, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in traces())
    words = ["second", "--maths", str(packed), "--out", str(tmp_path / "out"), "--judge", model, "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*words, "--scores-only"])
    script.main()
    assert "r1: coverage scored on 3 rows, 0 rejected" in capfd.readouterr().out
    monkeypatch.setattr("sys.argv", words)
    script.main()
    assert capfd.readouterr().err.count("0 traces to score") == 4, "two runs of each teacher were made before"
    table = (tmp_path / "out" / "decision.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith(("| qwq", "| r1"))]
    assert len(lines) == 10
    assert {line.split("|")[5].strip() for line in lines} == {"4", "3"}
    capfd.readouterr()
    monkeypatch.setattr("sys.argv", ["second", "decide", str(tmp_path / "out")])
    script.main()
    assert capfd.readouterr().out.strip() == table.strip()
    (tmp_path / "plan.json").write_text(json.dumps({**small, "rows": plan(script)["rows"] | {"r1": [3, "other"]}}))
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="rows of r1 are not those"):
        script.main()
