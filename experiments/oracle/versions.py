"""The machine and the versions that made a figure."""

import os
import platform
from pathlib import Path

from asap.versions import __version__, versions_of

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "trl", "accelerate", "peft")


def machine() -> dict[str, object]:
    """CPU kind and cores, Python, and the packages that compute."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "asap": __version__,
        **versions_of(_PACKAGES),
    }


def cpu() -> str:
    """The name of this machine's CPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine()
    )
