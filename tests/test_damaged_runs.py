"""`asap diff-runs` on runs whose files were damaged: one sentence or a difference, never a traceback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import GoldResult, Problem
from asap.errors import AsapError
from asap.evaluate.comparer import Comparer
from asap.evaluate.score import score_file
from asap.ownership import COMPARED, EVALUATED, PRUNED, TRAINED, run_in
from asap.run_diff import diff_runs
from run_fixtures import prune, refusal, row, write_rows

TEXTS = st.sampled_from(["\ud800", "a\nb", "\x1b[2J", "9" * 99]) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DEEP = [900, 970, 990, 2000, 100_000]


def scored(out: Path) -> Path:
    problem = Problem("p", "What is 2 + 3?", None, GoldResult("5", "gsm8k"))
    attempts = write_rows(out.with_suffix(".jsonl"), [{"task_id": "p", "generation": f"\\boxed{{{value}}}"} for value in (5, 6)])
    with Comparer.open(1, ["gsm8k"]) as comparer:
        score_file(attempts, Benchmark("sums", [problem], "0", "0"), out, None, comparer=comparer)
    return out


def written(out: Path, record: dict[str, Any], rows: str, row: dict[str, Any]) -> Path:
    """A folder with a manifest and rows of a command."""
    out.mkdir()
    (out / "manifest.json").write_text(json.dumps(record), "utf-8")
    write_rows(out / rows, [row])
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind."""
    root = tmp_path_factory.mktemp("runs")
    judged = {"id": "r", "method": "random", "ratio": 0.5, "measure": "m", "tokens": 1, "value": 0.5}
    about = {"settings": {"values": {"seed": 1}, "sources": ["a"]}, "counts": {"rows": 1}, "data": {"a": "0"}, "versions": {"torch": "2"}}
    found = {
        PRUNED: prune(write_rows(root / "rows.jsonl", [row(number) for number in range(2)]), root / "pruned", "--method", "keep-tail"),
        EVALUATED: scored(root / "scored"),
        TRAINED: written(root / "trained", {**about, "train_loss": 1.0}, "rows.jsonl", {"id": "r", "tokens": 2, "response_tokens": 1}),
        COMPARED: written(root / "compared", {**about, "rows_without_numbers": 0}, "judged.jsonl", judged),
    }
    write_rows(
        found[EVALUATED] / "attempts.jsonl", [{"benchmark": "sums", "task_id": "p", "sample": 0, "asked": "What?", "generation": "5"}]
    )
    return found


FILES = {
    PRUNED: ["manifest.json", "pruned.jsonl", "decisions.jsonl"],
    EVALUATED: ["summary.json", "verdicts.jsonl", "attempts.jsonl"],
    TRAINED: ["manifest.json", "rows.jsonl"],
    COMPARED: ["manifest.json", "judged.jsonl"],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each part of a value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another part at a path; without it for Ellipsis."""
    if not path:
        return None if new is ... else new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


def told(good: Path, damaged: Path) -> str:
    """What is said of the difference: any but an error of ours is a bug."""
    try:
        found = diff_runs(good, damaged)
    except AsapError as error:
        return str(error)
    json.dumps(found.as_row())
    return found.text()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FILES.items() for name in names])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_in_any_place_is_a_difference_or_one_sentence(
    kind: str, name: str, runs: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    good, damaged = runs[kind], tmp_path / "damaged"
    if not damaged.is_dir():
        shutil.copytree(good, damaged)
    lines = (good / name).read_text("utf-8").splitlines() if name.endswith("l") else [(good / name).read_text("utf-8")]
    at = data.draw(st.integers(0, len(lines) - 1))
    value = json.loads(lines[at])
    lines[at] = json.dumps(with_value(value, data.draw(st.sampled_from([*places(value)])), data.draw(VALUES | st.just(...))))
    (damaged / name).write_text("\n".join(lines), "utf-8")
    told(good, damaged)
    told(damaged, good)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("depth", DEEP)
def test_values_that_are_nested_deeply_are_a_difference_or_one_sentence(
    kind: str, depth: int, runs: dict[str, Path], tmp_path: Path
) -> None:
    for name in FILES[kind]:
        damaged = shutil.copytree(runs[kind], tmp_path / name)
        first, *rest = (damaged / name).read_text("utf-8").splitlines() if name.endswith("l") else [(damaged / name).read_text("utf-8")]
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            deep = f"{opening * depth}1{closing * depth}"
            for key in ("settings", "cot", "generation", "id", "sample", "versions"):
                whole = {**json.loads(first), key: "DEEP"}
                (damaged / name).write_text("\n".join([json.dumps(whole).replace('"DEEP"', deep), *rest]), "utf-8")
                told(runs[kind], damaged)


@pytest.mark.parametrize("entries", ["[1]", "[{}]", "{}", "null", '[{"benchmark": 1}]'])
def test_a_damaged_summary_is_refused_as_by_compare_runs(
    entries: str, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = shutil.copytree(runs[EVALUATED], tmp_path / "damaged")
    (damaged / "summary.json").write_text(f'{{"settings": {{}}, "benchmarks": {entries}}}', "utf-8")
    said = refusal(capsys, "diff-runs", str(runs[EVALUATED]), str(damaged))
    assert said == f"{damaged / 'summary.json'} is not what asap writes; run asap evaluate or asap score again"
    assert said == refusal(capsys, "compare-runs", str(runs[EVALUATED]), str(damaged))


@pytest.mark.parametrize(("kind", "lacking"), [(PRUNED, "id"), (EVALUATED, "task_id"), (TRAINED, "id"), (COMPARED, "measure")])
def test_a_row_without_its_name_is_refused(kind: str, lacking: str, runs: dict[str, Path], tmp_path: Path) -> None:
    damaged = shutil.copytree(runs[kind], tmp_path / "damaged")
    name = FILES[kind][1]
    rows = [json.loads(line) for line in (damaged / name).read_text("utf-8").splitlines()]
    del rows[-1][lacking]
    write_rows(damaged / name, rows)
    assert told(runs[kind], damaged) == (f"{damaged / name}, line {len(rows)}: {lacking} is missing; run the command of this folder again")


def test_the_command_that_made_a_run_is_named(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = runs[EVALUATED]
    assert "two runs of asap score; nothing that is recorded differs" in told(one, one)
    said = refusal(capsys, "diff-runs", str(runs[PRUNED]), str(one))
    assert said == f"{runs[PRUNED]} holds a run of asap prune and {one} one of asap score; two runs of one command can be compared"
    record = json.loads((one / "summary.json").read_text("utf-8"))
    other = shutil.copytree(one, tmp_path / "evaluated")
    (other / "summary.json").write_text(json.dumps({**record, "settings": {"model": {"spec": "m"}}}), "utf-8")
    assert "\na run of asap score and one of asap evaluate; they differ in " in told(one, other)
    assert diff_runs(one, other).as_row()["command"] == "asap score and asap evaluate"
    (other / "summary.json").unlink()
    assert f"{other} holds a run of asap evaluate or asap score that has not ended" in told(one, other)
    assert {run_in(folder) for folder in runs.values()} == {*FILES}
