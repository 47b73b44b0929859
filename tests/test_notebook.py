"""The notebook runs from top to bottom, and shows what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = json.loads((EXAMPLES / "first_look.ipynb").read_text("utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
END = "== end of cell =="


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each cell of code prints, run in order in one namespace, from the folder of the notebook as a kernel does."""
    program = tmp_path_factory.mktemp("notebook") / "cells.py"
    program.write_text("\n".join(f"{cell}\nprint({END!r})" for cell in CODE), "utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(EXAMPLES.parent / "src"), os.environ.get("PYTHONPATH")]))}
    ran = subprocess.run([sys.executable, program], cwd=EXAMPLES, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split(f"{END}\n")[:-1]


def test_every_cell_runs_and_prints(printed: list[str]) -> None:
    assert len(printed) == len(CODE) > 4
    assert all(text.strip() for text in printed)


def test_the_traces_are_halved_and_the_cuts_shown(printed: list[str]) -> None:
    _, pruned, cuts, _, chance = printed
    counts = [[int(number) for number in re.findall(r"\d+", line.partition(":")[2])] for line in pruned.splitlines()]
    assert len(counts) == 2
    for before, after, kept, steps in counts:
        assert 0 < after <= before / 2
        assert 0 < kept < steps
    marks = [line[0] for line in cuts.splitlines()]
    assert (marks.count(" "), len(marks)) == (counts[0][2], counts[0][3])
    assert {line.split("|")[-1].split()[0] for line in cuts.splitlines()} == {"the", "surprisal"}  # both stages
    assert len(chance.splitlines()) == 2


def test_a_smaller_ratio_leaves_fewer_tokens(printed: list[str]) -> None:
    tokens = [[int(number) for number in re.findall(r"(\d+) tokens", line)] for line in printed[3].splitlines()]
    assert len(tokens) == 4
    for one in zip(*tokens, strict=True):
        assert sorted({*one}, reverse=True) == list(one)


def test_the_notebook_is_small_and_holds_no_outputs() -> None:
    """Outputs would be those of one machine; its cells have ids, as its format asks for."""
    cells = NOTEBOOK["cells"]
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in cells}) == len(cells)
