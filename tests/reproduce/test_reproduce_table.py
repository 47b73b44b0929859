"""Files of tables: those that come with asap are right, and a wrong one is refused in one sentence that names file and key."""

import inspect
import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from reproduce_helpers import WHOLE

from asap.cli.reproduce import _parsed
from asap.errors import UsageError
from asap.reproduce.arms import VARIANTS
from asap.reproduce.chain import chain_of, scale_of
from asap.reproduce.checks import check_options
from asap.reproduce.device import load_device
from asap.reproduce.options import OPTIONS
from asap.reproduce.plan import plan_text
from asap.reproduce.record import Records
from asap.reproduce.results import results_text
from asap.reproduce.stage import Stage
from asap.reproduce.table import Scale, load_table, read_table, table_names


def options_of(command: str) -> set[str]:
    """The options that a command really has."""
    found, function = set[str](), getattr(import_module(f"asap.cli.{command}"), command)
    for parameter in inspect.signature(function).parameters.values():
        inner = [field.name for field in fields(parameter.default)] if is_dataclass(parameter.default) else [parameter.name]
        found |= {name.replace("_", "-") for name in inner}
    return found | {"subset", "split"}


def test_the_table_in_the_docs_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text("utf-8")
    shown = read_table(page.partition("```yaml\n")[2].partition("```")[0], "mine.yaml")
    check_options(scale_of(shown, "small"), _parsed)
    assert [stage.kind for stage in chain_of(shown, "small").stages].count("evaluate") == 3
    assert all(f"{field.name.replace('_', '-')}:" in page for field in fields(Scale) if field.name not in UNWRITTEN)


UNWRITTEN = ("name", "place", "evaluations", "variants")
"""What a scale has that its file has under another name."""


@pytest.mark.parametrize("kind", OPTIONS)
def test_every_option_that_a_file_may_name_is_one_of_its_command(kind: str) -> None:
    assert {*OPTIONS[kind]} <= options_of("prune" if kind == "data" else kind)


@pytest.mark.parametrize(("name", "rows_of"), [("table4", "table1"), ("maths_llama8b", "maths_main")])
def test_another_model_family_is_another_one_at_every_scale(name: str, rows_of: str) -> None:
    tables = load_table(name), load_table(rows_of)
    assert all("Llama" in scale.model.spec for scale in tables[0].scales.values())
    paper = [chain_of(table, "paper").pruned["asap"].name for table in tables]
    assert paper[0] == paper[1]  # what was pruned is shared


@pytest.mark.parametrize("name", table_names())
def test_every_table_has_its_scales_with_an_equal_token_variant_and_known_devices(name: str) -> None:
    table = load_table(name)
    assert {"laptop", "gpu", "paper"} <= {*table.scales}
    for scale in table.scales.values():
        load_device(scale.device)
        assert {*scale.variants} == {"paper", "equal-tokens"}
        for variant in scale.variants:
            stages = chain_of(table, scale.name, variant).stages
            assert len({stage.name for stage in stages}) == len(stages)
            for place, stage in enumerate(stages):
                assert {*stage.inputs} <= {*stages[:place]}
        arms = scale.variants["equal-tokens"].arms
        assert "random" in [arm.name for arm in arms]
        ratios = {(arm.prune or arm.cut).get("ratio") for arm in arms if arm.trained and not arm.rows_like}
        assert len(ratios) == 1, ratios
        assert None not in ratios
    assert "small model" in table.scales["laptop"].about


