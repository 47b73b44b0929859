"""The plan of the test of the bets: its rows and its rule. The test itself ran once, with the code of commit 963e159, and not here."""

import gzip
import json
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asap.cli import run
from run_fixtures import model_folder, row, write_rows

ROOT = Path(__file__).parents[1]
BET = "experiments.bets.coverage:score"


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def held_out(name: str) -> ModuleType:
    return import_module(f"experiments.held_out.{name}")


def plan() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((ROOT / "experiments" / "held_out" / "plan.json").read_text("utf-8"))
    return found


def test_the_rows_of_the_plan_are_the_rows_of_the_data() -> None:
    data = os.environ.get("ASAP_DATA")
    if not data:
        pytest.skip("ASAP_DATA is not set: that the held-out rows are those of the plan was NOT checked")
    rows = held_out("rows")
    code, maths = (rows.read_rows(Path(data) / "traces" / name) for name in ("kodcode_r1.jsonl.gz", "math_r1_qwq.jsonl.gz"))
    chosen = {"code": rows.code_rows(code), "maths": rows.maths_rows(maths)}
    assert {kind: [len(found), rows.digest(found)] for kind, found in chosen.items()} == plan()["rows"]
    used = {one["problem_id"] for one in rows.used_rows(code)}
    assert len(used) == 24
    assert len({one["problem_id"] for one in chosen["code"]} | used) == 69


def traces(count: int, kind: str) -> list[dict[str, Any]]:
    """Rows as the data has them: R1's code of problems, three of each, and the boxed results of two models."""
    thinking = "\n\n".join(["So the sum of two numbers."] * 180)
    if kind == "code":
        response = f"<think>\n{thinking}\n</think>\n```python\ndef add(a, b):\n    return a + b\n```"
        return [
            {"id": f"p{number}-{trial}", "problem_id": f"p{number}", "question": f"Add {number}.", "response": response + "\n" * trial}
            for number in range(count)
            for trial in range(3)
        ]
    shared = {"dataset": "gsm8k", "answer": "3+4 = <<3+4=7>>7\n#### 1,007"}
    box = "\\boxed{\\$1,007}"
    return [
        {**shared, "model": model, "question": f"What is {number}?", "response": f"<think>\nSo.\n\nThen {number}.\n</think>\nIt is {box}."}
        for number in range(count)
        for model in ("Qwen/QwQ-32B", "deepseek-ai/DeepSeek-R1")
    ]


def packed(path: Path, rows: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in rows)
    return path


def test_no_row_of_a_used_problem_and_no_wrong_answer_is_chosen() -> None:
    rows = held_out("rows")
    code = traces(60, "code")
    used, chosen = rows.used_rows(code), rows.code_rows(code)
    assert len(used) == 24
    assert len(chosen) == 36
    assert not {one["problem_id"] for one in used} & {one["problem_id"] for one in chosen}
    maths = traces(160, "maths")
    for number, one in enumerate(maths):
        if number % 32 == 0:
            one["response"] = one["response"].replace("1,007", "17")
    drawn = rows.maths_rows(maths)
    assert len({one["question"] for one in drawn}) == 150
    assert all("1,007" in one["response"] for one in drawn)
    assert drawn == rows.maths_rows(maths[::-1])


@pytest.mark.parametrize(
    ("boxed", "gold", "right"),
    [("18", "18", True), ("\\$18", "18", True), ("1,018", "1018", True), ("18.0", "18", True), ("81", "18", False), ("x", "18", False)],
)
def test_a_result_is_right_if_it_is_the_gold_number(boxed: str, gold: str, right: bool) -> None:
    response = f"<think>\\boxed{{18}}</think>It is \\boxed{{{boxed}}}."
    assert held_out("rows").is_right({"response": response, "answer": f"Well.\n#### {gold}"}) is right
    assert not held_out("rows").is_right({"response": "<think>\\boxed{18}</think>18", "answer": "#### 18"})


def judged(differences: Mapping[str, float], rows: int = 20) -> list[dict[str, Any]]:
    """Lines of judged.jsonl at one ratio; a method's support is its difference above a row's own."""
    noise = [0.001 * ((number * 7) % 5 - 2) for number in range(rows)]
    return [
        {
            "id": f"r{number}",
            "method": method,
            "ratio": 0.5,
            "measure": "support without copies",
            "value": -1 - number + more + noise[number],
        }
        for method, more in differences.items()
        for number in range(rows)
    ]


LEVEL = {"random": 0.0, "random-block": 0.001, "keep-tail": 0.0}


@pytest.mark.parametrize(
    ("bet", "others", "stays"),
    [
        (0.05, {}, True),
        (0.02, {}, False),  # shown, and too small
        (0.05, {"random-block": 0.03}, False),  # no better than a block by enough
        (0.05, {"keep-tail": 0.06}, False),
        (-0.05, {}, False),
    ],
)
def test_a_bet_stays_if_it_beats_both_controls_by_enough(bet: float, others: Mapping[str, float], stays: bool) -> None:
    decide = held_out("decide")
    lines = judged({**LEVEL, **others, BET: bet})
    for number, line in enumerate(line for line in lines if line["method"] == BET):
        line["value"] += 0.0005 * (number % 3)
    found = decide.verdicts(decide.values_of("code", lines), [BET])
    assert decide.staying(found) == ([BET] if stays else [])
    assert ("These bets stay" if stays else "No bet stays.") in decide.markdown(found)


