"""Everything that asks a server, against a real vLLM (`make test-vllm`; see vllm_server.py)."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from vllm_server import VERSION, penalised, thinking, vllm_environment, vllm_server

from asap.cli import run
from run_fixtures import read_decisions

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples" / "traces.jsonl"
PROBLEMS = [
    {
        "task_id": f"own/{number}",
        "prompt": f'def f(x):\n    """Return x plus {number}, and explain it in two sentences first."""\n',
        "entry_point": "f",
        "test": f"def check(candidate):\n    assert candidate(1) == {1 + number}\n",
    }
    for number in range(2)
]
NEUTRAL = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vllm_environment()
    return penalised(tmp_path_factory.mktemp("models") / "penalised")


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with vllm_server(folder, tmp_path_factory.mktemp("vllm") / "log", "--max-num-batched-tokens", "4096") as address:
        yield address


@pytest.fixture(autouse=True)
def in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("problems.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS))


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def manifest(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "manifest.json").read_text())
    return found


def completion(url: str, body: Mapping[str, Any]) -> str:
    """What the server answers to a body that we do not touch."""
    sent = json.dumps({"model": "smollm2", "temperature": 0, **body}).encode()
    path = "chat/completions" if "messages" in body else "completions"
    asked = urllib.request.Request(f"{url}/{path}", sent, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        choice = json.load(answer)["choices"][0]
    return str(choice["message"]["content"] if "message" in choice else choice["text"])


def evaluate(url: str, out: str, *options: str) -> list[dict[str, Any]]:
    asked = ["evaluate", "--model", "openai:smollm2", "--base-url", url, "--benchmark", "humaneval:problems.jsonl", "--generate-only"]
    assert run([*asked, "--max-new-tokens", "60", "--out", out, *options]) == 0
    return lines(f"{out}/attempts.jsonl")


@pytest.mark.parametrize("ids", [True, False])
def test_answers_do_not_depend_on_the_samplers_in_the_models_own_files(url: str, folder: Path, ids: bool) -> None:
    attempts = evaluate(url, "out", *(["--tokenizer", str(folder)] if ids else []))
    assert [attempt["samplers"] for attempt in attempts] == [NEUTRAL] * len(PROBLEMS)
    question = {"messages": [{"role": "user", "content": _question(attempts[0])}], "max_tokens": 60, "seed": 0}
    plain, neutral = completion(url, question), completion(url, {**question, **NEUTRAL})
    assert attempts[0]["generation"] == neutral != plain, "the model's own penalty would have changed it"


def _question(attempt: Mapping[str, Any]) -> str:
    from asap.benchmarks.load import load_benchmark

    problems = load_benchmark("humaneval:problems.jsonl").problems
    return next(problem.question for problem in problems if problem.task_id == attempt["task_id"])


def test_evaluate_by_chat_with_a_reasoning_parser(tmp_path_factory: pytest.TempPathFactory) -> None:
    vllm_environment()
    model = thinking(tmp_path_factory.mktemp("models") / "thinking")
    options = ["--reasoning-parser", "deepseek_r1", "--no-enable-prefix-caching"]
    with vllm_server(model, tmp_path_factory.mktemp("vllm") / "log", *options) as url:
        by_chat = evaluate(url, "chat")
        by_ids = evaluate(url, "ids", "--tokenizer", str(model))
    for chat, ids in zip(by_chat, by_ids, strict=True):
        assert chat["generation"].startswith("<think>\n")
        assert "</think>" in chat["generation"], "the server took the thought apart, and it was put back"
        assert chat["generation"].replace("</think>", " ").split() == ids["generation"].replace("</think>", " ").split()
        assert chat["prompt_tokens"] == ids["prompt_tokens"]
        assert (chat["tokens_thinking"], ids["opened"]) == (None, True)
        assert 0 < ids["tokens_thinking"] < ids["tokens"]


def test_select_follows_its_schema_in_a_small_context(url: str) -> None:
    asked = ["prune", str(EXAMPLES), "--limit", "3", "--out", "out", "--coarse", "select", "--coarse-only", "--attempts", "2"]
    assert run([*asked, "--llm", "openai:smollm2", "--base-url", url, "--llm-context", "1300"]) == 0
    found = manifest("out")
    assert found["llm"]["samplers"] == NEUTRAL
    assert found["llm"]["engine"]["name"] == "vllm"
    assert not {"cut_off", "out_of_range", "not_a_list", "context_too_long"} & found["counts"]["failures_by"].keys()
    assert f"served by vllm {VERSION}; prefix caching on; sent " in Path("out/README.md").read_text()
    with sqlite3.connect("out/replies.sqlite") as replies:
        kinds = replies.execute("SELECT DISTINCT kind, finish_reason FROM replies WHERE kind = 'select'").fetchall()
        [largest] = replies.execute("SELECT MAX(prompt_tokens + completion_tokens) FROM replies").fetchone()
    replies.close()
    assert kinds == [("select", "stop")]
    assert largest <= 1300


def test_rewrite_asks_and_falls_back_where_no_reply_is_usable(url: str) -> None:
    asked = ["prune", str(EXAMPLES), "--limit", "1", "--out", "out", "--coarse", "rewrite", "--attempts", "1", "--coarse-only"]
    assert run([*asked, "--llm", "openai:smollm2", "--base-url", url, "--temperature", "0"]) == 0
    [decision] = read_decisions(Path("out"))
    assert decision["coarse"]["attempts"] == 1
    assert (decision["coarse"]["by"] == "align") == bool(decision["coarse"]["failures"])


def test_remote_scores_are_those_of_this_process(url: str, folder: Path) -> None:
    cut = ["prune", str(EXAMPLES), "--limit", "2", "--ratio", "0.5"]
    assert run([*cut, "--out", "there", "--scorer", "openai:smollm2", "--base-url", url, "--tokenizer", str(folder)]) == 0
    assert run([*cut, "--out", "here", "--scorer", f"hf:{folder}", "--device", "cpu", "--dtype", "float32"]) == 0
    assert Path("there/pruned.jsonl").read_bytes() == Path("here/pruned.jsonl").read_bytes()
    for there, here in zip(read_decisions(Path("there")), read_decisions(Path("here")), strict=True):
        assert [step["rank"] for step in there["steps"]] == [step["rank"] for step in here["steps"]], "the same removal order"
        for name in ("surprisal", "alignment"):
            pairs = [(step[name], other[name]) for step, other in zip(there["steps"], here["steps"], strict=True)]
            assert max(abs(one - other) for one, other in pairs if one is not None) <= 1e-3


def test_a_text_beyond_the_context_is_scored_in_windows(url: str, folder: Path) -> None:
    long = {"question": "Count.", "cot": "\n\n".join(f"Step {number}: one more." for number in range(700)), "answer": "700"}
    Path("long.jsonl").write_text(json.dumps(long) + "\n")
    scorer = ["--scorer", "openai:smollm2", "--base-url", url, "--tokenizer", str(folder)]
    assert run(["prune", "long.jsonl", "--out", "long", "--coarse", "none", "--scores", "own", "--ratio", "0.5", *scorer]) == 0
    assert read_decisions(Path("long"))[0]["windows"] > 1
