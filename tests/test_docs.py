"""The pages about the code name files that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("page", ["architecture.md", "glossary.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    named = re.findall(r"[\w./]+\.py\b", (ROOT / "docs" / page).read_text("utf-8"))
    assert len(named) > 10
    assert [name for name in named if not any((ROOT / "src" / "asap").glob(f"**/{name}")) and not (ROOT / name).exists()] == []


def test_the_glossary_is_alphabetical_and_has_each_term_once() -> None:
    terms = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)[1:]
    assert len(terms) > 50
    assert terms == sorted({*terms})


@pytest.mark.slow
def test_the_python_of_readme_runs_as_pasted() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    steps = [line for line in ran.stdout.splitlines() if line.startswith(("kept '", "coarse '", "fine '", 'kept "', 'coarse "', 'fine "'))]
    assert {line.split()[0] for line in steps} == {"kept", "coarse", "fine"}
    counts = [re.fullmatch(r"[\w-]+ (\d+) -> (\d+)", line) for line in ran.stdout.splitlines() if line not in steps]
    assert len(counts) == 12
    assert all(found and 0 < int(found[2]) <= int(found[1]) / 2 for found in counts)
