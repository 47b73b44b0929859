"""Every relative link and picture of the pages leads to a file that is there, every anchor to a heading.

mkdocs checks the links inside docs/ (`make docs`); those that leave it, and those of the other pages, are checked only here. Addresses on
the web are not visited.
"""

import re
from pathlib import Path

import pytest

from pages import ROOT, fault_of_link, links, markdown_of, name_of, pages, slug_of

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    faults = {f"line {link.line}": fault for link in links(markdown_of(page)) if (fault := fault_of_link(page, link.target))}
    assert faults == {}


def test_the_pages_and_their_links_are_found() -> None:
    names = {name_of(page) for page in PAGES}
    assert {"README.md", "docs/which.md", "docs/results/README.md", "examples/first_look.ipynb", "experiments/oracle/README.md"} <= names
    found = {link.target for link in links(markdown_of(ROOT / "README.md"))}
    assert {"docs/review-dark.png", "docs/review.png", "docs/train.md#other-trainers", "CITATION.bib"} <= found


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("other.md", None),
        ("other.md#one--two", None),
        ("#here", None),
        ("folder/", None),
        ("a%20b.png", None),
        ("https://host.example/gone", None),
        ("gone.md", "no such file"),
        ("gone.png", "no such file"),
        ("other.md#gone", "no such heading"),
        ("#gone", "no such heading"),
        ("a%20b.png#here", "no such heading"),
        ("../other.md", "outside of the repository"),
        ("/etc/passwd", "outside of the repository"),
        ("htp://host.example", "no such scheme"),
    ],
)
def test_a_wrong_link_is_found(tmp_path: Path, target: str, fault: str | None) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a b.png").write_bytes(b"")
    (tmp_path / "other.md").write_text("# `One` & *two*\n\n# One\n")
    page = tmp_path / "page.md"
    page.write_text(f'# Here\n\n| a |\n|---|\n| [text]({target}) |\n\n<p><img src="{target}"></p>\n\n![picture]({target})\n')
    found = [fault_of_link(page, link.target) for link in links(markdown_of(page))]
    assert len(found) == 3
    assert [None if one is None else one.partition(":")[0] for one in found] == [fault] * 3


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Which one is best? `asap compare`", "which-one-is-best-asap-compare"),
        (
            "Why surprisal is no better than chance here, and attempted remedies",
            "why-surprisal-is-no-better-than-chance-here-and-attempted-remedies",
        ),
        ("Answers written together (`write_together.py`)", "answers-written-together-write_togetherpy"),
        ("A & B – Größe", "a--b--größe"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    assert slug_of(heading.replace("`", "")) == anchor


def test_every_page_of_the_docs_is_in_the_navigation() -> None:
    """mkdocs says so too, but runs in another job."""
    listed = re.findall(r"^ +- (?:[\w ]+: )?([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    made = {"index.md", "api.md"}  # by .ci/docs_site.py
    assert sorted({*listed} - made) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))
