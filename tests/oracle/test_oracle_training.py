"""The training arms at miniature size: a tiny random model, 8 rows, one step; and the gate by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from experiments.oracle.arms import ARMS, CONTROLS, NOTHING, read_sample, write_arm
from experiments.oracle.attempts import is_right, read_rows
from experiments.oracle.generate import oracle_rows
from experiments.oracle.hours import hours_table
from experiments.oracle.plan import FILE, Plan, code_digest
from experiments.oracle.results import BLIND, Result, difference, results_table
from experiments.oracle.surface import steps_of
from experiments.oracle.train import FIXED, Unit, results, rows_in, run, unit_of
from train_helpers import model_folder

from asap.errors import InputError
from asap.prune.methods import METHODS

TINY = replace(
    FIXED,
    arms=("necessary-only", "random", "random-2"),
    seeds=dict.fromkeys(("necessary-only", "random", "random-2"), (0,)),
    train_rows=8,
    test_rows=6,
    recipe={**FIXED.recipe, "bf16": False, "num_train_epochs": 1, "disable_tqdm": True},
    max_new_tokens=4,
    batch=4,
)


@pytest.fixture(scope="module")
def tiny() -> Plan:
    return replace(TINY, model=f"hf:{model_folder('qwen')}")


def unit(plan: Plan, out: Path, arm: str) -> Unit:
    return unit_of(plan, rows_in(plan, out), arm, 0, out)


def test_the_whole_is_resumed_and_ends_with_the_gate(tiny: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tiny, tmp_path, tiny.arms[:1])
    assert (
        results_table(results(tiny, tmp_path), tiny.seeds, tiny.gate) == "1 of 3 trainings are done; the gate needs random 0, random-2 0."
    )
    first = unit(tiny, tmp_path, "necessary-only")
    written = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*") if path.is_file()}
    assert not [path for path in written if path.suffix == ".safetensors"], "weights are deleted once the answers are there"
    run(tiny, tmp_path, tiny.arms)
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*") if path.is_file()} == written
    found = results(tiny, tmp_path)
    assert [(one.arm, len(one.by_program)) for one in found] == [(arm, 6) for arm in tiny.arms]
    assert found[0].unfinished == 1  # four tokens are not enough
    assert found[0].right == 0
    assert BLIND in results_table(found, tiny.seeds, tiny.gate)
    assert "finished; nothing was trained" not in capsys.readouterr().err


def test_lost_answers_of_a_batch_are_written_again(tiny: Plan, tmp_path: Path) -> None:
    run(tiny, tmp_path, ["random"])
    found = unit(tiny, tmp_path, "random")
    batches = sorted((found.folder / "attempts").iterdir())
    assert [batch.name for batch in batches] == ["00000.json", "00004.json"]
    before = batches[0].stat().st_mtime_ns
    assert [one["id"] for one in json.loads(batches[1].read_text())] == ["oracle-202-4", "oracle-202-5"]
    found.result.unlink()
    run(tiny, tmp_path, ["random"])  # all batches are there, so no weights are needed
    assert batches[0].stat().st_mtime_ns == before
    assert found.result.is_file()


def test_each_arm_keeps_what_it_says(tiny: Plan, tmp_path: Path) -> None:
    rows = rows_in(tiny, tmp_path)
    original = read_rows(rows / "train.jsonl")
    traces = dict[str, list[list[str]]]()
    for arm in ARMS:
        write_arm(arm, rows / "train.jsonl", rows / "scores", tiny.model, rows / f"{arm}.jsonl")
        found = read_rows(rows / f"{arm}.jsonl")
        assert [row["id"] for row in found] == [row["id"] for row in original]
        assert [read_sample(row).answer for row in found] == [read_sample(row).answer for row in original]
        traces[arm] = [steps_of(row) for row in found]
    for place, row in enumerate(original):
        steps = steps_of(row)
        assert traces["original"][place] == steps
        assert traces["answer-only"][place] == [NOTHING]
        necessary = [text for text, label in zip(steps, row["labels"], strict=True) if label == "necessary"]
        assert traces["necessary-only"][place] == necessary
        assert len(traces["necessary-removed"][place]) == len(steps) - len(necessary)
        for arm in (*CONTROLS, "asap", "asap-fine", "alignment", "spirit"):
            assert 0 < len("".join(traces[arm][place])) < 0.62 * len("".join(steps)), arm
        assert traces["keep-tail"][place] == steps[-len(traces["keep-tail"][place]) :]
    assert traces["random"] != traces["random-2"]
    assert {name for name, _ in CONTROLS.values()} < {*METHODS}


def test_hours_name_every_arm(tiny: Plan, tmp_path: Path) -> None:
    table = hours_table(tiny, rows_in(tiny, tmp_path), {"train": 100.0, "write": 50.0})
    assert [row[0] for row in table.rows] == [*tiny.arms, "all"]
    assert float(table.rows[0][1]) > 100


def test_a_plan_of_other_code_is_refused(tmp_path: Path) -> None:
    FIXED.write(tmp_path / "plan.json")
    plan = Plan.read(tmp_path / "plan.json")
    assert plan == Plan(**json.loads(json.dumps({**json.loads((tmp_path / "plan.json").read_text()), "code": code_digest()})))
    (tmp_path / "plan.json").write_text((tmp_path / "plan.json").read_text().replace(code_digest(), "0" * 16))
    with pytest.raises(InputError, match="was made with other code"):
        Plan.read(tmp_path / "plan.json")


def test_the_committed_plan_is_what_the_issue_fixed() -> None:
    plan = json.loads(FILE.read_text("utf-8"))
    assert plan["arms"] == list(ARMS)
    assert (plan["train_rows"], plan["test_rows"], plan["recipe"]["num_train_epochs"], plan["gate"]) == (1200, 500, 2, 0.08)
    assert sum(len(seeds) == 3 for arm, seeds in plan["seeds"].items() if arm != "random-2") == 6
    assert plan["train_seed"] != plan["test_seed"]


def test_no_test_program_is_a_training_program() -> None:
    train, test = ({row["question"] for row in oracle_rows(100, seed, "r1")} for seed in (FIXED.train_seed, FIXED.test_seed))
    assert train.isdisjoint(test)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<think>\nc = 1.\n</think>\n\nThe final answer is \\boxed{42}", True),
        ("<think>\n\\boxed{42}\n</think>\n\nThe final answer is \\boxed{41}", False),
        ("<think>\n\\boxed{42}\n", False),
        ("<think>\nc = 1.\n</think>\n\nThe final answer is 42", False),
        ("The final answer is \\boxed{42}", True),
        ("", False),
    ],
)
def test_an_attempt_is_right_if_its_last_box_behind_the_thinking_is(text: str, right: bool) -> None:
    assert is_right(text, {"printed": "42"}) == right


def made(arm: str, seed: int, share: float, programs: int = 400) -> Result:
    right = np.random.default_rng(seed).permutation(np.arange(programs) < share * programs)
    return Result(arm, seed, share, right.tolist(), 100, 0, 300, 150)


def test_the_gate_by_hand() -> None:
    passed = [
        *(made("necessary-only", seed, 0.6) for seed in (1, 2)),
        *(made("random", seed, 0.4) for seed in (3, 4)),
        made("random-2", 5, 0.2),
    ]
    said = results_table(passed, seeds_of(passed), 0.08)
    assert "Passed" in said
    assert "| random | 3 | 33.3 |" in said
    close = [made("necessary-only", 1, 0.47), made("random", 2, 0.40)]
    said = results_table(close, seeds_of(close), 0.08)
    assert BLIND in said
    assert "|" not in said


def seeds_of(found: list[Result]) -> dict[str, list[int]]:
    return {arm: [one.seed for one in found if one.arm == arm] for arm in {one.arm for one in found}}


def test_an_interval_holds_the_difference_and_shrinks_with_programs() -> None:
    few, many = (
        difference(*(np.array([made("a", seed, share, size).by_program], float) for seed, share in ((1, 0.6), (2, 0.4))))
        for size in (50, 1000)
    )
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
