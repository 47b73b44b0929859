"""Logs of other tools, compared: the right answers, metrics and clusters are read, and what is not clear is refused in one sentence.

logs/ holds what the tools wrote themselves (logs/README.md); the other files are written here as LiveCodeBench and they do.
"""

import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from evaluate_helpers import write_rows

from asap.cli import run
from asap.errors import InputError, UsageError
from asap.evaluate.attempt_files import attempt_rows
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import PairedRun, read_run
from asap.intervals import mean_difference
from asap.stats import mcnemar, wilcoxon

LOGS = Path(__file__).parent / "logs"


def of_harness(doc_id: int, kept: str = "none", **metrics: Any) -> dict[str, Any]:
    """A row of samples_TASK_TIME.jsonl."""
    doc = {"question": f"q{doc_id}", "subject": f"s{doc_id // 2}"}
    said = {"arguments": {}, "resps": [["a"]], "filtered_resps": ["a"], "filter": kept, "metrics": [*metrics]}
    return {
        "doc_id": doc_id,
        "doc": doc,
        "target": "a",
        **said,
        "doc_hash": f"h{doc_id}",
        "prompt_hash": "p",
        "target_hash": "t",
        **metrics,
    }


def harness(path: Path, right: Sequence[float], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_rows(path, [of_harness(number, exact_match=one, **more) for number, one in enumerate(right)])


def evalplus(path: Path, results: Mapping[str, Sequence[tuple[str, str | None]]]) -> Path:
    rows = {
        name: [{"task_id": name, "solution": "x", "base_status": base, "plus_status": plus, "base_fail_tests": []} for base, plus in found]
        for name, found in results.items()
    }
    path.write_text(json.dumps({"date": "2026-11-01 10:00", "hash": "h", "eval": rows}))
    return path


def livecodebench(path: Path, graded: Mapping[str, Sequence[bool]]) -> Path:
    rows = [
        {
            "question_id": name,
            "difficulty": "easy",
            "output_list": ["x"] * len(found),
            "code_list": ["x"] * len(found),
            "graded_list": found,
        }
        for name, found in graded.items()
    ]
    path.write_text(json.dumps(rows, indent=4))
    return path


def shares(found: PairedRun, benchmark: str) -> dict[str, float]:
    return found.benchmarks[benchmark].shares


def test_lm_evaluation_harness(tmp_path: Path) -> None:
    a = harness(tmp_path / "a/model/samples_gsm8k_2026-11-01T10-00-00.000001.jsonl", [1, 0, 1, 0])
    b = harness(tmp_path / "b/samples_gsm8k_2026-11-02T10-00-00.000001.jsonl", [1.0, 1.0, 1.0, 1.0])
    assert shares(read_run(tmp_path / "a"), "gsm8k") == {"0": 1, "1": 0, "2": 1, "3": 0}
    [entry] = compare(read_run(a), read_run(tmp_path / "b"))["benchmarks"]
    assert (entry["benchmark"], entry["metric"], entry["pass"]["p"]) == ("gsm8k", ["exact_match,none"], mcnemar(0, 2))
    grouped = compare(read_run(a, cluster="subject"), read_run(b, cluster="subject"))["benchmarks"][0]
    assert (grouped["clusters"], grouped["pass"]["p"]) == (2, wilcoxon([0.5, 0.5]))
    low, high = mean_difference([0, 1, 0, 1], [0, 0, 1, 1]).interval()
    assert (low < -1, high > 1) == (True, True)  # two clusters tell next to nothing
    assert grouped["pass"]["interval"] == [-1, 1]


def test_a_folder_of_several_tasks_and_filters(tmp_path: Path) -> None:
    strict = [of_harness(number, "strict-match", exact_match=0.0) for number in range(3)]
    loose = [of_harness(number, "flexible-extract", exact_match=1.0) for number in range(3)]
    write_rows(tmp_path / "samples_gsm8k_2026-11-01T10-00-00.000001.jsonl", [*strict, *loose])
    harness(tmp_path / "samples_arc_easy_2026-11-01T10-00-00.000001.jsonl", [1, 0, 0], acc_norm=1.0)
    with pytest.raises(
        UsageError, match=r"gsm8k: there are several metrics \(exact_match,flexible-extract, exact_match,strict-match\); choose"
    ):
        read_run(tmp_path, metric="exact_match")
    found = read_run(tmp_path, metric="exact_match,strict-match")
    assert (list(found.benchmarks), shares(found, "gsm8k")) == (["gsm8k"], {"0": 0, "1": 0, "2": 0})
    assert shares(read_run(tmp_path, metric="acc_norm"), "arc_easy") == {"0": 1, "1": 1, "2": 1}
    with pytest.raises(UsageError, match="has no metric 'f1': arc_easy has acc_norm,none, exact_match,none; gsm8k has"):
        read_run(tmp_path, metric="f1")
    harness(tmp_path / "samples_arc_easy_2026-11-02T10-00-00.000001.jsonl", [1])
    with pytest.raises(InputError, match="are two runs of one task; name one"):
        read_run(tmp_path)


def test_problems_of_another_version_are_not_paired(tmp_path: Path) -> None:
    a, b = harness(tmp_path / "samples_x_1.jsonl", [1, 1]), harness(tmp_path / "samples_x_2.jsonl", [1, 1])
    b.write_text(b.read_text().replace('"h1"', '"other"'))
    with pytest.raises(
        UsageError, match=r"x: the problem '1' is another one in .*_2.jsonl than in .*_1.jsonl, so the runs cannot be paired"
    ):
        compare(read_run(a), read_run(b))
    b.write_text(a.read_text() * 2)
    with pytest.raises(InputError, match="the problem '0' is there twice, so several runs are in one log"):
        read_run(b)


def test_inspect() -> None:
    """The mock answered 5 of the 6 problems; with two epochs match finds 7 of 12 answers right (inspect's own accuracy: 0.833, 0.583)."""
    one, epochs = read_run(LOGS / "inspect.eval", cluster="topic"), read_run(LOGS / "inspect_epochs.eval", metric="match")
    assert (list(one.benchmarks), one.model) == (["sums"], "mockllm/model")
    assert sum(shares(one, "sums").values()) == 5
    assert sum(shares(epochs, "sums").values()) == pytest.approx(3.5)
    assert set(one.benchmarks["sums"].clusters.values()) == {"t0", "t1"}
    assert {*one.benchmarks["sums"].costs} == {"tokens", "seconds"}
    with pytest.raises(UsageError, match=r"sums: there are several metrics \(includes, match\); choose one with --metric"):
        read_run(LOGS / "inspect_epochs.eval")
    [entry] = compare(one, epochs)["benchmarks"]
    assert (entry["problems"], entry["pass"]["test"], entry["clusters"]) == (6, "Wilcoxon, signed ranks", 2)


def test_what_the_tools_wrote_themselves_comes_to_their_own_results() -> None:
    """Each figure is the one that the tool printed."""
    parts, harness_run = LOGS / "inspect_parts.json", LOGS / "lm_eval"
    means = {
        metric: mean(shares(read_run(parts, metric=metric), "own_sums").values()) for metric in ("exact", "parts.right", "parts.short")
    }
    assert means == pytest.approx({"exact": 2 / 3, "parts.right": 2 / 3, "parts.short": 1.0})
    assert read_run(parts, metric="exact").benchmarks["own_sums"].costs["tokens"] == {"s0": 2, "s1": 2, "s2": 2}
    words = read_run(harness_run, metric="acc", cluster="topic").benchmarks["own_words"]
    assert (mean(words.shares.values()), set(words.clusters.values())) == (0.625, {"t0", "t1"})
    assert mean(shares(read_run(harness_run, metric="acc_norm"), "own_words").values()) == 0.625
    assert mean(shares(read_run(harness_run, metric="exact_match,strict-match"), "own_sums").values()) == 0
    with pytest.raises(UsageError, match=r"own_sums: there are several metrics \(exact_match,as-it-is, exact_match,strict-match\)"):
        read_run(harness_run)
    evalplus_run = read_run(LOGS / "evalplus_eval_results.json")
    assert {name: mean(found.shares.values()) for name, found in evalplus_run.benchmarks.items()} == {"humaneval": 1.0, "humaneval+": 0.75}


def test_a_log_in_which_every_sample_failed_is_refused(tmp_path: Path) -> None:
    rows = [{"id": number, "epoch": 1, "scores": {}, "error": {"message": "gone"}} for number in range(3)]
    with pytest.raises(InputError, match="none of its 3 answers has a score; each may have ended in an error"):
        read_run(write_rows(tmp_path / "rows.jsonl", rows))


def test_inspects_json_says_the_same_as_its_archive(tmp_path: Path) -> None:
    samples = [raw.value for raw in attempt_rows(LOGS / "inspect.eval", ())]
    (tmp_path / "log.json").write_text(json.dumps({"version": 2, "eval": {"task": "sums", "model": "mockllm/model"}, "samples": samples}))
    assert read_run(tmp_path / "log.json").benchmarks == read_run(LOGS / "inspect.eval").benchmarks


@pytest.mark.parametrize(
    ("value", "share"),
    [("C", 1.0), ("P", 0.5), ("I", 0.0), ("N", 0.0), (True, 1.0), ("no", 0.0), ("0.25", 0.25), (0.75, 0.75), ({"f": 1, "g": 0}, 1.0)],
)
def test_what_inspects_scorers_write(tmp_path: Path, value: object, share: float) -> None:
    rows = [{"id": 1, "epoch": 1, "scores": {"s": {"value": value}}}, {"id": 2, "epoch": 1, "scores": {}, "error": {"message": "gone"}}]
    found = read_run(write_rows(tmp_path / "rows.jsonl", rows), metric="s.f" if isinstance(value, dict) else None)
    assert (shares(found, "log"), found.benchmarks["log"].attempted) == ({"1": share}, ("1", "2"))
    assert found.benchmarks["log"].graded == (share not in (0, 1))


def test_evalplus_has_two_benchmarks(tmp_path: Path) -> None:
    a = evalplus(tmp_path / "a_eval_results.json", {"HumanEval/0": [("pass", "pass")], "HumanEval/1": [("pass", "fail")]})
    b = evalplus(
        tmp_path / "b_eval_results.json", {"HumanEval/0": [("fail", "pass")], "HumanEval/1": [("pass", "pass"), ("timeout", "fail")]}
    )
    assert shares(read_run(a), "humaneval+") == {"HumanEval/0": 1, "HumanEval/1": 0}
    assert shares(read_run(b), "humaneval") == shares(read_run(b), "humaneval+") == {"HumanEval/0": 0, "HumanEval/1": 0.5}
    assert [entry["benchmark"] for entry in compare(read_run(a), read_run(b))["benchmarks"]] == ["humaneval", "humaneval+"]
    assert [*read_run(a, metric="plus").benchmarks] == ["humaneval+"]
    base_only = evalplus(tmp_path / "c_eval_results.json", {"Mbpp/2": [("pass", None)]})
    assert [*read_run(base_only).benchmarks] == ["mbpp"]


def test_livecodebench_and_one_file_of_another_tool(tmp_path: Path) -> None:
    a = livecodebench(tmp_path / "codegeneration_10_0.2_eval_all.json", {"abc301_a": [True, False], "2837": [True, True]})
    assert shares(read_run(a), "livecodebench") == {"abc301_a": 0.5, "2837": 1}
    b = write_rows(tmp_path / "mine.jsonl", [{"task_id": "abc301_a", "passed": True}, {"task_id": 2837, "passed": False}])
    [entry] = compare(read_run(a), read_run(b))["benchmarks"]
    assert (entry["benchmark"], entry["pass"]["difference"], entry["metric"]) == ("livecodebench", -0.25, ["passed"])


def test_a_graded_score_gets_student_and_wilcoxon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [(0.1, 0.3), (0.5, 0.4), (0.9, 1.0), (0.2, 0.7)]
    a, b = (write_rows(tmp_path / f"{n}.jsonl", [{"id": i, "score": pair[n]} for i, pair in enumerate(values)]) for n in range(2))
    assert run(["compare-runs", str(a), str(b)]) == 0
    said = capsys.readouterr().out
    differences = [two - one for one, two in values]
    low, high = mean_difference(differences).interval()
    assert "| benchmark | problems | score A |" in said
    assert f"| {low:+.4f} to {high:+.4f} | {wilcoxon(differences):.3g} |" in said


def test_several_runs_are_compared_with_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = [[1] * 12, [1] * 6 + [0] * 6, [0] * 12, [1] * 12]
    paths = [str(harness(tmp_path / f"samples_x_{number}.jsonl", one)) for number, one in enumerate(right)]
    assert run(["compare-runs", *paths, "--out", str(tmp_path / "c.json")]) == 0
    said = capsys.readouterr().out
    assert "| B1 | x | 12 | 1.0000 | 0.5000 | 6 | 0 | -0.5000 |" in said
    runs = json.loads((tmp_path / "c.json").read_text())["runs"]
    found = [entry["pass"] for one in runs for entry in one["benchmarks"]]
    assert [one["p_holm"] for one in found] == [2 * mcnemar(6, 0), 3 * mcnemar(12, 0), 1.0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"x": 1}', r"a\.jsonl, line 1: its columns are those of no log that is known; expected is an output folder"),
        ("a.jsonl", '{"task_id": 1, "passed": true}\n{"task_id"', r"a\.jsonl, line 2"),
        ("a.jsonl", '{"task_id": 1, "passed": true}\n{"passed": true}', r"line 2: the row has no id or no result as the first one has"),
        (
            "a.jsonl",
            '{"task_id": 1, "passed": "maybe"}',
            r"problem '1': passed is 'maybe'; a result is true, false or a number from 0 to 1",
        ),
        ("a.jsonl", '{"task_id": 1, "score": 55.5}', r"score is 55.5; a result is true, false or a number from 0 to 1"),
        ("a.json", "{", r"a\.json: cannot be read as JSON"),
        ("a.json", "[[1], [2]]", r"a\.json: the file holds 2 lists"),
        ("a.json", "[" * 100_000, r"a\.json: cannot be read as JSON"),
        ("a.jsonl", "", "the file is empty"),
        ("a.eval", "PK", r"a\.eval: cannot be read as inspect's archive"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    assert run(["compare-runs", str(tmp_path / name), str(tmp_path / name)]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert re.search(said, line)


@pytest.mark.parametrize("damage", ["flipped", "cut", "no header", "wrong sum"])
def test_a_damaged_archive(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "log.eval"
    shutil.copy(LOGS / "inspect.eval", path)
    if damage == "no header":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("samples/1.json", "{}")
    else:
        packed = bytearray(path.read_bytes())
        entry = next(one for one in zipfile.ZipFile(path).infolist() if one.filename.startswith("samples/"))
        if damage == "flipped":
            packed[entry.header_offset + 100 : entry.header_offset + 400] = b"\xff" * 300
        elif damage == "wrong sum":
            place = packed.rindex(entry.filename.encode()) - 46  # of its entry in the directory at the end
            packed[place + 16 : place + 20] = bytes(4)
        path.write_bytes(packed[: len(packed) // 2] if damage == "cut" else packed)
        assert entry.compress_type == 93  # Zstandard, which Python's own module does not read
    with pytest.raises(InputError, match=r"log\.eval: cannot be read as inspect's archive \(.*; convert it with"):
        read_run(path)
