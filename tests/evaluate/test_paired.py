"""Comparing two runs: the tests are those of asap.stats, on the right pairs, and what differs is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asap.cli import run
from asap.errors import InputError, UsageError
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import read_run
from asap.evaluate.paired_tables import comparison_markdown
from asap.intervals import mean_difference, tango
from asap.stats import mcnemar, wilcoxon


def write_run(folder: Path, passed: dict[str, list[bool]], tokens: dict[str, float] | None = None, **settings: Any) -> Path:
    folder.mkdir(parents=True)
    verdicts = [
        {
            "benchmark": "b",
            "task_id": name,
            "sample": sample,
            "verdict": "pass" if one else "fail",
            "passed": one,
            **({"tokens": tokens[name], "seconds": tokens[name] / 10} if tokens else {}),
        }
        for name, samples in passed.items()
        for sample, one in enumerate(samples)
    ]
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in verdicts))
    entry = {"benchmark": "b", "files": "f", "wording": "w", "sandbox": ["bwrap"], "public_tests_only": 0}
    (folder / "summary.json").write_text(json.dumps({"settings": settings, "benchmarks": [entry]}))
    return folder


def test_the_statistics_are_those_of_the_paired_problems(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    names = [f"t{number}" for number in range(40)]
    a_passed, b_passed = (dict(zip(names, random.random(40) < share, strict=True)) for share in (0.4, 0.7))
    a_tokens, b_tokens = (dict(zip(names, random.integers(1, 1000, 40).tolist(), strict=True)) for _ in range(2))
    a = write_run(tmp_path / "a", {name: [bool(one)] for name, one in a_passed.items()}, a_tokens)
    b = write_run(tmp_path / "b", {name: [bool(b_passed[name])] for name in reversed(names)}, b_tokens)
    [entry] = compare(read_run(a), read_run(b))["benchmarks"]
    only_a = sum(a_passed[name] and not b_passed[name] for name in names)
    only_b = sum(b_passed[name] and not a_passed[name] for name in names)
    differences = [float(b_passed[name]) - float(a_passed[name]) for name in names]
    assert (entry["pass"]["only_a"], entry["pass"]["only_b"]) == (only_a, only_b)
    assert entry["pass"]["p"] == mcnemar(only_a, only_b)
    assert entry["pass"]["interval"] == list(tango(only_a, only_b, 40))
    assert entry["pass"]["smallest_difference"] == mean_difference(differences).smallest_difference()
    token_differences = [b_tokens[name] - a_tokens[name] for name in names]
    assert entry["tokens"]["p"] == wilcoxon(token_differences)
    assert entry["tokens"]["difference"] == pytest.approx(np.mean(token_differences))
    assert entry["seconds"]["difference"] == pytest.approx(np.mean(token_differences) / 10)


def test_several_samples_are_compared_by_their_shares(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"x": [True, False], "y": [False, False], "z": [True, True]})
    b = write_run(tmp_path / "b", {"x": [True, True], "y": [True, False], "z": [True, True]})
    [entry] = compare(read_run(a), read_run(b))["benchmarks"]
    assert (entry["pass"]["test"], entry["pass"]["p"]) == ("Wilcoxon, signed ranks", wilcoxon([0.5, 0.5, 0]))
    assert entry["tokens"] is None


def test_other_problems_are_refused_unless_only_the_common_ones_are_wanted(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"x": [True], "y": [True]})
    b = write_run(tmp_path / "b", {"x": [False], "z": [True]})
    with pytest.raises(UsageError, match=r"1 are only in .*a, 1 only in .*b, such as '[yz]'; --common compares the 1"):
        compare(read_run(a), read_run(b))
    [entry] = compare(read_run(a), read_run(b), common=True)["benchmarks"]
    assert (entry["problems"], entry["only_a"], entry["only_b"], entry["pass"]["difference"]) == (1, 1, 1, -1.0)


def test_what_was_done_otherwise_is_said(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"x": [True]}, max_new_tokens=1024, model={"engine": {"name": "vllm"}})
    b = write_run(tmp_path / "b", {"x": [True]}, max_new_tokens=2048, model={"engine": {"name": "transformers"}})
    found = compare(read_run(a), read_run(b))
    assert found["differs"] == ["max_new_tokens: 1024 and 2048", 'engine: {"name": "vllm"} and {"name": "transformers"}']
    assert "- max_new_tokens: 1024 and 2048" in comparison_markdown(found)
    assert compare(read_run(a), read_run(a))["differs"] == []
    assert "No difference in Pass@1 is shown, which does not show that there is none" in comparison_markdown(found)


def test_figures_of_small_models_carry_that_label(tmp_path: Path) -> None:
    models = {"none": {}, "large": {"spec": "openai:own-7B"}, "half": {"spec": "hf:own-0.5B"}, "bundled": {"spec": "bundled"}}
    runs = {name: read_run(write_run(tmp_path / name, {"x": [True]}, model=model)) for name, model in models.items()}
    assert "label" not in compare(runs["none"], runs["large"])
    assert "igures of" not in comparison_markdown(compare(runs["none"], runs["large"]))
    assert "\n**Figures of a small model (500M).**\n" in comparison_markdown(compare(runs["large"], runs["half"]))
    assert compare(runs["half"], runs["large"], runs["bundled"])["label"] == "figures of small models (135M, 500M)"


def test_attempts_that_could_not_be_judged_are_left_out(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"x": [True], "y": [False]})
    path = a / "verdicts.jsonl"
    path.write_text(path.read_text().replace('"fail"', '"infra"'))
    assert read_run(a).benchmarks["b"].shares == {"x": 1.0}
    assert read_run(a).benchmarks["b"].attempted == ("x", "y")


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write_run(tmp_path / "a", {f"t{number}": [number > 5] for number in range(10)})
    b = write_run(tmp_path / "b", {f"t{number}": [True] for number in range(10)})
    assert run(["compare-runs", str(a), str(b), "--out", str(tmp_path / "c.json")]) == 0
    said = capsys.readouterr().out
    assert "| b | 10 | 0.4000 | 1.0000 | 0 | 6 | +0.6000 |" in said
    assert "A difference in Pass@1 is shown: B is higher on b (+0.6000, p 0.031)." in said
    assert json.loads((tmp_path / "c.json").read_text())["benchmarks"][0]["pass"]["p"] == 0.03125


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no verdicts\.jsonl"):
        read_run(tmp_path)
    a = write_run(tmp_path / "a", {"x": [True]})
    (a / "summary.json").write_text("[]")
    with pytest.raises(InputError, match="is not what asap writes"):
        read_run(a)
    b = write_run(tmp_path / "b", {"x": [True]})
    (b / "verdicts.jsonl").write_text('{"passed": true, "verdict": "pass"}\n')
    with pytest.raises(InputError, match="line 1: benchmark or task_id is missing"):
        read_run(b)


@pytest.mark.parametrize(("clusters", "word"), [(None, "problem"), ("task", "cluster")])
def test_one_problem_or_one_cluster_shows_nothing_and_says_so(tmp_path: Path, clusters: str | None, word: str) -> None:
    names = ["t0"] if clusters is None else ["t0", "t1"]
    runs = [
        write_run(tmp_path / name, {key: [passed] for key in names}, dict.fromkeys(names, tokens))
        for name, passed, tokens in (("a", False, 3.0), ("b", True, 5.0))
    ]
    for folder in runs if clusters else ():
        rows = [json.loads(line) | {"task": "same"} for line in (folder / "verdicts.jsonl").read_text().splitlines()]
        (folder / "verdicts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = comparison_markdown(compare(*(read_run(folder, cluster=clusters) for folder in runs)))
    assert "inf" not in said.replace("infra", "")
    assert said.count(f"none: one {word}") == 3, "Pass@1, tokens and seconds"
    assert said.count("not known") >= 2
