"""The experiments for a GPU, rehearsed with a tiny model: training and writing are those of the product, and each unit is done once."""

import gzip
import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import g5_experiment
import g5_rows
import g5_table
import g6_code
import g6_rows
import g7_on_cpu
import g7_oracle
import kept
import lab
import packed
import pytest
import rounds
import torch
import tuning
from experiments.oracle.generate import oracle_rows
from experiments.oracle.plan import FILE, Plan
from train_helpers import model_folder, row, steps_of, train_words, write_rows

from asap.cli import run
from asap.dataset.source import Source
from asap.evaluate.comparer import Comparer
from asap.lm.causal_lm import CausalLM
from asap.lm.hub import load_causal_lm
from asap.lm.specs import load_scorer
from asap.lm.write import write_tokens
from asap.prune.asap import Asap
from asap.run import prune_into
from asap.train.recipe import load_recipe
from asap.workers.local import InProcess

ARMS = ("random", "asap", "short-solutions")


def spec() -> str:
    return f"hf:{model_folder('qwen', 'qwen2')}"


def test_texts_written_in_rounds_are_those_of_the_product() -> None:
    lm = CausalLM(str(model_folder("qwen", "llama")), dtype="float32", device="cpu")
    prompts = [lm.tokens.input_ids(f"{'so ' * count}what is {count}?") for count in (3, 40, 17, 5, 8, 1)]
    [free] = write_tokens(lm, prompts[:1], 12)
    lm.__dict__["stop_ids"] = [free[9]]  # so that texts end at different places
    expected = write_tokens(lm, prompts, 60)
    assert len({len(text) for text in expected}) > 1, "all texts end at the same place"
    assert rounds.write(lm.model, prompts, 60, lm.stop_ids, at_once=4, round_=16) == expected


