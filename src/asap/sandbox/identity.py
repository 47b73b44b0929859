"""What a verdict depends on besides check, solution and limits, so that kept verdicts and references never outlive a change of it."""

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from asap.digest import content_digest
from asap.sandbox.verdict import Kind


def sandbox_identity(kind: Kind, packages: Sequence[str]) -> list[object]:
    """The kind of sandbox, its interpreter, the versions of its packages, and a digest of our own code that runs and judges."""
    return [kind, platform.python_implementation(), platform.python_version(), [[name, _version(name)] for name in packages], _own_code()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _own_code() -> str:
    folder = Path(__file__).parent
    return content_digest(*([path.name, path.read_text(encoding="utf-8")] for path in sorted(folder.rglob("*.py"))))
