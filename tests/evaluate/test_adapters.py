"""`asap evaluate --adapter`: one pass over several adapters is as many evaluations, each as if it had been alone."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from evaluate_helpers import OWN, read_rows

from asap.cli import run
from asap.lm import causal_lm
from own_process import begin, wait_until
from run_fixtures import refusal, write_rows

peft = pytest.importorskip("peft", reason="PEFT IS NOT INSTALLED: asap-cot[train]")
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft uses a name that transformers replaced

MEASURED = ("ttft_s", "seconds", "session")


@pytest.fixture(scope="module")
def arms(model_folders: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that name two adapters of the model "plain"."""
    words = list[str]()
    for seed, name in enumerate(("asap", "random")):
        torch.manual_seed(seed)
        config = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        folder = tmp_path_factory.mktemp(name)
        peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(model_folders["plain"]), config).save_pretrained(folder)
        words += ["--adapter", f"{name}={folder}"]
    return words


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """The words of a benchmark, and of what to write."""
    problems = write_rows(
        tmp_path / "own.jsonl", [{"task_id": f"own/{n}", **OWN, "prompt": "def f(x):\n" + "    # x\n" * n} for n in range(5)]
    )
    return ["--benchmark", f"humaneval:{problems}", "--max-new-tokens", "24", "--concurrency", "2"]


def texts(folder: Path) -> list[dict[str, Any]]:
    """The rows of attempts.jsonl without what was measured."""
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in read_rows(folder / "attempts.jsonl")]


@pytest.mark.usefixtures("sandbox")
def test_a_pass_loads_its_base_once_and_leaves_a_folder_as_of_a_run_alone_for_each(
    arms: list[str],
    asked: list[str],
    model_folders: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded, load = list[str](), causal_lm.load_causal_lm_on

    def counted(device: Any, name: str, **options: Any) -> Any:
        loaded.append(name)
        return load(device, name, **options)

    monkeypatch.setattr(causal_lm, "load_causal_lm_on", counted)
    out = tmp_path / "out"
    assert run(["evaluate", *arms, "--with-base", *asked, "--out", str(out)]) == 0
    assert loaded == [model_folders["plain"]]
    said = capsys.readouterr()
    assert said.out.count(": pass@1 ") == 3
    assert f"asap compare-runs {out}/base {out}/asap" in said.out
    folders = arms[1::2]
    alone = [f"hf:{model_folders['plain']}", *(f"hf:{folder.partition('=')[2]}" for folder in folders)]
    for name, model in zip(("base", "asap", "random"), alone, strict=True):
        assert run(["evaluate", "--model", model, *asked, "--out", str(tmp_path / name)]) == 0
        assert texts(out / name) == texts(tmp_path / name), name
        records = [json.loads((place / name / "summary.json").read_text()) for place in (out, tmp_path)]
        assert records[0]["settings"] == records[1]["settings"]
        assert [row["verdict"] for row in read_rows(out / name / "verdicts.jsonl")] == [
            row["verdict"] for row in read_rows(tmp_path / name / "verdicts.jsonl")
        ]
    assert len({json.dumps([row["generation"] for row in texts(out / name)]) for name in ("base", "asap", "random")}) == 3
    assert "The model is " in (out / "asap" / "summary.md").read_text()
    assert run(["compare-runs", str(out / "asap"), str(out / "random")]) == 0
    loaded.clear()
    assert run(["evaluate", *arms, "--with-base", *asked, "--out", str(out)]) == 0
    assert loaded == [], "a pass that is done needs no model"


def test_a_killed_pass_goes_on_where_it_was(arms: list[str], asked: list[str], tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    words = ["evaluate", *arms, *asked, "--generate-only", "--out"]
    assert run([*words, str(whole)]) == 0
    process = begin([*words, str(killed)], tmp_path / "said")
    wait_until((killed / "asap" / "attempts.jsonl").exists, process)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not (killed / "random" / "attempts.jsonl").exists()
    before = (killed / "asap" / "attempts.jsonl").read_bytes()
    assert run([*words, str(killed)]) == 0
    assert (killed / "asap" / "attempts.jsonl").read_bytes() == before
    for name in ("asap", "random"):
        assert texts(killed / name) == texts(whole / name)


def test_an_adapter_is_called_by_its_folder_and_needs_no_model(arms: list[str], asked: list[str], tmp_path: Path) -> None:
    place = shutil.copytree(arms[1].partition("=")[2], tmp_path / "lr=1e-3")
    assert run(["evaluate", "--adapter", str(place), *asked, "--limit", "1", "--generate-only", "--out", str(tmp_path / "out")]) == 0
    [row] = read_rows(tmp_path / "out" / "lr=1e-3" / "attempts.jsonl")
    assert row["model"] == f"hf:{place}"


def test_bad_usage(arms: list[str], asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*words: str) -> str:
        return refusal(capsys, "evaluate", *words, *asked, "--out", str(tmp_path / "out"))

    assert "there is no model to evaluate; name one with --model, or adapters with --adapter" in refused()
    assert "two models would be called asap" in refused(*arms, "--adapter", "asap=elsewhere")
    assert "two models would be called base" in refused("--with-base", "--adapter", "base=elsewhere")
    assert "--with-base is about the base of adapters" in refused("--with-base", "--model", "bundled")
    assert "write DIR or NAME=DIR" in refused("--adapter", "asap=")
    assert f"{tmp_path} holds no adapter" in refused("--adapter", str(tmp_path))
    assert "--base-url is about a server, and an adapter runs here" in refused(*arms, "--base-url", "http://127.0.0.1:1")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text('{"asap": "0", "settings": {}, "benchmarks": []}')
    assert "holds a run of asap evaluate itself; with --adapter" in refused(*arms)
