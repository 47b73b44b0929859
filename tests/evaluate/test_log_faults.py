"""What goes wrong with logs and pairs in practice: failed samples first, repeated rows, what only one run has, columns that are missing."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from evaluate_helpers import write_rows

from asap.cli import run
from asap.errors import InputError, UsageError
from asap.evaluate.certificate import check_trainings
from asap.evaluate.certify import certified
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import PairedRun, read_run
from asap.evaluate.paired_tables import comparison_markdown
from asap.stats import wilcoxon


def of_inspect(name: int, **more: Any) -> dict[str, Any]:
    """A sample as inspect writes it, which leaves out what is null."""
    said = {"input": "q", "target": "t", "messages": [], "output": {"model": "m"}, "model_usage": {}, "total_time": 1.0}
    return {"id": name, "epoch": 1, **said, **more}


def inspect_log(path: Path, samples: Sequence[dict[str, Any]] | None) -> Path:
    kept = {} if samples is None else {"samples": samples}
    path.write_text(json.dumps({"version": 2, "status": "error", "eval": {"task": "t", "model": "m"}, **kept}))
    return path


def of_livecodebench(name: str, graded: Sequence[bool], **more: Any) -> dict[str, Any]:
    """A problem of *_eval_all.json with the fields that its runner writes for code generation."""
    asked = {"question_title": name, "question_content": "Print it.", "platform": "atcoder", "question_id": name, "contest_id": "abc301"}
    asked |= {"contest_date": "2023-05-13T00:00:00", "starter_code": "", "difficulty": "easy"}
    said = {"output_list": ["```python\nprint(1)\n```"] * len(graded), "code_list": ["print(1)"] * len(graded)}
    found = {"graded_list": [*graded], "pass@1": sum(graded) / len(graded), "metadata": [json.dumps({"execution time": 0.1})] * len(graded)}
    return {**asked, **said, **found, **more}


def pair(folder: Path, one: dict[str, Sequence[float]], other: dict[str, Sequence[float]]) -> tuple[PairedRun, PairedRun]:
    """Two runs of several answers a problem, or of scores."""
    files = [
        write_rows(folder / f"{n}.jsonl", [{"id": name, "score": value} for name, values in has.items() for value in values])
        for n, has in enumerate((one, other))
    ]
    return read_run(files[0]), read_run(files[1])


def test_a_sample_that_failed_may_come_first(tmp_path: Path) -> None:
    good = {"match": {"value": "C"}}
    samples = [of_inspect(1, error={"message": "gone"}), of_inspect(2, scores=good), of_inspect(3, scores=good, limit={"type": "token"})]
    found = read_run(inspect_log(tmp_path / "a.json", samples)).benchmarks["t"]
    assert (found.attempted, found.shares) == (("1", "2", "3"), {"2": 1, "3": 1})


@pytest.mark.parametrize("samples", [None, []])
def test_a_log_that_ended_before_its_first_answer_says_so(tmp_path: Path, samples: list[dict[str, Any]] | None) -> None:
    with pytest.raises(InputError, match=r"a\.json holds no answers: the run may have ended before its first one"):
        read_run(inspect_log(tmp_path / "a.json", samples))


def test_livecodebench_comes_to_its_own_figure(tmp_path: Path) -> None:
    rows = [of_livecodebench("abc301_a", [True, False]), of_livecodebench("2837", [True, True])]
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=4))
    shares = read_run(tmp_path / "a.json").benchmarks["livecodebench"].shares
    assert shares == {row["question_id"]: row["pass@1"] for row in rows}
    (tmp_path / "a.json").write_text(json.dumps([*rows, rows[0]]))
    with pytest.raises(InputError, match="the problem 'abc301_a' is there twice, so several runs are in one log"):
        read_run(tmp_path / "a.json")


def test_predictions_of_livecodebench_are_problems_of_their_own(tmp_path: Path) -> None:
    executed = [of_livecodebench("2777", [right], id=f"sample_{n}", problem_id="2777") for n, right in enumerate((True, False, True))]
    tested = [of_livecodebench("2777", [right], test_id=n) for n, right in enumerate((True, False))]
    for name, rows, ids in (("a", executed, ["sample_0", "sample_1", "sample_2"]), ("b", tested, ["0", "1"])):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
        shares = read_run(tmp_path / f"{name}.json").benchmarks["livecodebench"].shares
        assert shares == {f"2777/{one}": row["pass@1"] for one, row in zip(ids, rows, strict=True)}


def test_a_column_of_clusters_that_nobody_has_is_refused(tmp_path: Path) -> None:
    a, b = (write_rows(tmp_path / f"{n}.jsonl", [{"id": i, "passed": True, "n": n} for i in range(3)]) for n in range(2))
    with pytest.raises(UsageError, match="log: 3 of 3 problems, such as '0', have nothing in the column of --cluster, neither in"):
        compare(read_run(a, cluster="topic"), read_run(b, cluster="topic"))


def test_what_is_not_compared_is_said(tmp_path: Path) -> None:
    first = [{"id": n, "passed": True, "benchmark": name} for name in ("x", "y") for n in range(4)]
    second = [{"id": n, "passed": True, "benchmark": "x", **({"tokens": 5} if n else {})} for n in range(1, 4)]
    a, b = write_rows(tmp_path / "a.jsonl", [{**row, "tokens": 7} if row["id"] < 3 else row for row in first]), tmp_path / "b.jsonl"
    found = compare(read_run(a), read_run(write_rows(b, second)), common=True)
    assert (found["only_a"], found["only_b"], found["benchmarks"][0]["tokens"]["problems"]) == (["y"], [], 2)
    said = comparison_markdown(found)
    for line in (
        "Only A has y, which is not compared.",
        "x: 1 problem is only in A, left out (--common).",
        "x: tokens per answer known of 2 of 3 problems in both runs.",
    ):
        assert f"\n{line}\n" in said
    with pytest.raises(UsageError, match=r"x: no problem is in both runs; .*a\.jsonl has 4, such as '0', .*b\.jsonl has 1, such as 'z'"):
        compare(read_run(a), read_run(write_rows(b, [{"id": "z", "passed": True, "benchmark": "x"}])), common=True)


def test_thirds_that_a_computer_rounds_are_still_equal(tmp_path: Path) -> None:
    """A gains a third on four problems and loses one on two: 1 - 2/3 and 1/3 are of one size, so this is a sign test."""
    ones: dict[str, Sequence[float]] = {str(n): [0, 0, 0] if n < 4 else [1, 1, 1] for n in range(6)}
    others: dict[str, Sequence[float]] = {str(n): [1, 0, 0] if n < 4 else [1, 1, 0] for n in range(6)}
    entry = compare(*pair(tmp_path, ones, others))["benchmarks"][0]["pass"]
    assert entry["p"] == 2 * 22 / 64
    assert wilcoxon([1 / 3 - 0, 2 / 3 - 1]) == wilcoxon([1, -1])
    assert wilcoxon([(1 - 2 / 3) - 1 / 3, 1.0]) == wilcoxon([0.0, 1.0])


def test_ranks_and_means_that_disagree_are_not_a_difference_of_means(tmp_path: Path) -> None:
    """B is a bit better on 30 problems and far worse on two: the ranks differ, the means do not."""
    ones: dict[str, Sequence[float]] = {str(n): [0.5 + n / 1000 if n < 30 else 1.0] for n in range(32)}
    others: dict[str, Sequence[float]] = {str(n): [0.52 + 2 * n / 1000 if n < 30 else 0.3] for n in range(32)}
    found = compare(*pair(tmp_path, ones, others))
    assert found["benchmarks"][0]["pass"]["p_holm"] < 0.05
    assert found["benchmarks"][0]["pass"]["difference"] < 0
    said = comparison_markdown(found)
    assert "B differs on log by ranks (p " in said
    assert "but which is higher on average is not shown." in said
    assert "is lower on log" not in said


def ours(folder: Path, right: Sequence[bool], benchmarks: Sequence[str] = ("b",), **settings: Any) -> PairedRun:
    folder.mkdir()
    rows = [
        {"benchmark": name, "task_id": str(n), "verdict": "pass" if one else "fail", "passed": one}
        for name in benchmarks
        for n, one in enumerate(right)
    ]
    write_rows(folder / "verdicts.jsonl", rows)
    entries = [{"benchmark": name, "files": "f"} for name in benchmarks]
    said = {"settings": {"model": {"spec": f"hf:{folder.name}"}, **settings}, "benchmarks": entries}
    (folder / "summary.json").write_text(json.dumps(said))
    return read_run(folder)


def test_one_evaluation_is_not_both_arms(tmp_path: Path) -> None:
    a, b = ours(tmp_path / "a", [True, False]), ours(tmp_path / "b", [True, True])
    with pytest.raises(UsageError, match=r"a and .*a hold the same evaluation"):
        check_trainings([a, b], [a])
    assert run(["certify", "--full", str(a.folder), "--pruned", str(a.folder), "--margin", "5"]) == 2


def test_arms_that_were_evaluated_otherwise_are_not_certified(tmp_path: Path) -> None:
    a, b = ours(tmp_path / "a", [True, False], max_new_tokens=1024), ours(tmp_path / "b", [True, True], max_new_tokens=8192)
    with pytest.raises(UsageError, match=r"a and .*b differ in more than the training, .*: max_new_tokens: 1024 and 8192"):
        check_trainings([a], [b])
    check_trainings([a], [ours(tmp_path / "c", [True, True], max_new_tokens=1024, concurrency=4, samples=2)])


def test_a_benchmark_that_only_one_arm_has_is_no_certificate(tmp_path: Path) -> None:
    right = [True, False] * 20
    a, b = ours(tmp_path / "a", right, ["b", "hard"]), ours(tmp_path / "b", right)
    with pytest.raises(UsageError, match=r"hard is in .*a and not in .*b; --common certifies b alone"):
        certified([a], [b], 0.1)
    assert [one.benchmark for one in certified([a], [b], 0.1, common=True)] == ["b"]


def test_a_log_that_is_not_there_is_told_with_what_may_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.eval: there is no such file or folder; expected is an output folder of asap evaluate"):
        read_run(tmp_path / "none.eval")
