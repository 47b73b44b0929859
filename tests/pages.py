"""The pages that people read: their links, anchors, and blocks of code."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "examples", "benchmarks", "experiments", ".github")
ADDRESSES = ("href", "src", "srcset")


class Link(NamedTuple):
    """A link or a picture, and the line of its page."""

    line: int
    target: str


class Block(NamedTuple):
    """A block of code, its language ("" if none is named), and the line where its text begins."""

    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """Every page of the repository, notebooks among them."""
    inside = (path for folder in FOLDERS for kind in ("*.md", "*.ipynb") for path in (ROOT / folder).rglob(kind))
    return [*sorted(ROOT.glob("*.md")), *sorted(inside)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name


def markdown_of(page: Path) -> str:
    """The text of a page; of a notebook, that of its cells for reading."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def links(markdown: str) -> Iterator[Link]:
    """The links and pictures of a text, those in its HTML too."""
    for token, line in _tokens(markdown):
        for name in ("href", "src"):
            if (target := token.attrGet(name)) is not None:
                yield Link(line, str(target))
        if token.type in ("html_block", "html_inline"):
            yield from (Link(line, target) for target in _Addresses.of(token.content))


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of code of a text, fenced or indented."""
    for token, line in _tokens(markdown):
        if token.type in ("fence", "code_block"):
            yield Block(line + (token.type == "fence"), token.info.strip(), token.content)


def inline_code(markdown: str) -> Iterator[Block]:
    """The code inside sentences and tables."""
    for token, line in _tokens(markdown):
        if token.type == "code_inline":
            yield Block(line, "", token.content)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub and the docs site give the headings of a page, and those that its HTML names."""
    found, seen = list[str](), Counter[str]()
    for token, inside in pairwise(MarkdownIt("commonmark").enable("table").parse(markdown_of(page))):
        if token.type == "heading_open":
            slug = slug_of("".join(part.content for part in inside.children or [] if part.type in ("text", "code_inline")))
            found.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset([*found, *re.findall(r"""<\w+ (?:id|name)="([^"]+)\"""", markdown_of(page))])


def slug_of(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def fault_of_link(page: Path, target: str) -> str | None:
    """Why a link of a page leads nowhere; None for one that is right, or that leaves the repository (which needs a network)."""
    address = urlsplit(target)
    if address.scheme or address.netloc:
        return None if address.scheme in ("http", "https", "mailto") else f"no such scheme: {target}"
    path = page.parent / unquote(address.path) if address.path else page
    if address.path.startswith("/") or not path.resolve().is_relative_to(ROOT if page.is_relative_to(ROOT) else page.parent):
        return f"outside of the repository: {target}"
    if not path.exists():
        return f"no such file: {target}"
    if address.fragment and (path.suffix != ".md" or unquote(address.fragment) not in anchors(path.resolve())):
        return f"no such heading: {target}"
    return None


def _tokens(markdown: str) -> Iterator[tuple[Token, int]]:
    """Each token of a text with its line, those inside others too."""
    line = 0
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        line = token.map[0] + 1 if token.map else line
        yield token, line
        yield from ((child, line) for child in token.children or [])


class _Addresses(HTMLParser):
    """Collects what the attributes of tags point to."""

    def __init__(self) -> None:
        super().__init__()
        self.found = list[str]()

    @classmethod
    def of(cls, html: str) -> list[str]:
        parser = cls()
        parser.feed(html)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value.split()[0] for name, value in attrs if name in ADDRESSES and value]
