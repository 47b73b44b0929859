"""The line `written` at the end of a run lists every file that the run wrote, and no other."""

import re
from pathlib import Path

import pytest

from asap.cli import run
from run_fixtures import row, write_rows

CONTROL = ["--method", "keep-tail", "--ratio", "0.5"]


def listed(said: str, out: Path) -> list[str]:
    [line] = [line for line in said.splitlines() if line.startswith("written")]
    found = re.fullmatch(rf"written +{re.escape(str(out))}/(.*)", line)
    assert found is not None
    return sorted(found[1].split(", "))


def files_in(out: Path) -> list[str]:
    return sorted({path.name for path in out.iterdir()} - {"work.sqlite"})


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--format", "trl", "--format", "llamafactory"],
        [*(word for name in ("axolotl", "sharegpt", "verl", "rllm", "parquet") for word in ("--format", name)), "--zst"],
    ],
)
def test_the_summary_lists_all_files(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out"
    assert run(["prune", str(source), *CONTROL, *options, "--out", str(out)]) == 0
    assert listed(capsys.readouterr().out, out) == files_in(out)
    cut = tmp_path / "cut"
    assert run(["cut", str(out), "--ratio", "0.25", *options, "--out", str(cut)]) == 0
    assert listed(capsys.readouterr().out, cut) == files_in(cut)
