"""The counts of every manifest and summary add up: every row that was read is in one of them, once, and in one of the files."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asap.cli import run
from run_fixtures import model_folder, read_rows, row, write_rows

SCORER = f"hf:{model_folder()}"
LONG = {**row(30, steps=400), "id": "long"}
NO_THOUGHTS = {"id": "plain", "question": "What is 1?", "answer": "It is 1."}
CODE = "```python\ndef f(x):\n    return x + 1\n```"
PROBLEM = {"prompt": "def f(x):\n", "entry_point": "f", "test": "def check(candidate):\n    assert candidate(1) == 2\n"}
PROBLEM["canonical_solution"] = "    return x + 1\n"


def record(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that are cut, stay whole, pass through, are rejected for several reasons, share an id, and are filtered."""
    rows: list[Any] = [{**row(number, steps=1 + number), "level": number % 4} for number in range(12)]
    rows += [
        {**row(3), "level": 1},
        {**NO_THOUGHTS, "level": 1},
        {**LONG, "level": 1},
        "no JSON",
        {"id": "half", "question": "?", "level": 1},
    ]
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", rows)


def check_folder(folder: Path, read: int) -> None:
    """The sums in the manifest of pruned rows, and those of its files."""
    counts = record(folder / "manifest.json")["counts"]
    traces, passed, filtered = counts["pruned"] + counts["unchanged"], counts.get("passed", 0), counts.get("filtered", 0)
    assert counts["rows"] == traces + passed + counts["rejected"]
    assert counts["rows"] + filtered == read
    assert sum(counts["rejected_by"].values()) == counts["rejected"]
    assert sum(counts.get("passed_by", {}).values()) == passed
    assert sum(counts["histogram_before"].values()) == sum(counts["histogram_after"].values()) == traces
    assert sum(counts["coarse_by"].values()) == traces
    assert len(read_rows(folder / "pruned.jsonl")) == traces + passed
    rejected = Counter(one["reason"] for one in read_rows(folder / "rejected.jsonl"))
    assert rejected == Counter(counts["rejected_by"])
    decided = [one for one in read_rows(folder / "decisions.jsonl") if "passed" not in one]
    assert len(decided) == traces
    for name in ("tokens_before", "tokens_coarse", "tokens_after"):
        assert sum(one[name] for one in decided) == counts[name]
    steps = [step for one in decided for step in one["steps"]]
    assert len(steps) == counts["steps"]
    for stage in ("coarse", "fine"):
        assert sum(step["removed_by"] == stage for step in steps) == counts[f"steps_{stage}"]


def test_of_prune_cut_and_merge(source: Path, tmp_path: Path) -> None:
    read, common = 17, ["--scorer", SCORER, "--pass-through"]
    for name, options in (
        ("asap", ["--ratio", "0.5"]),
        ("where", ["--ratio", "0.5", "--where", "level=1"]),
        ("control", ["--method", "keep-tail", "--budget", "60"]),
    ):
        assert run(["prune", str(source), "--out", str(tmp_path / name), *common, *options]) == 0
        check_folder(tmp_path / name, read)
    assert run(["cut", str(tmp_path / "asap"), "--ratio", "0.3", "--out", str(tmp_path / "cut")]) == 0
    check_folder(tmp_path / "cut", read)
    shards = [str(tmp_path / f"shard-{index}") for index in range(3)]
    for index, shard in enumerate(shards):
        assert run(["prune", str(source), "--out", shard, *common, "--method", "keep-tail", "--ratio", "0.5", "--shard", f"{index}/3"]) == 0
    assert sum(record(Path(shard) / "manifest.json")["counts"]["rows"] for shard in shards) == read
    assert run(["merge", *shards, "--out", str(tmp_path / "merged")]) == 0
    check_folder(tmp_path / "merged", read)


def test_of_compare(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        run(["compare", str(source), "--out", str(out), "--scorer", SCORER, "--methods", "random,keep-tail", "--ratios", "0.5,0.25"]) == 0
    )
    counts = record(out / "manifest.json")["counts"]
    usable = counts["rows"] - counts["rejected"]
    assert counts["rows"] == 17
    assert sum(counts["rejected_by"].values()) == counts["rejected"]
    judged = read_rows(out / "judged.jsonl")
    cells = Counter((one["method"], one["ratio"], one["measure"]) for one in judged)
    assert set(cells.values()) == {counts["judged"]}
    without = record(out / "manifest.json")["rows_without_numbers"]
    assert usable == counts["judged"] + len({one["id"] for one in without})


