"""A client's program runs, and mypy --strict finds nothing wrong with it, given the package as it is installed."""

import math
import subprocess
import sys
from pathlib import Path

import asap
from client.own_parts import ROW, at_quarter, main, reasons, refused
from run_fixtures import model_folder

HERE = Path(__file__).parent
EXAMPLES = [HERE.parents[1] / "examples" / name for name in ("own_method.py", "own_scorer.py", "own_steps.py", "show_cuts.py")]
CONFIG = """[mypy]
strict = True

[mypy-torch.*,transformers.*,tokenizers.*,datasets.*,pyarrow.*,scipy.*,rapidfuzz.*,openai.*]
ignore_missing_imports = True
follow_imports = skip
"""
"""Nothing that a client sees is made of these, and reading them would take minutes."""


def test_the_program_prunes_with_each_of_its_parts() -> None:
    found = main(f"hf:{model_folder()}")
    text = ROW["reasoning"]
    for pruned in found:
        assert set(pruned.sample.cot.split()) <= set(text.split())
        assert pruned.decision.tokens_after < pruned.decision.tokens_before
        assert len(reasons(pruned.decision)) >= 1
        assert at_quarter(pruned.decision).tokens_after <= pruned.decision.tokens_after
    assert found[0].decision.tokens_after != found[3].decision.tokens_after or found[0].sample.cot != found[3].sample.cot
    assert all(step.score is not None and not math.isnan(step.score) for step in found[4].decision.steps if step.kept)
    assert refused({"q": "?"}) is not None
    assert refused(ROW) is None


def test_mypy_accepts_the_program_with_strict_types(tmp_path: Path) -> None:
    assert (Path(asap.__file__).parent / "py.typed").exists()
    (tmp_path / "mypy.ini").write_text(CONFIG)
    wrong = tmp_path / "wrong.py"
    wrong.write_text('import asap\n\nasap.AsapSettings(ratio="half")\nasap.Asap(3).prune(asap.to_sample({}))\n')
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*mypy, str(HERE / "own_parts.py"), *map(str, EXAMPLES), str(wrong)], cwd=tmp_path, capture_output=True, text=True
    )
    complaints = done.stdout.splitlines()[:-1]
    assert [line.partition(":")[0] for line in complaints] == ["wrong.py"] * 3, done.stdout + done.stderr