def test_a_bet_that_is_worse_than_random_anywhere_goes() -> None:
    decide = held_out("decide")
    values = decide.values_of("code", judged({**LEVEL, BET: 0.05})) | decide.values_of("maths", judged({**LEVEL, BET: -0.05}))
    found = decide.verdicts(values, [BET])
    assert [one.passes for one in found] == [True, False]
    assert [one.is_worse for one in found] == [False, True]
    assert decide.staying(found) == []


def test_p_is_adjusted_over_all_bets_cells_and_references() -> None:
    decide = held_out("decide")
    values = decide.values_of("code", judged({**LEVEL, BET: 0.05}, rows=7))
    [alone] = decide.verdicts(values, [BET])
    many = decide.verdicts(values | decide.values_of("maths", judged({**LEVEL, BET: 0.0005}, rows=7)), [BET])
    assert alone.against["random"].p == pytest.approx(2 / 64)
    assert many[0].against["random"].p == pytest.approx(4 / 64), "four comparisons"


def test_a_row_without_a_value_ends_it() -> None:
    decide = held_out("decide")
    lines = judged({**LEVEL, BET: 0.05})
    with pytest.raises(ValueError, match="not complete"):
        decide.verdicts(decide.values_of("code", lines[:-1]), [BET])


def test_two_rows_of_one_problem_end_it() -> None:
    decide = held_out("decide")
    lines = [{**line, "cluster": "same"} for line in judged(LEVEL, rows=2)]
    with pytest.raises(ValueError, match="two rows of code are of one problem"):
        decide.values_of("code", lines)


def test_a_rehearsal_goes_on_where_it_was_and_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = held_out("run")
    small = {**plan(), "methods": ["random", "random-block", "keep-tail"], "bets": [BET], "scorer": f"hf:{model_folder()}"}
    (tmp_path / "plan.json").write_text(json.dumps({**small, "dtype": "float32"}))
    monkeypatch.setattr(script, "PLAN", tmp_path / "plan.json")
    monkeypatch.setattr(script, "compare", lambda *given: run(compared(script, *given)))
    words = [
        "--code",
        str(packed(tmp_path / "code.gz", traces(50, "code"))),
        "--maths",
        str(packed(tmp_path / "maths.gz", traces(5, "maths"))),
    ]
    monkeypatch.setattr("sys.argv", ["run", *words, "--out", str(tmp_path / "out"), "--judge", f"hf:{model_folder()}", "--rehearse"])
    assert script.main() == 0
    decision = (tmp_path / "out" / "decision.json").read_bytes()
    assert [(one["rows"], one["ratio"]) for one in json.loads(decision)["verdicts"]] == [
        (kind, ratio) for kind in ("code", "maths") for ratio in (0.5, 0.25)
    ]
    assert script.main() == 0
    assert (tmp_path / "out" / "decision.json").read_bytes() == decision


def compared(script: Any, kind: str, out: Path, plan: Mapping[str, Any], judge: str, device: str, ends: float | None) -> list[str]:
    """The words of the command, to run in this process."""
    words: list[str] = script.command(kind, out, plan, judge, device)
    return words


def test_scores_made_ahead_are_those_that_the_test_goes_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "gpu"))
    ahead, script = import_module("held_ahead"), held_out("run")
    monkeypatch.chdir(tmp_path)
    small = {**plan(), "methods": ["random", "random-block", "keep-tail", "spirit"], "bets": [BET], "scorer": f"hf:{model_folder()}"}
    Path("plan.json").write_text(json.dumps({**small, "dtype": "float32"}))
    monkeypatch.setattr(ahead, "PLAN", Path("plan.json"))
    packed(Path("code.gz"), traces(50, "code"))
    packed(Path("maths.gz"), traces(5, "maths"))
    monkeypatch.setattr("sys.argv", ["ahead", "--code", "code.gz", "--maths", "maths.gz", "--out", "out", "--device", "cpu", "--rehearse"])
    ahead.main()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line["scored"], line["rows"]) for line in said] == [
        (kind, name, 3) for kind in ("code", "maths") for name in ("asap", "spirit", BET)
    ]
    words = script.command("maths", Path("out"), {**small, "dtype": "float32"}, f"hf:{model_folder()}", "cpu")
    assert run(words) == 0
    assert capsys.readouterr().err.count("0 traces to score (3 of 3 were done before)") == 3


def test_it_stops_when_the_time_is_over(tmp_path: Path) -> None:
    script = held_out("run")
    write_rows(tmp_path / "code.jsonl", [row(1)])
    small = {**plan(), "methods": ["random", "random-block", "keep-tail"], "bets": [BET], "scorer": f"hf:{model_folder()}"}
    assert script.compare("code", tmp_path, small, f"hf:{model_folder()}", "cpu", 0.0) == script.STOPPED
    assert not (tmp_path / "decision.json").exists()


def test_other_code_or_rows_are_not_tested(tmp_path: Path) -> None:
    script = held_out("run")
    chosen = {"code": [row(1)]}
    name = held_out("rows").digest(chosen["code"])
    good = {**plan(), "rows": {"code": [1, name]}, "digests": script.digests("experiments/bets", "experiments/held_out")}
    script.check(good, chosen, tmp_path / "out")
    script.check(good, chosen, tmp_path / "out")
    with pytest.raises(SystemExit, match="rows are not those"):
        script.check({**good, "rows": {"code": [1, "other"]}}, chosen, tmp_path / "out")
    with pytest.raises(SystemExit, match=r"is not what plan\.json names"):
        script.check({**good, "digests": {}}, chosen, tmp_path / "out")
    (tmp_path / "out" / "started.json").write_text(json.dumps({"asap": {}, "commit": "abc"}))
    with pytest.raises(SystemExit, match="code of commit abc"):
        script.check(good, chosen, tmp_path / "out")