def test_of_train(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ("use_peft=false", "max_steps=1", "max_length=1000", "gradient_checkpointing=false", "disable_tqdm=true")
    words = ["train", str(source), "--model", SCORER, "--out", str(out), "--drop-long", "--where", "level=1"]
    assert run([*words, *(word for one in settings for word in ("--set", one))]) == 0
    manifest = record(out / "manifest.json")
    counts, rows = manifest["counts"], read_rows(out / "rows.jsonl")
    assert sum(counts.get(name, 0) for name in ("rows", "rejected", "dropped_long", "not_in_ids_from", "filtered")) == 17
    assert counts["dropped_long"] == 1
    assert len(rows) == counts["rows"]
    assert len(read_rows(out / "rejected.jsonl")) == counts["rejected"]
    assert sum(one["tokens"] for one in rows) == counts["tokens"]
    assert sum(one["response_tokens"] for one in rows) == counts["response_tokens"]
    assert max(one["tokens"] for one in rows) == counts["longest"]
    assert len(read_rows(out / "steps.jsonl")) == manifest["steps"]


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    """Four problems, of which the last is left out: its own reference fails."""
    prompts = [f'def f(x):\n    """Add 1, for the case {number}."""\n' for number in range(4)]
    problems = [{"task_id": f"Own/{number}", **PROBLEM, "prompt": prompt} for number, prompt in enumerate(prompts)]
    problems[3]["canonical_solution"] = "    return x\n"
    return f"humaneval:{write_rows(tmp_path / 'problems.jsonl', problems)}"


def check_summary(entry: dict[str, Any], verdicts: list[dict[str, Any]]) -> None:
    """The sums in the summary of a benchmark."""
    assert entry["samples"] == len(verdicts)
    assert entry["verdicts"] == Counter(one["verdict"] for one in verdicts)
    assert sum(entry["verdicts"].values()) == sum(entry["isolation"].values()) == entry["samples"]
    assert entry["attempted"] == entry["scored"] + len(entry["not_scored"]) == len({one["task_id"] for one in verdicts})
    assert {one["task_id"] for one in entry["left_out"]} <= {*entry["not_scored"]}
    assert entry["verdicts"]["infra"] == sum(one["task_id"] == "Own/3" for one in verdicts)


def test_of_score(benchmark: str, tmp_path: Path) -> None:
    attempts: list[Any] = [
        {"task_id": f"Own/{number}", "solution": f"def f(x):\n    return x + {1 + number % 2}\n"} for number in (0, 0, 1, 3)
    ]
    attempts += [
        {"task_id": "Own/2", "generation": "<think>for ever"},
        {"task_id": "unknown", "solution": "x"},
        "no JSON",
        {"task_id": "Own/0"},
    ]
    out = tmp_path / "out"
    words = ["score", str(write_rows(tmp_path / "attempts.jsonl", attempts)), "--benchmark", benchmark, "--out", str(out)]
    assert run([*words, "--unsafe-no-sandbox"]) == 0
    [entry] = record(out / "summary.json")["benchmarks"]
    verdicts, rejected = read_rows(out / "verdicts.jsonl"), read_rows(out / "rejected.jsonl")
    assert len(verdicts) + len(rejected) == len(attempts)
    assert entry["rejected"] == len(rejected)
    check_summary(entry, verdicts)


def test_of_evaluate(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "--model", SCORER, "--benchmark", benchmark, "--out", str(out), "--max-new-tokens", "4"]
    assert run([*words, "--n", "2", "--temperature", "1", "--unsafe-no-sandbox"]) == 0
    [entry] = record(out / "summary.json")["benchmarks"]
    attempts, verdicts = read_rows(out / "attempts.jsonl"), read_rows(out / "verdicts.jsonl")
    check_summary(entry, verdicts)
    asked = [one for one in verdicts if "left_out" not in one]
    assert Counter((one["task_id"], one["sample"]) for one in attempts) == Counter((one["task_id"], one["sample"]) for one in asked)
    assert entry["efficiency"]["tokens_mean"] == sum(one["tokens"] for one in attempts) / len(attempts)
    assert all(one["tokens_thinking"] + one["tokens_answer"] == one["tokens"] for one in attempts)
