"""The versions of Python and of packages, to record with a result."""

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """The version of Python and of each package, or `not installed`."""
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
