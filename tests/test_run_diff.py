"""`asap diff-runs`: a run does not differ from itself, and each setting that is changed alone is found and named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent_rows import thinks
from asap.cli import run
from asap.run_diff import DIFF_GROUPS, RunDiff, diff_runs
from run_fixtures import model_folder, prune, refusal, row, write_rows

CHANGES = [
    (("--seed", "7"), "samplers", "seed"),
    (("--ratio", "0.3"), "settings", "ratio"),
    (("--keep-first", "1"), "settings", "keep_first"),
    (("--method", "random"), "settings", "method"),
    (("--limit", "2"), "rows", "2 of the 4 rows of a are only there: r2, r3"),
    (("--step-split", "line"), "settings", "step_split"),
    (("--columns", "question=question,cot=cot,answer=answer"), "rows", "columns.answer"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", [row(number) for number in range(4)])


@pytest.fixture(scope="module")
def pruned(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prune(source, tmp_path_factory.mktemp("pruned") / "out", "--method", "keep-tail")


def found(a: Path, b: Path, group: str) -> list[str]:
    """What is said to differ in a group."""
    found = diff_runs(a, b)
    return [*(one.name for one in found.recorded.get(group, ())), *found.told.get(group, ())]


@pytest.mark.parametrize(("options", "group", "name"), CHANGES)
def test_each_setting_that_is_changed_alone_is_named_in_its_group(
    options: tuple[str, str], group: str, name: str, source: Path, pruned: Path, tmp_path: Path
) -> None:
    given = {"--method": "keep-tail", **dict([options])}
    other = prune(source, tmp_path / "out", *(word for pair in given.items() for word in pair))
    assert name in found(pruned, other, group)
    causes = {"rows": {"rows", "outcome"}}.get(group, {group, "outcome"})
    assert set(diff_runs(pruned, other).differing) <= causes


def test_a_run_against_itself_and_its_like_has_no_difference(
    source: Path, pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = prune(source, tmp_path / "again", "--method", "keep-tail")
    for other in (pruned, again):
        capsys.readouterr()
        assert run(["diff-runs", str(pruned), str(other)]) == 0
        assert capsys.readouterr().out == (
            f"a: {pruned}\nb: {other}\ntwo runs of asap prune; nothing that is recorded differs\n\nequal: {', '.join(DIFF_GROUPS)}\n"
        )
    assert run(["diff-runs", str(pruned), str(again), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differs"] == {}


def test_the_first_differing_prompt_is_shown_as_a_small_diff(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row(number), "question": f"Same line.\n{'Why' if number else 'What'}?\nLast."} for number in range(4)]
    one = prune(write_rows(tmp_path / "one.jsonl", rows), tmp_path / "a", "--method", "keep-tail")
    rows[2]["question"] = "Same line.\nHow\x1b[2J?\nLast."
    rows[3]["question"] = "Else"
    other = prune(write_rows(tmp_path / "other.jsonl", rows), tmp_path / "b", "--method", "keep-tail")
    capsys.readouterr()
    assert run(["diff-runs", str(one), str(other)]) == 1
    said = capsys.readouterr().out
    assert "  2 of the 4 rows that both have, with another prompt: r2, r3; how it differs for r2:\n    Same line.\n  - Why?\n" in said
    assert "  - Why?\n  + How\\x1b[2J?\n    Last.\n" in said
    assert "\ntwo runs of asap prune; they differ in rows, prompts and outcome\n" in said
    assert "input_hash" in said
    assert "sources" in said
    assert run(["diff-runs", str(one), str(other), "--json"]) == 1
    assert {"rows", "prompts"} <= json.loads(capsys.readouterr().out)["differs"].keys()


def compare_words(source: Path, out: Path, *options: str) -> list[str]:
    model = f"hf:{model_folder()}"
    how = ["--methods", "random", "--ratios", "0.5", *([] if "--judge" in options else ["--judge", model])]
    return ["compare", str(source), "--scorer", model, *how, "--out", str(out), *options]


def test_comparisons_and_the_model_that_judges(source: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model_folder(), tmp_path / "renamed")
    for name, options in (("a", ()), ("b", ("--strip", "none")), ("c", ("--judge", f"hf:{copy}"))):
        assert run(compare_words(source, tmp_path / name, *options)) == 0
    assert not diff_runs(tmp_path / "a", tmp_path / "a").differing
    assert "strip" in found(tmp_path / "a", tmp_path / "b", "settings")
    assert found(tmp_path / "a", tmp_path / "c", "models") == ["judge.spec", "judge.model"]


def evaluated(tmp_path: Path, name: str, asks: str, *options: str) -> Path:
    rows = [{"id": f"p{number}", "question": f"{asks} {number}?", "answer": str(number)} for number in range(3)]
    problems = write_rows(tmp_path / f"{asks}.jsonl", rows)
    words = ["evaluate", "--model", f"hf:{model_folder()}", "--benchmark", f"maths:{problems}", "--out", str(tmp_path / name)]
    assert run([*words, *(options or ("--max-new-tokens", "6"))]) in (0, 1)
    return tmp_path / name


def test_evaluations_tell_samplers_and_prompts(tmp_path: Path) -> None:
    pytest.importorskip("math_verify", reason="MATH-VERIFY IS NOT INSTALLED: asap-cot[math]")
    a, b = evaluated(tmp_path, "a", "What is"), evaluated(tmp_path, "b", "What is", "--max-new-tokens", "5")
    warm = evaluated(tmp_path, "warm", "What is", "--max-new-tokens", "6", "--temperature", "0.7", "--top-p", "0.9")
    gamma = evaluated(tmp_path, "gamma", "What is", "--max-new-tokens", "6", "--gamma", "0.5")
    assert not diff_runs(a, a).differing
    assert found(a, b, "samplers") == ["max_new_tokens"]
    assert found(a, warm, "samplers") == ["temperature", "top_p"]
    assert "gamma" in found(a, gamma, "settings")
    [asked] = found(a, gamma, "prompts")
    assert asked.startswith("3 of the 3 rows that both have, with another prompt: maths:What is.jsonl p0 0, ")
    assert "; how it differs for maths:What is.jsonl p0 0:\n" in asked
    assert not found(a, warm, "prompts")


def edited(folder: Path, out: Path, file: str, **values: Any) -> Path:
    """A copy of a run with other values in its record."""
    shutil.copytree(folder, out)
    record = json.loads((out / file).read_text("utf-8"))
    (out / file).write_text(json.dumps({**record, **values}), "utf-8")
    return out


def test_versions_and_templates(pruned: Path, tmp_path: Path) -> None:
    record = json.loads((pruned / "manifest.json").read_text("utf-8"))
    newer = edited(pruned, tmp_path / "newer", "manifest.json", versions={**record["versions"], "torch": "9"})
    assert found(pruned, newer, "versions") == ["versions.torch"]
    other = edited(pruned, tmp_path / "other", "manifest.json", settings={**record["settings"], "template_hash": "0", "asap": "9"})
    assert diff_runs(pruned, other).differing == ["templates", "versions"]


def test_conversations_under_another_name_and_damaged_rows(pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [{"from": who, "value": text} for who, text in (("human", "q"), ("gpt", thinks("a.\n\nb.\n\nc.\n\nd.", "x")))]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "c", "conversations": [*turns, *turns]}])
    a, b = (prune(source, tmp_path / keep, "--method", keep, "--ratio", "0.5") for keep in ("keep-tail", "keep-head"))
    assert "1 of the 1 rows that both have, with another trace: c" in found(a, b, "outcome")
    damaged = shutil.copytree(pruned, tmp_path / "damaged")
    (damaged / "pruned.jsonl").write_text("no JSON\n")
    assert f"{damaged / 'pruned.jsonl'}, line 1: " in refusal(capsys, "diff-runs", str(pruned), str(damaged))


def test_two_kinds_unfinished_runs_and_other_folders_are_refused(
    pruned: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(compare_words(source, tmp_path / "compared")) == 0
    said = refusal(capsys, "diff-runs", str(pruned), str(tmp_path / "compared"))
    assert f"{pruned} holds a run of asap prune and {tmp_path / 'compared'} one of asap compare" in said
    half = shutil.copytree(pruned, tmp_path / "half")
    (half / "manifest.json").unlink()
    assert f"{half} holds a run of asap prune that has not ended" in refusal(capsys, "diff-runs", str(pruned), str(half))
    assert f"{tmp_path} holds no run of asap" in refusal(capsys, "diff-runs", str(pruned), str(tmp_path))
    assert isinstance(diff_runs(pruned, pruned), RunDiff)
