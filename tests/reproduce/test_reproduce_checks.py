"""What a later stage would refuse is refused before the first one, and most of it in the plan."""

import json
import sys
from pathlib import Path

import pytest
from reproduce_helpers import SERVED, WHOLE

from asap.benchmarks.files import nothing_fetched
from asap.benchmarks.load import check_benchmark, load_benchmark
from asap.cli import run
from asap.errors import InputError, UsageError
from asap.reproduce.chain import chain_of
from asap.reproduce.checks import check_machine
from asap.reproduce.record import Records
from asap.reproduce.table import read_table

ARM = "mini.yaml: scales: miniature: paper: arms: asap: prune: "
EVALUATION = "mini.yaml: scales: miniature: evaluate: new: options: "


def planned(text: str, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The exit code of `asap reproduce --plan`, and what it says on stderr."""
    Path("mini.yaml").write_text(text, "utf-8")
    code = run(["reproduce", "mini.yaml", "--scale", "miniature", "--plan", *options])
    return f"{code}: {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("max-new-tokens: 12", "max-new-tokens: many", f"{EVALUATION}--max-new-tokens is 'many'; a whole number is expected"),
        ("max-new-tokens: 12", "max-new-tokens: 0", f"{EVALUATION}--max-new-tokens is 0; 1 or more is expected"),
        ('budgets: "6"', 'budgets: "600"', f"{EVALUATION}--budgets holds 600; numbers from 1 to --max-new-tokens 12 are expected"),
        (
            "device: cpu}",
            "device: cpu, limit: true}",
            f"{EVALUATION}--limit has no value (Only the first so many problems of each benchmark); see asap evaluate --help",
        ),
        ("method: random", "method: nosuch", "equal-tokens: arms: random: cut: unknown method 'nosuch'; choose from asap, "),
        (
            "random, ratio: 0.5",
            "random, ratio: 5",
            "equal-tokens: arms: random: cut: ratio is 5; a number above 0 and at most 1",
        ),
        ("prune: {ratio: 0.5}", "prune: {method: nosuch}", f"{ARM}unknown method 'nosuch'; choose from asap, "),
        ("prune: {ratio: 0.5}", "prune: {ratio: half}", f"{ARM}--ratio is 'half'; a number is expected"),
        ("prune: {ratio: 0.5}", "prune: {ratio: 0}", f"{ARM}ratio is 0; a number above 0 and at most 1 is expected"),
        ("prune: {ratio: 0.5}", "prune: {ratio: 0.5, coarse: soft}", f'{ARM}Invalid value "soft" for --coarse. Choose from: "align", '),
        ("prune: {ratio: 0.5}", "prune: {ratio: 0.5, llm: gpt}", f"{ARM}unknown model 'gpt'; write openai:<model>, "),
        ("original: {}", "original: {evaluate: {gamma: 3}}", "original: evaluate: --gamma is 3; a ratio above 0 and at most 1 is expected"),
        ("rows: {", "rows: {options: {limit: few}, ", "rows: options: Invalid value for --limit: 'few' is not a whole number"),
        ("recipe: laptop", "recipe: nosuch", "miniature: train: there is no recipe 'nosuch'; choose from laptop, "),
        ("save_steps: 2", "safe_steps: 2", "miniature: train: there is no setting 'safe_steps'; did you mean save_steps?"),
        ("recipe: laptop", "recipe: laptop\n      launch: 9x9", "miniature: train: there is no launch config '9x9'; choose from "),
    ],
)
def test_the_plan_refuses_what_a_later_command_would(
    right: str, wrong: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert right in WHOLE
    found = planned(WHOLE.replace(right, wrong, 1), capsys)
    assert found.startswith("2: asap: mini.yaml: scales: miniature: ")
    assert said in found
    assert found.count("\n") == 1


def test_the_plan_of_a_table_with_one_variant_says_which_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    head, _, equal = WHOLE.replace("    equal-tokens:", "    paper:").split("    paper:")
    alone = f"{head}    equal-tokens:{equal}"
    assert planned(alone, capsys) == "0: asap: mini.yaml: scales: miniature has only equal-tokens, which is taken as with --equal-tokens\n"
    assert planned(alone, capsys, "--equal-tokens") == "0: "
    assert run(["reproduce", "mini.yaml", "--scale", "miniature", "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variant"] == "equal-tokens"


def test_a_plan_needs_no_trainer_and_a_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_trl = planned(WHOLE, capsys)
    assert run(["reproduce", "mini.yaml", "--plan"]) == 0, "its only scale needs no name"
    there = capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "trl", None)
    assert planned(WHOLE, capsys) == with_trl
    assert run(["reproduce", "mini.yaml", "--plan"]) == 0
    assert capsys.readouterr().out == there
    assert run(["reproduce", "mini.yaml", "--out", "out"]) == 2
    assert "asap: training needs trl, datasets and peft; install them with: pip install" in capsys.readouterr().err
    assert not [*Path("out").glob("data-*")]


def lacking(text: str) -> str:
    """What is said of this machine before the first stage."""
    chain = chain_of(read_table(text, "mini.yaml"), "miniature")
    with pytest.raises(InputError) as refused:
        check_machine(chain, Records(Path("out")))
    return str(refused.value)


def test_what_is_not_here_is_said_before_the_first_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASAP_DATA", raising=False)
    assert lacking(WHOLE) == (
        "mini.yaml: scales: miniature: rows: there is no file or folder rows.jsonl, nor one of that name in traces/ under the folder that "
        "ASAP_DATA names; say where the rows are with --data, for example --data path/to/rows.jsonl"
    )
    Path("rows.jsonl").write_text("{}\n")
    assert lacking(WHOLE).endswith("evaluate: new: benchmark names maths:problems.jsonl, and there is no file problems.jsonl")
    Path("problems.jsonl").write_text("{}\n")
    check_machine(chain_of(read_table(WHOLE, "mini.yaml"), "miniature"), Records(Path("out")))
    served = SERVED.replace("{python}", "no-such-program")
    assert lacking(served).startswith("mini.yaml: scales: miniature: serve: there is no program no-such-program here, which evaluate-")


def test_an_official_benchmark_is_looked_for_before_the_first_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASAP_DATA", raising=False)
    Path("rows.jsonl").write_text("{}\n")
    official = WHOLE.replace("maths:problems.jsonl", "svamp")
    with nothing_fetched():
        assert lacking(official).startswith("mini.yaml: scales: miniature: evaluate: new: benchmark svamp: ")
    folder = tmp_path / "data" / "benchmarks" / "maths"
    folder.mkdir(parents=True)
    (folder / "svamp_test.jsonl").write_text("{}\n")
    monkeypatch.setenv("ASAP_DATA", str(tmp_path / "data"))
    check_machine(chain_of(read_table(official, "mini.yaml"), "miniature"), Records(Path("out")))


@pytest.mark.parametrize("name", ["nosuch", "gsm8k:mine.jsonl", "humaneval:", "livecodebench", "livecodebench:v9", "maths"])
def test_a_benchmark_is_refused_by_its_name_alone_as_when_it_is_loaded(name: str) -> None:
    with pytest.raises(UsageError) as by_name:
        check_benchmark(name)
    with pytest.raises(UsageError) as loaded:
        load_benchmark(name)
    assert str(by_name.value) == str(loaded.value)
