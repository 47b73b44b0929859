"""What a verdict depends on besides check, solution and limits, so that kept verdicts and references never outlive a change of it."""

import platform
from functools import cache
from pathlib import Path

from asap.digest import content_digest
from asap.sandbox.packages import Packages
from asap.sandbox.verdict import Kind


def sandbox_identity(kind: Kind, packages: Packages) -> list[object]:
    """The kind of sandbox, its interpreter, the versions of its packages, and a digest of our own code that runs and judges."""
    versions = [list(pair) for pair in sorted(packages.versions.items())]
    return [kind, platform.python_implementation(), platform.python_version(), versions, _own_code()]


@cache
def _own_code() -> str:
    folder = Path(__file__).parent
    return content_digest(*([path.name, path.read_text(encoding="utf-8")] for path in sorted(folder.rglob("*.py"))))
