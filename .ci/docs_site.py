"""What the docs site adds to mkdocs: README.md as its start page, the API page, a plain .md of each page, llms.txt.

The pages are written for readers of the repository. So links that leave docs/ become links into the repository, and lists
and anchors work as they do there. The API page is made from `asap.__all__`. This module checks nothing: `mkdocs build --strict` does.
"""

import importlib
import inspect
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"""(?P<before>\]\(|(?:src|srcset|href)=")(?P<target>[^\s)"#:]+)(?P<anchor>\#[^\s)"]*)?(?P<after>[)"])""")
FENCE = re.compile(r"^\s*(```|~~~)")
ITEM = re.compile(r"^([-*+]|\d+\.)\s")
CODE = re.compile(r"<code>([^<\n]*)</code>")
HYPHENATED = re.compile(r"[\w.]*(?:-+[\w.]+)+")
LONGEST = 24  # characters of a word that is kept on one line
REFERENCE = re.compile(r"^::: asap\.(\w+)$", re.MULTILINE)
_plain: dict[str, tuple[str, str]] = {}  # source path of a page: title, Markdown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages of docs/ with the start page and the API page."""
    root = Path(config.config_file_path).parent
    files.append(File.generated(config, "index.md", content=(root / "README.md").read_text(encoding="utf-8")))
    files.append(File.generated(config, "api.md", content=api_page()))
    return files


def api_page() -> str:
    """Markdown of the API page: a reference to every public name."""
    names = importlib.import_module("asap").__all__
    start = "# Python API\n\nEvery public name of `asap`, from its docstring. Parts of your own: [plugins](plugins.md).\n\n"
    return start + "\n\n".join(f"::: asap.{name}" for name in names) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's Markdown with links that work on the site."""
    here = "" if page.file.src_uri == "index.md" else posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    text = LINK.sub(lambda link: _on_site(link, here, str(config.repo_url)), markdown)
    _plain[page.file.src_uri] = (str(page.title), REFERENCE.sub(lambda name: described(name[1]), text))
    return lists_apart(text)


def _on_site(link: re.Match[str], here: str, repository: str) -> str:
    """The link, to the site where its target is in docs/, else into the repository; `here` is the folder of its page."""
    path = posixpath.normpath(posixpath.join(here, link["target"]))
    anchor = link["anchor"] or ""
    if path.startswith("docs/") and not path.endswith(".py") and posixpath.splitext(path)[1]:
        target = path.removeprefix("docs/") if not here else link["target"]
    else:
        target = f"{repository.rstrip('/')}/blob/main/{path}"
    return f"{link['before']}{target}{anchor}{link['after']}"


def lists_apart(markdown: str) -> str:
    """The text with an empty line before each list, which Python's Markdown needs and GitHub's does not."""
    lines: list[str] = []
    fenced = in_list = False
    for line in markdown.split("\n"):
        fenced ^= bool(FENCE.match(line))
        item = not fenced and bool(ITEM.match(line))
        if item and not in_list and lines and lines[-1].strip():
            lines.append("")
        in_list = item or (in_list and bool(line.strip()))
        lines.append(line)
    return "\n".join(lines)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with short words such as `--keep-last` marked, which site.css keeps on one line."""
    return CODE.sub(lambda code: f"<code>{HYPHENATED.sub(_marked, code[1])}</code>", html)


def _marked(word: re.Match[str]) -> str:
    return f'<span class="word">{word[0]}</span>' if len(word[0]) <= LONGEST else word[0]


def described(name: str) -> str:
    """Plain Markdown of a public name: its signature and its docstring."""
    thing = getattr(importlib.import_module("asap"), name)
    try:
        signature = str(inspect.signature(thing))
    except (TypeError, ValueError):
        signature = ""
    return f"## {name}\n\n```python\n{name}{signature}\n```\n\n{inspect.getdoc(thing) or ''}"


def on_post_build(config: MkDocsConfig) -> None:
    """Write the plain pages and llms.txt into the site."""
    site = Path(config.site_dir)
    for source, (_, text) in _plain.items():
        (site / source).write_text(text, encoding="utf-8")
    pages = "".join(f"- [{title}]({config.site_url}{source})\n" for source, (title, _) in sorted(_plain.items()))
    (site / "llms.txt").write_text(f"# {config.site_name}\n\n> {config.site_description}\n\n## Pages\n\n{pages}", encoding="utf-8")