@pytest.mark.parametrize("micro_tokens", [64, 1 << 14])
def test_a_training_has_the_losses_of_asap_train(tmp_path: Path, micro_tokens: int) -> None:
    rows = [row(number, lines=2 + number % 3) for number in range(6)]
    changes = ("num_train_epochs=3", "effective_batch_size=6", "per_device_train_batch_size=2", "learning_rate=0.001", "bf16=false")
    assert run(train_words(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out", changes=changes)) == 0
    expected = steps_of(tmp_path / "out")
    trained = lab.Lab(f"hf:{model_folder('qwen')}", "cpu")
    model = load_causal_lm(str(model_folder("qwen")), dtype=torch.float32)
    recipe = tuning.Recipe(learning_rate=0.001, num_train_epochs=3, effective_batch_size=6)
    tuned = tuning.tune(model, trained.encoded(rows, 4096), recipe, 0, micro_tokens=micro_tokens)
    assert tuned.losses == pytest.approx([step["loss"] for step in expected], abs=2e-5)
    assert tuned.tokens == sum(step["tokens"] for step in expected)


def test_a_training_that_is_interrupted_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    trained = lab.Lab(spec(), "cpu")
    rows = trained.encoded([row(number, lines=2 + number % 3) for number in range(6)], 4096)
    recipe = tuning.Recipe(learning_rate=0.001, num_train_epochs=4, effective_batch_size=2)  # twelve steps
    whole = trained.train(rows, recipe, 0, lambda: True)
    expected = {name: value.clone() for name, value in trained.lm.model.state_dict().items()}
    trained.forget()
    file, steps = tmp_path / "training.pt", iter([True] * 8)
    with g7_on_cpu.Checkpoint(file, every=3):
        assert trained.train(rows, recipe, 0, lambda: next(steps, False)) is None
        assert len(torch.load(file)["losses"]) == 6, "eight steps were done, and every third is kept"
        with pytest.raises(SystemExit, match="belongs to another unit"):
            trained.train(rows, recipe, 1, lambda: True)
        assert trained.train(rows, recipe, 0, lambda: True) == whole
    assert not file.exists()
    assert all(torch.equal(value, expected[name]) for name, value in trained.lm.model.state_dict().items())


def test_all_arms_of_a_seed_see_the_rows_in_one_order() -> None:
    recipe = tuning.Recipe(learning_rate=1e-3, num_train_epochs=2, effective_batch_size=4)
    one, again, other = (list(tuning.batches(10, recipe, seed)) for seed in (0, 0, 1))
    assert one == again != other
    assert [len(batch) for batch in one] == [4, 4, 2, 4, 4, 2]
    assert sorted(place for batch in one[:3] for place in batch) == list(range(10))


def made_data(folder: Path) -> None:
    """Six rows with the arms of a rehearsal, and seven problems."""
    rows = []
    for number in range(6):
        trace = [f"So {number} + {place} is {number + place}." for place in range(4)]
        halves = {"random": trace[::2], "asap": trace[1::2], "short-solutions": trace[-1:]}
        arms = {
            arm: {"response": f"<think>\n{chr(10).join(steps)}\n</think>\n\nIt is \\boxed{{{number + 3}}}."}
            for arm, steps in halves.items()
        }
        rows.append({"id": f"r{number}", "question": f"What is {number} + 3?", "arms": arms})
    problems = [
        {"benchmark": name, "task_id": f"{name}/{number}", "question": f"What is {number} + 2?", "gold": str(number + 2)}
        for name, count in (("gsm8k:clean", 4), ("svamp", 3))
        for number in range(count)
    ]
    packed.write_xz(folder / g5_experiment.ROWS, rows)
    packed.write_xz(folder / g5_experiment.PROBLEMS, problems)


def g5(folder: Path, units: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of a rehearsal of these units."""
    words = ["--rehearse", "--model", spec(), "--device", "cpu", "--data", str(folder), "--out", str(folder / "g5.jsonl")]
    g5_experiment.run([*words, "--texts", str(folder / "texts.jsonl.gz"), "--units", *units])
    return [json.loads(line) for line in (folder / "g5.jsonl").read_text("utf-8").splitlines()]


def test_g5_is_rehearsed_resumed_and_told(tmp_path: Path) -> None:
    made_data(tmp_path)
    first = g5(tmp_path, ["random-0", "untrained-0"])
    assert [(line["arm"], line["seed"]) for line in first if line["what"] == "unit"] == [("random", 0), ("untrained", 0)]
    lines = g5(tmp_path, ["random-0", "untrained-0", *(f"{arm}-{seed}" for arm in ARMS for seed in (0, 1))])
    units = [line for line in lines if line["what"] == "unit"]
    assert [line for line in lines if "error" in line or line["what"] == "stopped"] == []
    assert sorted((line["arm"], line["seed"]) for line in units) == sorted(
        [("untrained", 0), *((arm, seed) for arm in ARMS for seed in (0, 1))]
    )
    for line in units:
        assert {*line["items"]["right"]} == {"6", "12", "18", "24"}
        assert all(len(found) == 7 for found in (*line["items"]["right"].values(), line["items"]["tokens"], line["items"]["nll"]))
        assert all(value > 0 for value in line["items"]["nll"])
    with gzip.open(tmp_path / "texts.jsonl.gz", "rt") as file:
        texts = [json.loads(line) for line in file]
    assert len(texts) == 7 * len(units)
    plan = {**g5_experiment.FIXED, "budgets": [6, 12, 18, 24], "code": "rehearsal"}
    told = g5_table.results(lines, plan)
    assert "| random | 2 |" in told
    assert "The control does not fire" in told
    assert "Primary" not in told


def line_of(arm: str, seed: int, share: float, problems: int = 400) -> dict[str, Any]:
    """The line of a unit that is right about this share, drawn by arm and seed."""
    chance = torch.Generator().manual_seed(hash_of(arm) + seed)
    right = "".join("01"[bool(one < share)] for one in torch.rand(problems, generator=chance))
    items = {"right": {"8": right}, "tokens": [5] * problems, "nll": [1.0] * problems}
    counts = {"accuracy": {"8": share}, "by_benchmark": {"b": {"8": share}}, "tokens_mean": 5, "ran_out": 0, "nll_mean": 1.0}
    return {"what": "unit", "plan": "p", "arm": arm, "seed": seed, **counts, "items": items, "rows": 10, "tokens": 1000}


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def test_without_its_control_g5_says_no_contrast_and_with_it_all() -> None:
    plan = {**g5_experiment.FIXED, "budgets": [8], "code": "p"}
    results = g5_table.results
    shares = {"random": 0.4, "asap": 0.41, "short-solutions": 0.41, "alignment": 0.6, "keep-tail": 0.4, "answer-only": 0.1}
    lines = [line_of(arm, seed, share) for arm, share in shares.items() for seed in (0, 1)]
    assert "blind" in results(lines, plan)
    assert "Primary" not in results(lines, plan)
    fired = [line for line in lines if line["arm"] != "short-solutions"] + [line_of("short-solutions", seed, 0.6) for seed in (0, 1)]
    told = results(fired, plan)
    assert "It fires." in told
    assert "Primary: asap minus random" in told
    assert told.count("| 0.000 | 0.000 |") == 2, "alignment and answer-only"
    assert "needs short-solutions and random" in results([line for line in lines if line["arm"] == "asap"], plan)
    with pytest.raises(ValueError, match="twice"):
        results([*lines, {**lines[0]}], plan)
    with pytest.raises(ValueError, match="of the plan other"):
        results([{**lines[0], "plan": "other"}], plan)


@pytest.mark.parametrize(
    ("text", "stopped", "right"),
    [
        ("<think>\n5\n</think>\n\nIt is \\boxed{7}.", "stop", True),
        ("<think>\n\\boxed{7}\n</think>\n\nIt is \\boxed{5}.", "stop", False),
        ("<think>\nSo \\boxed{7}", "length", False),
        ("It is 7.", "stop", True),
        ("It is 7", "length", False),
        ("", "stop", False),
    ],
)
def test_an_answer_of_g5_is_judged_as_asap_evaluate_does(text: str, stopped: str, right: bool) -> None:
    with Comparer.open(1, ("gsm8k",)) as comparer:
        assert g5_experiment.is_right(comparer, "7", text, stopped) == right


def test_a_recipe_is_that_of_asap_train_where_it_says_nothing() -> None:
    values, recipe = load_recipe("laptop"), tuning.Recipe(1e-4, 1, 8)
    assert recipe.min_lr_rate == values["lr_scheduler_kwargs"]["min_lr_rate"]
    assert values["lr_scheduler_type"] == "cosine_with_min_lr"
    assert (recipe.warmup_steps, recipe.max_grad_norm) == (values["warmup_steps"], values["max_grad_norm"])
    assert values["weight_decay"] == 0


def g7(folder: Path, *words: str) -> list[dict[str, Any]]:
    """The lines of a rehearsal."""
    out = folder / "g7.jsonl"
    g7_oracle.run(["--rehearse", "--model", spec(), "--device", "cpu", "--data", str(folder / "rows"), "--out", str(out), *words])
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_g7_is_rehearsed_resumed_and_told(tmp_path: Path) -> None:
    first = g7(tmp_path, "--units", "necessary-only-0", "asap-fine-0")
    lines = g7(tmp_path, "--units", "necessary-only-0", "random-0", "random-2-0")
    assert lines[: len(first)] == first
    units = [line for line in lines if line["what"] == "unit"]
    assert [line["arm"] for line in units] == ["necessary-only", "asap-fine", "random", "random-2"]
    assert all(len(line["by_program"]) == 6 and line["steps"] == 1 for line in units)
    plan = Plan.read(FILE)
    with pytest.raises(ValueError, match="of other code"):
        g7_oracle.table(lines, plan, json.loads(g7_oracle.PLAN.read_text("utf-8")))
    known = {"code": "rehearsal"}
    assert "the gate needs necessary-only 1" in g7_oracle.table(lines, plan, known)
    whole = [{**line, "seed": seed} for line in units for seed in (0, 1, 2)]
    assert "The instrument is blind" in g7_oracle.table(whole, plan, known)
    with pytest.raises(ValueError, match="necessary-only-0 is there twice"):
        g7_oracle.table([*whole, whole[0]], plan, known)


def test_the_shares_of_g7_are_all_units_once() -> None:
    plan = Plan.read(FILE)
    shares = [g7_oracle.share_of(plan, f"{mine}/4") for mine in range(4)]
    units = [unit for share in shares for unit in share]
    assert sorted(units) == sorted(g7_oracle.share_of(plan, "0/1")) == sorted((arm, seed) for arm in plan.arms for seed in plan.seeds[arm])
    assert {arm for arm, _ in shares[0]} == {"asap", "asap-fine", "alignment", "spirit"}


@pytest.mark.parametrize("experiment", [g5_experiment, g6_code])
def test_a_plan_is_of_the_code_that_is_here_and_of_what_is_fixed(experiment: ModuleType) -> None:
    plan = json.loads(experiment.PLAN.read_text("utf-8"))
    assert plan["code"] == packed.code_digest(*experiment.CODE), "the code changed: write the plan anew, and commit it, before a run"
    fixed = json.loads(json.dumps(experiment.FIXED))
    assert {name: plan[name] for name in fixed} == fixed


@pytest.mark.slow
def test_rows_and_arms_of_the_plans_are_those_of_the_data_and_of_what_is_kept(tmp_path: Path) -> None:
    if not (data := os.environ.get("ASAP_DATA")):
        pytest.skip("ASAP_DATA is not set: that the rows and arms of G5 and G6 are those of their plans was NOT checked")
    for rows, experiment, name in ((g5_rows, g5_experiment, "math_r1_qwq"), (g6_rows, g6_code, "kodcode_r1")):
        found = rows.chosen(packed.read_gz(Path(data) / "traces" / f"{name}.jsonl.gz"))
        folder = tmp_path / name
        folder.mkdir()
        (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), "utf-8")
        plan = json.loads(experiment.PLAN.read_text("utf-8"))
        problems = list(rows.problems())
        assert g5_rows.planned(folder, problems) == {name: plan[name] for name in ("rows", "problems")}
        g5_rows.check_clean(found, problems)
        marks = packed.read_lines(Path(kept.__file__).with_name(f"{experiment.PLAN.stem.removesuffix('_plan')}_kept.jsonl"))
        arms = g5_rows.written(folder, list(kept.packed_rows(found, marks, rows)), problems)["arms"]
        assert arms == plan["arms"]["arms"]


@pytest.mark.parametrize("rows", [g5_rows, g6_rows])
def test_arms_packed_by_what_is_kept_are_those_packed_by_scores(rows: ModuleType, tmp_path: Path) -> None:
    found = [
        {"id": f"r{number}", "question": row["question"], "response": row["response"], "gold": "1", "solution": f"So {number}.\n#### 1"}
        for number, row in enumerate(oracle_rows(4, 3, "r1"))
    ]
    write_rows(tmp_path / "rows.jsonl", found)
    prune_into(
        tmp_path / "asap", Source([str(tmp_path / "rows.jsonl")]), InProcess(Asap(load_scorer(spec(), dtype="float32"), g5_rows.settings()))
    )
    lines = list(kept.kept_lines(tmp_path, rows.CUT))
    assert all("0" in marks and "1" in marks for line in lines for marks in line["kept"].values())
    assert list(kept.packed_rows(found, lines, rows)) == list(g5_rows.packed_rows(tmp_path, None, rows.arms_of))
    with pytest.raises(SystemExit, match="these are other traces"):
        list(kept.packed_rows(found[1:], lines, rows))


def carry(*words: object) -> subprocess.CompletedProcess[str]:
    script = Path(g5_experiment.__file__).with_name("carry.sh")
    return subprocess.run([str(script), *map(str, words)], capture_output=True, text=True)


def test_a_file_is_carried_in_pieces_and_a_lost_one_is_told(tmp_path: Path) -> None:
    content = random.Random(3).randbytes(5 * 2**19)
    (tmp_path / "model.gguf").write_bytes(content)
    assert carry("split", tmp_path / "model.gguf", tmp_path / "pieces", 1).returncode == 0
    for number in ("00", "01", "02"):
        (tmp_path / "came").mkdir()
        shutil.copytree(tmp_path / "pieces" / number, tmp_path / "came" / number)
        assert carry("keep", tmp_path / "came", tmp_path / "store").returncode == 0
        shutil.rmtree(tmp_path / "came")
    assert carry("join", tmp_path / "store", tmp_path / "whole.gguf").returncode == 0
    assert (tmp_path / "whole.gguf").read_bytes() == content
    shutil.rmtree(tmp_path / "store" / "01")
    lost = carry("join", tmp_path / "store", tmp_path / "again.gguf")
    assert lost.returncode == 1
    assert "a piece is missing or damaged" in lost.stderr
    assert not (tmp_path / "again.gguf").exists()


def test_the_plan_of_g7_is_of_the_code_that_is_here() -> None:
    found = g7_oracle.named(Plan.read(FILE))
    assert json.loads(g7_oracle.PLAN.read_text("utf-8")) == found, "the code changed: write the plan anew before a run"


def test_g6_is_rehearsed_judged_in_the_sandbox_and_told(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"k{number}",
            "question": f"Write f{number}.",
            "arms": {arm: {"response": f"<think>\n{arm}\n</think>\n\n```python\npass\n```"}},
        }
        for number in range(4)
        for arm in ("random",)
    ]
    programs = [
        {
            "task_id": f"T/{number}",
            "prompt": f"def f{number}():\n",
            "entry_point": f"f{number}",
            "canonical_solution": f"    return {number}\n",
        }
        | {"test": f"def check(candidate):\n    assert candidate() == {number}\n"}
        for number in range(3)
    ]
    file = write_rows(tmp_path / "problems.jsonl", programs)
    problems = [
        {"benchmark": f"humaneval:{file}", "task_id": one["task_id"], "question": f"Write {one['entry_point']}."} for one in programs
    ]
    packed.write_xz(tmp_path / g6_code.ROWS, rows)
    packed.write_xz(tmp_path / g6_code.PROBLEMS, problems)
    out, texts = tmp_path / "g6.jsonl", tmp_path / "texts.jsonl.gz"
    words = ["--rehearse", "--model", spec(), "--device", "cpu", "--data", str(tmp_path), "--out", str(out), "--texts", str(texts)]
    g6_code.run([*words, "--units", "untrained-0", "random-0"])
    units = [line for line in packed.read_lines(out) if line["what"] == "unit"]
    assert [line["arm"] for line in units] == ["untrained", "random"]
    written = packed.read_gz(texts)
    solved = {**written[0], "generation": "```python\ndef f0():\n    return 0\n```", "stopped_by": "stop"}
    texts.unlink()
    packed.append_gz(texts, [solved, *written[1:]])
    g6_code.judge([str(texts), "--out", str(tmp_path / "judged")])
    told = g6_code.table(packed.read_lines(out), tmp_path / "judged")
    assert "| untrained | 1 | 33.3 |" in told
    assert "| random | 1 | 0.0 |" in told
    assert "It can show harm, not a ranking" in told
