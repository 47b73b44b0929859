"""Whether a tag may be released: it, the package, the changelog and the citations agree, and every address is a real one.

Usage: python .ci/release_check.py v1.2.3. Prints what is wrong, one line each, and fails.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def faults(tag: str, root: Path = ROOT) -> list[str]:
    """What keeps a tag from being released."""
    version = tag.removeprefix("v")
    text = {name: (root / name).read_text("utf-8") for name in ("CHANGELOG.md", "CITATION.cff", "CITATION.bib", "src/asap/versions.py")}
    urls = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    found = [] if re.fullmatch(r"v\d+\.\d+\.\d+(rc\d+)?", tag) else [f"{tag} is no tag of a release, such as v1.2.3"]
    for name, line in (
        ("src/asap/versions.py", f'__version__ = "{version}"'),
        ("CITATION.cff", f"version: {version}"),
        ("CITATION.bib", f"version = {{{version}}}"),
    ):
        if line not in text[name].replace("  ", ""):
            found.append(f"{name} lacks the line: {line}")
    if not re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n+(?!## )\S", text["CHANGELOG.md"], re.MULTILINE):
        found.append(f"CHANGELOG.md has no section: ## {version} - YYYY-MM-DD")
    found += [f"pyproject.toml: {name} is a placeholder, {url}" for name, url in urls.items() if ".example/" in url]
    return found


if __name__ == "__main__":
    if wrong := faults(sys.argv[1] if len(sys.argv) > 1 else ""):
        sys.exit("\n".join(wrong))
    print(f"{sys.argv[1]} may be released")
