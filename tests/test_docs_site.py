"""The docs site is built from every page, with a plain .md of each and an llms.txt that names them all."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow  # `make docs` builds it in CI
def test_every_page_is_on_the_site_and_there_as_plain_text(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="THE EXTRA docs IS NOT INSTALLED, so the site was not built")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    sources = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} | {"index.md", "api.md"}
    listed = re.findall(r"^- \[[^\]]+\]\(https://[^)]+?/docs/([^)]+)\)$", (tmp_path / "llms.txt").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(sources)
    for source in sources:
        plain = (tmp_path / source).read_text("utf-8")
        assert plain.startswith("# ")
        folder = tmp_path / re.sub(r"(^|/)(index|README)$", "", source.removesuffix(".md"))
        assert "<h1" in (folder / "index.html").read_text("utf-8"), source
    assert "## TokenScores" in (tmp_path / "api.md").read_text("utf-8")
    assert '<span class="word">--keep-last</span>' in (tmp_path / "which" / "index.html").read_text("utf-8")
