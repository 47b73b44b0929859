"""Whole runs with a scorer behind a server: the same rows as with the same model here, without what needs entropies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lm_helpers import QUESTION, TRACE
from logprob_server import LogprobServer

from asap.cli import run
from run_fixtures import read_decisions

ROWS = [
    {"id": str(number), "question": f"{QUESTION} {number}", "cot": TRACE + f"\n\nSo the answer is {number}.", "answer": str(number)}
    for number in range(5)
]
OWN = "def by_entropy(steps):\n    read = yield from steps.read(entropy=True)\n    return [float(step.entropies.sum()) for step in read]\n"


@pytest.fixture(autouse=True)
def in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    Path("own_entropy.py").write_text(OWN)


@pytest.fixture(scope="module")
def folder(model_folder: Callable[..., Path]) -> Path:
    return model_folder("qwen", "llama")


def lines(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def scorer_of(server: LogprobServer, folder: Path) -> list[str]:
    return ["--scorer", "openai:tiny", "--base-url", server.base_url, "--tokenizer", str(folder), "--concurrency", "4"]


def test_a_run_makes_the_same_rows_as_with_the_model_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = ["prune", "rows.jsonl", "--ratio", "0.5", "--all-scores"]
    with LogprobServer(folder) as server:
        assert run([*cut, "--out", "there", *scorer_of(server, folder)]) == 0
        said = capsys.readouterr().err
        assert run([*cut, "--out", "there", *scorer_of(server, folder)]) == 0, "nothing is left to do"
    assert run([*cut, "--out", "here", "--scorer", f"hf:{folder}", "--tokenizer", str(folder)]) == 0
    assert Path("there/pruned.jsonl").read_bytes() == Path("here/pruned.jsonl").read_bytes()
    assert "the scores of first-token-entropy, step-entropy are not stored" in said
    for there, here in zip(read_decisions(Path("there")), read_decisions(Path("here")), strict=True):
        for step, other in zip(there["steps"], here["steps"], strict=True):
            assert step["rank"] == other["rank"]
            assert {*other["scores"]} - {*step["scores"]} == {"first-token-entropy", "step-entropy"}
            assert step["scores"] == pytest.approx({name: other["scores"][name] for name in step["scores"]}, abs=1e-3)
    manifest = json.loads(Path("there/manifest.json").read_text())
    assert manifest["settings"]["scorer"]["revision"] == "vllm 0.32.0"
    assert run(["cut", "there", "--method", "step-entropy", "--ratio", "0.5", "--out", "again"]) == 2
    assert "a scorer that is not behind a server" in capsys.readouterr().err


def test_methods_of_entropies_are_refused_or_reject_their_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LogprobServer(folder) as server:
        scorer = scorer_of(server, folder)
        assert run(["prune", "rows.jsonl", "--method", "step-entropy", "--out", "out", *scorer]) == 2
        assert "needs entropies, which this scorer does not give" in capsys.readouterr().err
        assert run(["compare", "rows.jsonl", "--out", "compared", *scorer[:6]]) == 2
        assert "leave it out of --methods" in capsys.readouterr().err
        assert run(["prune", "rows.jsonl", "--method", "own_entropy:by_entropy", "--scores", "own", "--out", "own", *scorer]) == 2
    assert {row["reason"] for row in lines("own/rejected.jsonl")} == {"no_entropies"}


def test_a_judge_behind_a_server(folder: Path, model_folder: Callable[..., Path]) -> None:
    judge = model_folder("smol", "llama")
    grid = ["compare", "rows.jsonl", "--methods", "asap,random", "--ratios", "0.5", "--scorer", f"hf:{folder}"]
    with LogprobServer(judge) as server:
        served = ["--judge", "openai:tiny", "--base-url", server.base_url, "--judge-tokenizer", str(judge)]
        assert run([*grid, *served, "--out", "there"]) == 0
    assert run([*grid, "--judge", f"hf:{judge}", "--out", "here"]) == 0
    there, here = lines("there/judged.jsonl"), lines("here/judged.jsonl")
    assert len(there) == len(here) > 0
    assert [row["value"] for row in there] == pytest.approx([row["value"] for row in here], abs=1e-3)


def test_the_doctor_asks_the_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LogprobServer(folder) as server:
        assert run(["doctor", "rows.jsonl", *scorer_of(server, folder)[:6]]) in (0, 2)  # what else is wrong with the machine
        assert "gives the log-probabilities" in " ".join(capsys.readouterr().out.split())
        assert run(["doctor", "rows.jsonl", "--scorer", "openai:huge", "--base-url", server.base_url, "--tokenizer", str(folder)]) == 2
    assert "has no model 'huge'" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scorer", "openai:tiny"], "name it with --tokenizer"),
        (["--base-url", "http://127.0.0.1:1/v1"], "--base-url is about the LLM"),
        (["--scorer-url", "http://127.0.0.1:1/v1"], "--scorer-url is about a server"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "rows.jsonl", "--out", "out", *options]) == 2
    assert said in capsys.readouterr().err
