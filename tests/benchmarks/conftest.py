"""The real files of the benchmarks, where they are."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def asap_data() -> Path:
    """The folder with `benchmarks/` and `traces/`; without it the test is skipped."""
    folder = os.environ.get("ASAP_DATA")
    if not folder or not (Path(folder) / "benchmarks").is_dir():
        pytest.skip("ASAP_DATA names no folder with benchmarks/ in it")
    return Path(folder)