WRONG = [
    (
        "device: cpu",
        "devise: cpu",
        "mini.yaml: scales: miniature has 'devise', which is not known there; allowed: about, assumptions, device",
    ),
    ("number: 10", "number: ten", "mini.yaml: scales: miniature: rows: number is 'ten'; a whole number, 1 or more, is expected"),
    ("number: 10", "number: 0", "rows: number is 0; a whole number, 1 or more, is expected"),
    ("question: 100", "question: -1", "rows: question is -1; a number, 0 or more, is expected"),
    *(
        (f"{name}: {right}", f"{name}: 0", f"{place}: {name} is 0; a number above 0 is expected")
        for name, right, place in (
            ("parameters", "29.0e3", "mini.yaml: scales: miniature: model"),
            ("steps", "14", "rows"),
            ("trace", "236", "rows"),
            ("answers", "6", "evaluate: new"),
        )
    ),
    ("tokens: 12\n        from", "tokens: 0\n        from", "evaluate: new: tokens is 0; a number above 0 is expected"),
    ("original: {}", "original: {kept-tokens: 0}", "original: kept-tokens is 0; a number above 0 is expected"),
    ("title: Mini", "paper: [table1, table99]\ntitle: Mini", "mini.yaml: paper: --paper table99: the paper's figures are here as table1, "),
    (
        '"hf:tiny"',
        "tiny",
        "model: spec: unknown model 'tiny'; write openai:<model>, hf:<hub id or folder>, gguf:<file> or bundled",
    ),
    ('"hf:tiny"', '"openai:tiny"', "model: spec is 'openai:tiny', behind a server, and arms are trained; write hf:"),
    ("    rows: {", "    scorer: {spec: large, parameters: 1}\n    rows: {", "miniature: scorer: spec: unknown model 'large'; write "),
    (
        '"maths:problems.jsonl"',
        '"gsm8k, nosuch"',
        "new: options: benchmark: unknown benchmark 'nosuch'; write one of: humaneval, ",
    ),
    ('"maths:problems.jsonl"', "maths", "evaluate: new: options: benchmark: maths needs a file of problems; write maths:FILE"),
    ('"maths:problems.jsonl"', '"livecodebench:v9"', "benchmark: LiveCodeBench window 'v9'; write v1_v3, v4_v5, or any"),
    (
        "device: cpu\n",
        "device: abacus\n",
        "miniature: device: no rates of a device 'abacus' are known; choose --device cpu, cpu-intel, h200, h20",
    ),
    (
        "prune: {ratio: 0.5}",
        "prune: {}",
        "arms: asap: prune is empty; write an option, such as ratio: 0.5, or leave it out",
    ),
    ("steps: 14, ", "", "mini.yaml: scales: miniature: rows lacks steps"),
    (
        "prune: {ratio: 0.5}",
        "prune: {ration: 0.5}",
        "arms: asap: prune has 'ration', which is not known there; allowed: method, budget, ratio",
    ),
    ("prune: {ratio: 0.5}", "prune: {ratio: {a: 1}}", "prune: ratio is {'a': 1}; a text, a number, true, or a list of texts is expected"),
    ("reference: original", "reference: orignal", "paper: reference is 'orignal'; an arm is expected: original, asap"),
    ("same-rows: asap", "same-rows: original", "equal-tokens: same-rows is 'original'; an arm that trains on all rows is expected"),
    ("of: asap", "of: original", "random: cut: of is 'original'; an arm above it that is pruned is expected: asap"),
    ("rows-like: asap", "rows-like: later", "original: rows-like is 'later'; an arm above it that is pruned is expected: asap, random"),
    ("original: {}", "original: {train: false, kept-tokens: 3}", "is not trained, so it takes nothing beside train: false"),
    ("original: {}", "original: {train: maybe}", "original: train is 'maybe'; true or false is expected"),
    ("max-new-tokens: 12, ", "", "evaluate: new: options lacks max-new-tokens"),
    (
        "max-new-tokens: 12, ",
        'max-new-tokens: 12, base-url: "http://127.0.0.1:9/v1", ',
        "evaluate: new: options has base-url, and no server answers there: hf:tiny is evaluated in this process; leave base-url out",
    ),
    ("recipe: laptop", "backend: trl", "train lacks recipe"),
    ("original: {}", '"a: original": {}', "paper: arms names 'a: original'; letters, digits, spaces and - _ + . ( ) are expected"),
    (
        "asap: {prune: {ratio: 0.5}}",
        "asap: {cut: {of: asap}}",
        "cut: of is 'asap'; an arm above it that is pruned is expected: there is none",
    ),
    ("original: {}", "-x: {}", "paper: arms names '-x'; letters, digits"),
    (
        "      reference: original\n",
        "",
        "miniature: paper lacks reference, the arm that the others are compared with; write one of original, asap",
    ),
    ("title: Miniature", "title: [a]", "mini.yaml: title is ['a']; a text is expected"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG)
def test_a_wrong_file_is_refused_in_one_sentence(right: str, wrong: str, said: str) -> None:
    assert right in WHOLE
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        read_table(WHOLE.replace(right, wrong, 1), "mini.yaml")
    assert "\n" not in str(refused.value)


def stages(text: str = WHOLE, variant: str = "paper") -> dict[str, Stage]:
    return {stage.name.rpartition("-")[0]: stage for stage in chain_of(read_table(text, "mini.yaml"), "miniature", variant).stages}


@pytest.mark.parametrize(
    ("right", "wrong", "changed"),
    [
        ("ratio: 0.5", "ratio: 0.4", {"prune-asap", "review-asap", "train-asap", "evaluate-asap-new", "compare-asap-new", "report"}),
        ('budgets: "6"', 'budgets: "7"', {"evaluate-original-new", "evaluate-asap-new", "compare-asap-new", "report"}),
        ("number: 10", "number: 11", set()),
        ("about: A model", "about: One model", set()),
    ],
)
def test_a_setting_changes_the_folders_of_those_that_depend_on_it_and_no_other(right: str, wrong: str, changed: set[str]) -> None:
    before, after = stages(), stages(WHOLE.replace(right, wrong, 1))
    assert {label for label in before if before[label].key != after[label].key} == changed


def test_the_command_of_a_server_is_a_setting() -> None:
    with_server = WHOLE.replace("    paper:\n", "    serve: serve {model} --name {name} --dtype bfloat16\n    paper:\n", 1)
    with pytest.raises(UsageError, match="evaluate: new: options lacks base-url, where the server of serve answers"):
        stages(with_server)
    with_server = with_server.replace("max-new-tokens: 12", "base-url: http://127.0.0.1:9/v1, max-new-tokens: 12", 1)
    with pytest.raises(UsageError, match=r"serve is .*, which is no command \(No closing quotation\)"):
        stages(with_server.replace("--dtype", "'--dtype"))
    before, after = stages(with_server), stages(with_server.replace("bfloat16", "float16"))
    changed = {label for label in before if before[label].key != after[label].key}
    assert changed == {"evaluate-original-new", "evaluate-asap-new", "compare-asap-new", "report"}


def test_a_folder_of_rows_that_changed_is_noticed(tmp_path: Path) -> None:
    rows, out = tmp_path / "rows", tmp_path / "out"
    rows.mkdir()
    (rows / "a.jsonl").write_text("{}\n")
    (rows / "b.jsonl").write_text("{}\n")

    def standing(*, write: bool = False) -> str:
        [data, *_] = chain_of(read_table(WHOLE, "mini.yaml"), "miniature", "paper", [str(rows)]).stages
        if write:
            (out / data.name).mkdir(parents=True)
            (out / data.name / "pruned.jsonl").write_text("{}\n")
            Records(out).write(data, [], 1.0, {})
        return f"{(found := Records(out).of(data)).state}: {found.detail}"

    assert standing(write=True) == "done: "
    (rows / "b.jsonl").write_text('{"id": 1}\n')
    assert standing().startswith(f"outdated: {rows / 'b.jsonl'} is no longer what ")
    (rows / "b.jsonl").unlink()
    assert standing().startswith(f"outdated: {rows / 'b.jsonl'} is no longer what ")
    (rows / "b.jsonl").write_text("{}\n")
    assert standing() == "done: "
    (rows / "c.jsonl").write_text("{}\n")
    assert standing().startswith(f"outdated: {rows / 'c.jsonl'} is no longer what ")


def test_both_variants_share_what_is_equal() -> None:
    paper, equal = stages(), stages(variant="equal-tokens")
    assert paper["prune-asap"].name == equal["prune-asap"].name
    assert paper["train-asap"].name != equal["train-asap"].name  # the rows that are too long are left out by another arm


def test_a_table_with_one_variant_needs_no_choice_and_a_missing_one_is_told_with_the_option() -> None:
    head, paper, equal = (part for part in WHOLE.replace("    equal-tokens:", "    paper:").split("    paper:"))
    alone = read_table(f"{head}    equal-tokens:{equal}", "mini.yaml")
    assert chain_of(alone, "miniature").variant.name == "equal-tokens"
    with pytest.raises(UsageError, match=r"mini\.yaml: scales: miniature has no paper arms, only equal-tokens: add --equal-tokens"):
        chain_of(alone, "miniature", "paper")
    published = read_table(f"{head}    paper:{paper}", "mini.yaml")
    with pytest.raises(UsageError, match="miniature has no equal-tokens arms, only paper: leave --equal-tokens out"):
        chain_of(published, "miniature", "equal-tokens")
    assert chain_of(read_table(WHOLE, "mini.yaml"), "miniature").variant.name == "paper"
    with pytest.raises(UsageError, match=r"mini\.yaml: scales: miniature has no arms; describe them below paper or equal-tokens"):
        read_table(head, "mini.yaml")


def test_the_heading_names_the_variant() -> None:
    table = read_table(WHOLE, "mini.yaml")
    for variant, words in VARIANTS.items():
        chain = chain_of(table, "miniature", variant)
        assert chain.heading == f"Miniature, scale miniature: {words}"
        [*_, report] = chain.stages
        assert chain.heading in report.words
        assert results_text(chain, []).startswith(f"{chain.heading}\n")
        assert plan_text(chain, [], load_device("cpu")).startswith(f"{chain.heading}\n")


def test_rows_are_found_among_the_traces_of_asap_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASAP_DATA", str(tmp_path / "data"))

    def sources() -> tuple[str, ...]:
        return chain_of(read_table(WHOLE, "mini.yaml"), "miniature").scale.rows.sources

    assert sources() == ("rows.jsonl",)
    stored = tmp_path / "data" / "traces" / "rows.jsonl"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}\n")
    assert sources() == (str(stored),)
    Path("rows.jsonl").write_text("{}\n")
    assert sources() == ("rows.jsonl",)


def test_an_unknown_table_scale_or_variant_is_refused() -> None:
    table: Any = load_table("table1")
    for call, said in (
        (lambda: load_table("table9"), "there is no table 'table9'; choose from "),
        (lambda: load_table("missing.yaml"), "missing.yaml cannot be read (No such file or directory)"),
        (lambda: chain_of(table, "huge", "paper"), "table1_main has no scale 'huge'; choose --scale laptop, gpu, paper"),
        (lambda: load_device("abacus"), "no rates of a device 'abacus' are known; choose --device cpu, cpu-intel, h200, h20"),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            call()
