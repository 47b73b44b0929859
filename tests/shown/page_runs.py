"""The commands of a page, typed one after the other in a folder that holds what a reader has: whether each one works.

A command that ends in "# needs X" is not typed here, nor one that another test runs. Names that a reader would replace are replaced;
numbers that only make a command long are made small.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from asap.cli import run
from command_lines import SHELLS, TARGETS, Line, lines, plain_words
from pages import ROOT, Block, blocks, markdown_of, name_of, pages

NEEDS: Mapping[str, str] = {
    "vLLM": r"vllm serve",
    "axolotl": r"axolotl ",
    "LLaMA-Factory": r"llamafactory-cli ",
    "DuckDB": r"duckdb ",
    "verl": r"… data\.",
    "a GPU": r"cuda:0|unsloth|trl sft",
    "two GPUs": r"cuda:0,cuda:1",
    "GPUs": r"--launch ",
    "4 GPUs": r"--nproc-per-node 4",
    "8 GPUs": r"--launch 8x80gb",
    "two machines": r"--nnodes 2",
    "a Ray cluster": r"--ray-address",
    "an account": r"hf auth login",
    "the Hub": r"humaneval\+|livecodebench|gsm8k|--method tokenskip",
    "the published traces": r"kodcode_r1",
    "a judge that solves some rows": r"solvable\.jsonl",
    "an idle machine": r"benchmarks/perf/",
}
"""What a mark may say, and the commands that it is for: one on another command is too much, or a mistake."""

ELSEWHERE: Mapping[str, str] = {
    r"(\S*/)?pip install ": "tests/test_install_lines.py::test_the_lines_of_the_pages_install_what_they_say",
    r"eval .*completion zsh": "tests/test_completion_shells.py::test_zsh_completes_commands_files_options_and_values",
    r"asap cut .*--overrule": "tests/test_overrule.py::test_steps_and_rows_are_as_a_person_decided_and_all_else_as_it_was",
}
"""Commands on any page that a named test runs."""

PAGES_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "docs/data.md": {r"cat |asap prune ": "tests/test_data_page.py::test_an_example_does_what_it_shows"},
}
"""Commands in the `console` blocks of a page that a named test runs."""

PROGRAMS = {"asap", "python", "git", "make", "cp", "eval", "export", "for"}
"""What may begin a line that is typed here."""

SMALL: Mapping[str, str] = {
    r"--max-new-tokens \d+": "--max-new-tokens 24",
    r"--budgets [\d,]+": "--budgets 8,16,24",
    r"(--llm (?:hf|gguf):\S+)": r"\1 --attempts 1",
    r"(--llm gguf:\S+)": r"\1 --limit 1",
    r"--generate \d+": "--generate 8",
    r"\basap evaluate\b": "asap evaluate --limit 2",
    r"--draws \d+": "--draws 20",
    r"(benchmarks/certify\.py)": r"\1 --draws 4",
    r"\bmake demo\b": f"ln -s {sys.prefix} .venv && make -o .venv/.demo demo",  # what installs the environment is tested elsewhere
}
"""What would take long, and what takes seconds instead."""

EXIT_CODES: Mapping[str, set[int]] = {"diff-runs": {0, 1}, "certify": {0, 1}}
"""Commands that answer a question by their exit code."""


class Reader(NamedTuple):
    """What stands for the names in commands that a reader replaces."""

    model: Path
    classifier: Path
    gguf: Path
    server: Callable[[], str]
    export: Callable[[str, str], None]

    def typed(self, text: str) -> str:
        """A line as the reader types it."""
        own = {
            r"http://127\.0\.0\.1:8000/v1": self.server,
            r"https://api\.deepseek\.com": lambda: f"{self.server()} --price-in 1 --price-out 1",  # nobody knows the server's prices
            r"openai:\S+": "openai:tiny",
            r"--tokenizer \S+": f"--tokenizer {self.model}",
            r"hf:(MODEL|JUDGE|Qwen/\S+|deepseek-ai/\S+)": f"hf:{self.model}",
            r"gguf:model\.gguf": f"gguf:{self.gguf}",
            r"FOLDER_OR_HUB_ID": str(self.classifier),
            r"open-r1/codeforces-cots": "codeforces",
            r"https://repository\.example/asap-cot": f"{ROOT} asap-cot",
            r"KEY=…": "KEY=secret",
        }
        for name, value in {**own, **SMALL}.items():
            if re.search(name, text):
                text = re.sub(name, value() if callable(value) else value, text)
        return text


def shown_pages() -> list[Path]:
    """README.md and the pages under docs/; those of docs/results are records of experiments."""
    return [page for page in pages() if re.fullmatch(r"README\.md|docs/(?!results/).*\.md", name_of(page)) and [*shown(page)]]


def shown(page: Path) -> Iterator[tuple[Line, str]]:
    """The lines of a page that a shell gets, each with the test that runs it, "" for the one here."""
    return (one for block in shell_blocks(page) for one in shown_in(page, block))


def shell_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(markdown_of(page)) if block.language in SHELLS]


def shown_in(page: Path, block: Block) -> Iterator[tuple[Line, str]]:
    inside = PAGES_ELSEWHERE.get(name_of(page), {}) if block.language == "console" else {}
    for line in lines(block):
        yield line, next((test for command, test in {**ELSEWHERE, **inside}.items() if re.match(command, line.text)), "")


def fault_of_line(line: Line) -> str | None:
    """Why a line is neither typed here nor marked as it should be."""
    if line.needs:
        parts = [part.strip() for part in re.split(r" and ", line.needs)]
        if unknown := [part for part in parts if part not in NEEDS]:
            return f"no known mark: needs {unknown[0]}; known are {', '.join(NEEDS)}"
        if too_much := [part for part in parts if not re.search(NEEDS[part], line.text)]:
            return f"it does not need {too_much[0]}"
        return None
    program = re.split(r"\s", line.text)[0]
    if program not in PROGRAMS:
        return f"no test runs {program}: mark the line (# needs …), name the test that does, or add the program to PROGRAMS"
    if program == "make" and (gone := [word for word in line.text.split()[1:] if word not in TARGETS]):
        return f"no such target: {gone[0]}"
    return None


def runs(page: Path, reader: Reader, said: Callable[[], str]) -> Iterator[str]:
    """Types the lines of a page in their order, each block from this folder; yields a sentence for each that fails."""
    here = Path.cwd()
    for block in shell_blocks(page):
        os.chdir(here)
        for line, elsewhere in shown_in(page, block):
            if not line.needs and not elsewhere:
                text = reader.typed(line.text)
                code, right = _exit_code(text, reader)
                heard = said()
                if code not in right:
                    yield f"line {line.number}: {line.text}\n  as {text}\n  exit code {code}: {heard[-1500:]}"


def _exit_code(text: str, reader: Reader) -> tuple[int, set[int]]:
    """How a line ends, and how it may: in this process where it is a command of ours alone."""
    words = plain_words(text)
    if words and words[0] == "export":
        name, _, value = words[1].partition("=")
        reader.export(name, value)
        return 0, {0}
    if words and words[0] == "asap":
        return run(words[1:]), EXIT_CODES.get(words[1], {0})
    return _in_a_shell(text), {0}


def _in_a_shell(text: str) -> int:
    """The exit code of a line in bash, where `asap` and `python` are those of this process. Where it goes, the next line begins."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT)))}
    with NamedTemporaryFile("r") as place:
        words = ["bash", "-eo", "pipefail", "-c", f'{text}\npwd -P > "{place.name}"']
        done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if goes := place.read().rstrip("\n"):
            os.chdir(goes)
    sys.stderr.write(done.stdout[-2000:] + done.stderr)
    return done.returncode


def clone(folder: Path) -> None:
    """What a clone has that commands name, and its environment."""
    for name in ("examples", "benchmarks", "experiments"):
        (folder / name).symlink_to(ROOT / name)


def missing_programs(page: Path) -> list[str]:
    """The programs of a page's pipes that this machine lacks."""
    piped = {match[1] for line, _ in shown(page) if not line.needs for match in re.finditer(r"\| (\w+) ", line.text)}
    return [program for program in sorted(piped) if shutil.which(program) is None]
