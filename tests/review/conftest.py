"""Pages of runs, and the browser that opens them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asap.review import write_review
from browsing import browser, visit

__all__ = ["browser", "visit"]


@pytest.fixture
def paged(tmp_path: Path) -> Callable[..., Path]:
    """Write the page of one run or two."""

    def write(*folders: Path, **more: Any) -> Path:
        write_review(folders[0], tmp_path / "review.html", *folders[1:], **more)
        return tmp_path / "review.html"

    return write


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight usable rows and one that is not."""
    from run_fixtures import row, write_rows

    rows = [*(row(number) for number in range(5)), "no JSON", row(9, steps=1), row(10, steps=30), row(11, steps=60, words=20)]
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", rows)


@pytest.fixture(scope="session")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """These rows at half of their tokens."""
    from run_fixtures import prune

    return prune(source, tmp_path_factory.mktemp("finished") / "out", "--ratio", "0.5")
